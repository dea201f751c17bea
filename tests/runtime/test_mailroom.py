"""Between datagrams and messages: what gets in, what is refused and counted, where mail goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from raftudp.consensus.messages import Greeting, Mail, RequestVote, TimeoutNow
from raftudp.consensus.vocabulary import ANY_INCARNATION, Cluster, Membership, ServerId
from raftudp.network.addresses import AddressBook
from raftudp.network.udp import Datagram, SocketAddress, UdpSocket
from raftudp.runtime.mailroom import Mailroom
from raftudp.runtime.requests import AnswerTo, Origin, ReceivedRequest
from raftudp.wire.client_messages import AdminAnswer, Hello, LeaderHint, Status, StatusAnswer
from raftudp.wire.codec import encode_request
from raftudp.wire.envelope import KeyRing, Kind, Opener, Sealer
from tests.runtime.house import CLUSTER

ME, PEER = ServerId("me", b"m" * 16), ServerId("peer", b"p" * 16)
STRANGER = ServerId("stranger", b"s" * 16)
OTHER_CLUSTER = Cluster(b"another-cluster!", 1, b"another-epoch-id")
KEYS, OTHER_KEYS = KeyRing([b"k" * 32]), KeyRing([b"o" * 32])
HOME: SocketAddress = ("10.0.0.1", 6000)
MOVED: SocketAddress = ("10.0.0.2", 6000)
CLIENT: SocketAddress = ("10.0.0.9", 50_000)


class Wire:
    """A socket that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[Datagram] = []

    def send_batch(self, datagrams: Sequence[Datagram]) -> None:
        self.sent += datagrams


class Place:
    """A replica's mailroom on a wire."""

    def __init__(self, identity: ServerId, peer: ServerId, keys: KeyRing | None = KEYS) -> None:
        self.wire = Wire()
        book = AddressBook(identity.name, lambda host, port: (host, port))
        book.learn([(peer.name, "10.0.0.1:6000")], 0)
        self.process = identity.incarnation[::-1][:15] + b"!"
        udp_socket = cast("UdpSocket", self.wire)
        self.mailroom = Mailroom(identity, self.process, keys, udp_socket, book)
        self.mailroom.cluster = CLUSTER


@pytest.fixture
def me() -> Place:
    return Place(ME, PEER)


@pytest.fixture
def peer() -> Place:
    return Place(PEER, ME)


def client_datagram(receiver: ServerId, cluster: Cluster | None = None) -> bytes:
    """A Hello of a fresh client process."""
    sealer = Sealer(KEYS, b"client-process-1")
    me = ServerId("", b"client-process-1")
    return sealer.seal(Kind.REQUEST, me, receiver, cluster, encode_request(Hello(1)))


def test_mail_arrives_as_it_was_sent(me: Place, peer: Place) -> None:
    """Sealed by one, opened by the other, with the envelope's facts."""
    mail = Mail(PEER, ME, CLUSTER, RequestVote(3, 2, 1))
    peer.mailroom.send_mail([mail])
    ((data, address),) = peer.wire.sent
    assert address == HOME
    assert me.mailroom.open_batch([(data, MOVED)], 1).mails == [mail]
    assert me.mailroom.received == peer.mailroom.sent == {RequestVote: 1}


def test_mail_to_one_receiver_leaves_together(me: Place) -> None:
    """So that it can be one train; its order is kept."""
    mails = [Mail(ME, PEER, CLUSTER, TimeoutNow(1)), Mail(ME, STRANGER, CLUSTER, TimeoutNow(2))]
    me.mailroom.send_mail([*mails, Mail(ME, PEER, CLUSTER, TimeoutNow(3))])
    assert len(me.wire.sent) == 2
    assert me.mailroom.without_address == 1


def test_answers_follow_a_member_that_moved(me: Place, peer: Place) -> None:
    """Authenticated mail from a new address moves the member's mail there."""
    peer.mailroom.send_mail([Mail(PEER, ME, CLUSTER, TimeoutNow(1))])
    me.mailroom.open_batch([(peer.wire.sent[0][0], MOVED)], 1)
    me.mailroom.send_mail([Mail(ME, PEER, CLUSTER, TimeoutNow(1))])
    assert me.wire.sent[0][1] == MOVED


def test_mail_of_another_cluster_moves_nobody(me: Place, peer: Place) -> None:
    """A member's mail keeps going where the cluster's own mail comes from."""
    peer.mailroom.send_mail([Mail(PEER, ME, OTHER_CLUSTER, TimeoutNow(1))])
    ((data, _),) = peer.wire.sent
    me.mailroom.open_batch([(data, MOVED)], 1)
    me.mailroom.send_mail([Mail(ME, PEER, CLUSTER, TimeoutNow(1))])
    assert me.wire.sent[0][1] == HOME


