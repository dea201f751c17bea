"""The socket, over real loopback."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from raftudp.limits import TRAIN_BYTES_MAXIMUM, TRAIN_DATAGRAMS_MAXIMUM
from raftudp.network.udp import Datagram, UdpSocket, train_length

PEER = ("127.0.0.1", 9)
OTHER = ("127.0.0.1", 10)
WAIT_S = 10


@pytest.fixture(params=["127.0.0.1", "::1"])
def host(request: pytest.FixtureRequest) -> str:
    host: str = request.param
    try:
        UdpSocket(host, 0).close()
    except OSError:
        pytest.skip(f"this machine has no {host}")
    return host


@pytest.fixture
def pair(host: str) -> Iterator[tuple[UdpSocket, UdpSocket]]:
    with closing(UdpSocket(host, 0)) as sender, closing(UdpSocket(host, 0)) as receiver:
        yield sender, receiver


def receive(receiver: UdpSocket, count: int) -> list[bytes]:
    """Take `count` datagrams, or what came before a long silence."""
    taken: list[Datagram] = []
    with selectors.DefaultSelector() as selector:
        selector.register(receiver, selectors.EVENT_READ)
        while len(taken) < count and selector.select(WAIT_S):
            taken += receiver.receive_batch(count - len(taken))
    return [data for data, _ in taken]


@pytest.mark.parametrize("trains", [True, False])
def test_a_batch_arrives_whole_and_in_order(
    pair: tuple[UdpSocket, UdpSocket], trains: bool
) -> None:
    """Datagrams arrive as they were sent, one by one, whether they travelled as trains or not."""
    sender, receiver = pair
    sender.trains = sender.trains and trains
    sizes = [1_200] * 100 + [7] + [1_200, 900, 1_200] + [60_000] * 3 + [1]
    sent = [bytes([number]) * size for number, size in enumerate(sizes)]
    sender.send_batch([(data, receiver.local_address) for data in sent])
    assert receive(receiver, len(sent)) == sent
    assert not sender.errors


def test_a_refused_train_is_sent_one_by_one_and_never_tried_again(
    pair: tuple[UdpSocket, UdpSocket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the kernel takes no trains, nothing is lost."""
    sender, receiver = pair
    sender.trains = True
    monkeypatch.setattr("raftudp.network.udp.UDP_SEGMENT", 9_999)
    sender.send_batch([(bytes(100), receiver.local_address)] * 3)
    assert receive(receiver, 3) == [bytes(100)] * 3
    assert not sender.trains


def test_an_empty_socket_gives_an_empty_batch(pair: tuple[UdpSocket, UdpSocket]) -> None:
    """Receiving never waits."""
    assert pair[1].receive_batch(256) == []


def test_a_batch_is_bounded(pair: tuple[UdpSocket, UdpSocket]) -> None:
    """No more is taken at a time than was asked for; the rest stays."""
    sender, receiver = pair
    sender.send_batch([(bytes([number]), receiver.local_address) for number in range(5)])
    assert len(receive(receiver, 2)) == 2
    assert len(receive(receiver, 3)) == 3


def test_a_send_that_fails_is_counted_and_not_raised(pair: tuple[UdpSocket, UdpSocket]) -> None:
    """A datagram that is too large is lost like any other."""
    sender, receiver = pair
    sender.send_batch([(bytes(70_000), receiver.local_address), (b"x", receiver.local_address)])
    assert sender.errors == {"send EMSGSIZE": 1}
    assert receive(receiver, 1) == [b"x"]


def test_what_the_kernel_drops_is_counted(pair: tuple[UdpSocket, UdpSocket]) -> None:
    """A receive buffer that overflows shows in `kernel_drops`."""
    sender, receiver = pair
    small = socket.socket(fileno=receiver.fileno())
    try:
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    finally:
        small.detach()
    sender.send_batch([(bytes(1_200), receiver.local_address)] * 200)
    receive(receiver, 1)
    receiver.receive_batch(256)
    sender.send_batch([(b"x", receiver.local_address)])
    assert receive(receiver, 1) == [b"x"]
    assert receiver.kernel_drops > 0


@pytest.mark.parametrize(
    ("datagrams", "length"),
    [
        ([(bytes(10), PEER)], 1),
        ([(bytes(10), PEER), (bytes(10), PEER)], 2),
        ([(bytes(10), PEER), (bytes(9), PEER), (bytes(9), PEER)], 2),
        ([(bytes(10), PEER), (bytes(11), PEER)], 1),
        ([(bytes(10), PEER), (bytes(10), OTHER)], 1),
        ([(b"x", PEER)] * (TRAIN_DATAGRAMS_MAXIMUM + 1), TRAIN_DATAGRAMS_MAXIMUM),
        ([(bytes(TRAIN_BYTES_MAXIMUM // 2), PEER)] * 3, 2),
        ([(bytes(TRAIN_BYTES_MAXIMUM // 2 + 1), PEER)] * 3, 1),
    ],
)
def test_a_train_is_of_one_size_and_to_one_peer(datagrams: list[Datagram], length: int) -> None:
    """Only the last datagram of a train may be shorter, and a train is no longer than allowed."""
    assert train_length(datagrams, 0) == length


def test_ipv4_peers_are_reached_from_an_ipv6_wildcard() -> None:
    """One socket on :: serves both families."""
    from raftudp.network.addresses import resolver_for

    try:
        both = UdpSocket("::", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with closing(both), closing(UdpSocket("127.0.0.1", 0)) as peer:
        port = peer.local_address[1]
        both.send_batch([(b"x", resolver_for(both.family)("127.0.0.1", port))])
        assert receive(peer, 1) == [b"x"]
