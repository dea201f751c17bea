"""How addresses are written, and where members' mail goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from raftudp.consensus.vocabulary import ServerId
from raftudp.errors import ConfigurationError
from raftudp.limits import NAME_BYTES_MAXIMUM, SLOTS_MAXIMUM
from raftudp.network.addresses import (
    IDENTITIES_REMEMBERED_MAXIMUM,
    SILENCE_US,
    AddressBook,
    HostPort,
    is_loopback,
    parse_host_port,
    parse_named_servers,
)
from raftudp.network.udp import SocketAddress

A, A2, B = ServerId("a", b"1" * 16), ServerId("a", b"2" * 16), ServerId("b", b"3" * 16)
FIRST, SECOND, THIRD = ("10.0.0.1", 6000), ("10.0.0.2", 6000), ("10.0.0.3", 6000)


@pytest.mark.parametrize(
    ("text", "host_port"),
    [
        ("127.0.0.1:6000", HostPort("127.0.0.1", 6000)),
        ("ss-0.ss.default.svc:1", HostPort("ss-0.ss.default.svc", 1)),
        ("[::1]:65535", HostPort("::1", 65535)),
    ],
)
def test_an_address_is_read_and_written_back(text: str, host_port: HostPort) -> None:
    """HOST:PORT and [IPV6]:PORT are read, and written the same."""
    assert parse_host_port(text) == host_port
    assert str(host_port) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host",
        "host:",
        ":1",
        "h:0",
        "h:65536",
        "h:x",
        "h:-1",
        "h:٣",
        "::1:6000",
        "[h]:1",
        "a b:1",
        "a,b:1",
        "[::1:1",
        "h" * 260 + ":1",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """Anything else is refused with an error for the user."""
    with pytest.raises(ConfigurationError):
        parse_host_port(text)


def test_named_servers_keep_their_order() -> None:
    """The list gives names and addresses as they were written."""
    servers = parse_named_servers("b=h:2, a=[::1]:1,")
    assert servers == (("b", "h:2"), ("a", "[::1]:1"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a=",
        "=h:1",
        "a=h:1,a=h:2",
        "a=h:1,b=h:1",
        "-a=h:1",
        "a_b=h:1",
        "ä=h:1",
        "a" * (NAME_BYTES_MAXIMUM + 1) + "=h:1",
        ",".join(f"s{n}=h:{n + 1}" for n in range(SLOTS_MAXIMUM + 1)),
    ],
)
def test_named_servers_that_contradict_are_refused(text: str) -> None:
    """Names are DNS labels, and neither a name nor an address comes twice; too many are refused."""
    with pytest.raises(ConfigurationError):
        parse_named_servers(text)


def test_the_greatest_list_of_servers_is_taken() -> None:
    """The bounds themselves are allowed."""
    name = "a" * NAME_BYTES_MAXIMUM
    text = ",".join([f"{name}=h:9999", *(f"s{n}=h:{n + 1}" for n in range(SLOTS_MAXIMUM - 1))])
    assert len(parse_named_servers(text)) == SLOTS_MAXIMUM


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST"])
def test_loopback_is_known(host: str) -> None:
    """Addresses that never leave the machine."""
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "ss-0", "localhost.example.com", ""])
def test_everything_else_is_no_loopback(host: str) -> None:
    """A wildcard or a name may be reached from elsewhere."""
    assert not is_loopback(host)


class Names:
    """A resolver that a test sets, and a thread that runs when the test says so."""

    def __init__(self) -> None:
        self.addresses: dict[str, SocketAddress] = {}
        self.waiting: list[Callable[[], None]] = []
        self.asked = 0

    def resolve(self, host: str, port: int) -> SocketAddress:
        self.asked += 1
        try:
            return self.addresses[host]
        except KeyError:
            raise OSError("no such name") from None

    def run(self) -> None:
        while self.waiting:
            self.waiting.pop()()


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
def book(names: Names) -> AddressBook:
    return AddressBook("me", names.resolve, names.waiting.append)


def test_looking_up_never_happens_on_the_callers_thread(names: Names, book: AddressBook) -> None:
    """A name is looked up elsewhere; until it is found, there is no address, and then there is."""
    names.addresses["a.example"] = FIRST
    book.learn([("a", "a.example:6000")], 0)
    assert names.asked == 0
    assert book.address_of(A) is None
    names.run()
    book.refresh(1)
    assert book.address_of(A) == FIRST


def test_an_address_needs_no_look_up(names: Names, book: AddressBook) -> None:
    """A literal address is there at once."""
    names.addresses["10.0.0.1"] = FIRST
    book.learn([("a", "10.0.0.1:6000")], 0)
    assert book.address_of(A) == FIRST
    assert not names.waiting


def test_a_name_that_does_not_resolve_is_asked_again_later(names: Names, book: AddressBook) -> None:
    """Failure changes nothing, for this name or others, and is tried again."""
    names.addresses["b.example"] = SECOND
    book.learn([("a", "a.example:6000"), ("b", "b.example:6000")], 0)
    names.run()
    book.refresh(1)
    assert (book.address_of(A), book.address_of(B)) == (None, SECOND)
    names.addresses["a.example"] = FIRST
    book.refresh(SILENCE_US)
    names.run()
    book.refresh(SILENCE_US + 1)
    assert book.address_of(A) == FIRST


def test_a_slow_look_up_is_not_asked_twice(names: Names, book: AddressBook) -> None:
    """While a look-up is under way, no second one begins."""
    book.learn([("a", "a.example:6000")], 0)
    for second in range(10):
        book.refresh(second * SILENCE_US)
    assert len(names.waiting) == 1


def test_authenticated_mail_from_a_new_address_is_answered_there_at_once(
    names: Names, book: AddressBook
) -> None:
    """The source of mail counts more than what a name resolved to."""
    names.addresses["a.example"] = FIRST
    book.learn([("a", "a.example:6000")], 0)
    names.run()
    book.heard(A, SECOND, 1)
    book.refresh(2)
    assert book.address_of(A) == SECOND


def test_a_heard_server_is_not_looked_up(names: Names, book: AddressBook) -> None:
    """Only silence makes a look-up."""
    names.addresses["a.example"] = FIRST
    book.learn([("a", "a.example:6000")], 0)
    names.run()
    for step in range(1, 20):
        now_us = step * SILENCE_US // 2
        book.heard(A, SECOND, now_us)
        book.refresh(now_us)
    assert names.asked == 1
    assert book.address_of(A) == SECOND


def test_a_silent_server_is_looked_up_and_moves(names: Names, book: AddressBook) -> None:
    """When nothing is heard any more, the name is asked again, and its answer counts."""
    names.addresses["a.example"] = FIRST
    book.learn([("a", "a.example:6000")], 0)
    names.run()
    book.heard(A, SECOND, 0)
    names.addresses["a.example"] = THIRD
    book.refresh(SILENCE_US)
    names.run()
    book.refresh(SILENCE_US + 1)
    assert book.address_of(A) == THIRD


def test_a_silent_server_whose_name_is_gone_keeps_its_last_address(
    names: Names, book: AddressBook
) -> None:
    """A name that no longer resolves takes no good address away."""
    book.learn([("a", "a.example:6000")], 0)
    names.run()
    book.heard(A, SECOND, 0)
    book.refresh(SILENCE_US)
    names.run()
    book.refresh(2 * SILENCE_US)
    assert book.address_of(A) == SECOND


def test_a_newcomer_takes_no_mail_of_the_one_before_it(names: Names, book: AddressBook) -> None:
    """Two incarnations of one name have an address each."""
    names.addresses["10.0.0.1"] = FIRST
    book.learn([("a", "10.0.0.1:6000")], 0)
    book.heard(A, FIRST, 1)
    book.heard(A2, SECOND, 2)
    assert (book.address_of(A), book.address_of(A2)) == (FIRST, SECOND)


def test_strangers_are_not_remembered(book: AddressBook) -> None:
    """Mail under a name that nobody taught leaves no trace."""
    book.heard(A, FIRST, 1)
    assert book.address_of(A) is None


def test_memory_of_identities_is_bounded(names: Names, book: AddressBook) -> None:
    """The identity unheard for longest is forgotten first."""
    names.addresses["10.0.0.9"] = ("10.0.0.9", 1)
    book.learn([("a", "10.0.0.9:1")], 0)
    for number in range(IDENTITIES_REMEMBERED_MAXIMUM + 1):
        book.heard(ServerId("a", number.to_bytes(16)), FIRST, number)
    assert book.address_of(ServerId("a", bytes(16))) == ("10.0.0.9", 1)
    assert book.address_of(ServerId("a", (1).to_bytes(16))) == FIRST


def test_an_own_name_is_never_looked_up(names: Names, book: AddressBook) -> None:
    """Nobody writes to himself."""
    book.learn([("me", "me.example:6000")], 0)
    assert not names.waiting


def test_a_malformed_address_from_a_membership_stops_nobody(
    names: Names, book: AddressBook
) -> None:
    """What another server got wrong is like a name that does not resolve."""
    book.learn([("a", "nonsense")], 0)
    names.run()
    book.refresh(1)
    assert book.address_of(A) is None