def test_what_is_not_authentic_moves_nobody(me: Place) -> None:
    """A forged or replayed datagram costs a counter, and nothing else."""
    forger = Place(PEER, ME, OTHER_KEYS)
    forger.mailroom.send_mail([Mail(PEER, ME, CLUSTER, TimeoutNow(1))])
    forged = forger.wire.sent[0][0]
    arrivals = me.mailroom.open_batch([(forged, MOVED), (b"", MOVED), (bytes(400), MOVED)], 1)
    assert arrivals == ([], [], [])
    assert me.mailroom.refused == {"unknown-key": 1, "short": 1, "version": 1}
    me.mailroom.send_mail([Mail(ME, PEER, CLUSTER, TimeoutNow(1))])
    assert me.wire.sent[0][1] == HOME


def test_a_datagram_counts_once(me: Place, peer: Place) -> None:
    """A double is refused as replayed."""
    peer.mailroom.send_mail([Mail(PEER, ME, CLUSTER, TimeoutNow(1))])
    twice = [(peer.wire.sent[0][0], HOME)] * 2
    assert len(me.mailroom.open_batch(twice, 1).mails) == 1
    assert me.mailroom.refused == {"replayed": 1}


@pytest.mark.parametrize(
    ("receiver", "taken"),
    [
        (ME, True),
        (ServerId("me", ANY_INCARNATION), True),
        (ServerId("me", b"before-my-birth!"), False),
        (ServerId("peer", ANY_INCARNATION), False),
    ],
)
def test_mail_for_another_life_is_refused(
    me: Place, peer: Place, receiver: ServerId, taken: bool
) -> None:
    """Mail names the incarnation that it is for."""
    sealer = Sealer(KEYS, b"another-process!")
    body = b"\x82\x00\x01"
    data = sealer.seal(Kind.SERVER, PEER, receiver, CLUSTER, body)
    me.mailroom.open_batch([(data, HOME)], 1)
    assert me.mailroom.refused == ({"malformed": 1} if taken else {"misaddressed": 1})


@pytest.mark.parametrize(
    ("receiver", "cluster", "taken"),
    [
        (ServerId("", ANY_INCARNATION), None, True),
        (ServerId("", ME.incarnation), CLUSTER, True),
        (ME, CLUSTER, True),
        (ServerId("", ANY_INCARNATION), OTHER_CLUSTER, False),
        (ServerId("", PEER.incarnation), None, False),
        (PEER, None, False),
    ],
)
def test_a_client_may_leave_open_whom_it_asks(
    me: Place, receiver: ServerId, cluster: Cluster | None, taken: bool
) -> None:
    """But what it names must be right."""
    datagram = client_datagram(receiver, cluster)
    requests = me.mailroom.open_batch([(datagram, CLIENT)], 1).requests
    origin = Origin(CLIENT, b"client-process-1")
    assert requests == ([ReceivedRequest(origin, Hello(1))] if taken else [])


def test_a_blank_replica_answers_clients_of_any_cluster(me: Place) -> None:
    """They have to learn that it is blank."""
    me.mailroom.cluster = None
    datagram = client_datagram(ServerId("", ANY_INCARNATION), OTHER_CLUSTER)
    assert me.mailroom.open_batch([(datagram, CLIENT)], 1).requests


def test_an_answer_is_for_its_client(me: Place) -> None:
    """Sealed to the process that asked, sent where it asked from."""
    origin = Origin(CLIENT, b"client-process-1")
    me.mailroom.send_answers([AnswerTo(origin, AdminAnswer(4))])
    ((data, address),) = me.wire.sent
    opened = Opener(KEYS).open(data)
    assert address == CLIENT
    assert opened.receiver == ServerId("", b"client-process-1")
    assert (opened.sender, opened.cluster) == (ME, CLUSTER)


def test_a_replica_can_ask_another_as_a_client(me: Place, peer: Place) -> None:
    """Its question arrives as a client's, and the answer comes back to it alone."""
    me.mailroom.ask(PEER, Status(7))
    (received,) = peer.mailroom.open_batch([(me.wire.sent[0][0], HOME)], 1).requests
    assert received.request == Status(7)
    status = StatusAnswer(
        request=7,
        name="peer",
        incarnation=PEER.incarnation,
        role="leader",
        state="ready",
        durability="memory",
        term=1,
        leader=LeaderHint("", ""),
        commit_index=1,
        last_applied=1,
        last_log_index=1,
        cluster=CLUSTER,
        uptime_s=1,
        version="0",
        membership=Membership(()),
        followers=(),
    )
    peer.mailroom.send_answers([AnswerTo(received.origin, status)])
    data = peer.wire.sent[-1][0]
    assert me.mailroom.open_batch([(data, HOME)], 1).statuses == [status]
    third = Place(STRANGER, ME)
    assert third.mailroom.open_batch([(data, HOME)], 1) == ([], [], [])


def test_keys_are_replaced_without_a_stop(me: Place, peer: Place) -> None:
    """With both keys known on one side, either may seal."""
    both = KeyRing([b"k" * 32, b"o" * 32])
    me.mailroom.replace_keys(both)
    greeting = Mail(PEER, ServerId("me", ANY_INCARNATION), None, Greeting())
    peer.mailroom.send_mail([greeting])
    peer.mailroom.replace_keys(OTHER_KEYS)
    peer.mailroom.send_mail([greeting])
    assert len(me.mailroom.open_batch(peer.wire.sent, 1).mails) == 2
