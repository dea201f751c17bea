"""Names become addresses without holding anybody up."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from raftudp.client.addresses import LOOK_UP_US, ServerAddresses, look_up_for, parse_servers
from raftudp.errors import ConfigurationError
from raftudp.network.udp import SocketAddress

Work = Callable[[], None]


class LookUps:
    """Look-ups that end when the test says so."""

    def __init__(self) -> None:
        self.answers: dict[str, list[SocketAddress]] = {}
        self.started: list[Work] = []
        self.wakes = 0
        self.addresses = ServerAddresses(self.look_up, self.wake, self.started.append)

    def look_up(self, host: str, port: int) -> list[SocketAddress]:
        if host not in self.answers:
            raise OSError(f"no such host: {host}")
        return self.answers[host]

    def wake(self) -> None:
        self.wakes += 1

    def end_all(self) -> None:
        while self.started:
            self.started.pop()()
        self.addresses.refresh()


def test_a_name_is_looked_up_elsewhere() -> None:
    """Asking for an address begins a look-up and returns at once."""
    look_ups = LookUps()
    look_ups.answers["one"] = [("10.0.0.1", 6000)]
    addresses = look_ups.addresses
    assert addresses.address_of("one:6000", 0) is None
    assert addresses.address_of("one:6000", 0) is None
    assert len(look_ups.started) == 1
    look_ups.end_all()
    assert look_ups.wakes == 1
    assert addresses.address_of("one:6000", 0) == ("10.0.0.1", 6000)
    assert addresses.server_of(("10.0.0.1", 6000)) == "one:6000"
    assert addresses.server_of(("10.0.0.2", 6000)) == ""


def test_an_address_needs_no_look_up_elsewhere() -> None:
    """Numbers are there at once, for both families."""
    addresses = ServerAddresses(look_up_for(socket.AF_INET6), lambda: None, pytest.fail)
    assert addresses.address_of("127.0.0.1:6000", 0) == ("::ffff:127.0.0.1", 6000, 0, 0)
    assert addresses.address_of("[::1]:6000", 0) == ("::1", 6000, 0, 0)
    assert addresses.is_loopback("127.0.0.1:6000")
    assert addresses.is_loopback("[::1]:6000")
    assert addresses.address_of("192.0.2.1:6000", 0) is not None
    assert not addresses.is_loopback("192.0.2.1:6000")


def test_a_silent_server_is_looked_up_again_and_its_next_address_tried() -> None:
    """Not more often than once in a while."""
    look_ups = LookUps()
    first: SocketAddress = ("10.0.0.1", 6000)
    second: SocketAddress = ("10.0.0.2", 6000)
    look_ups.answers["one"] = [first, second]
    addresses = look_ups.addresses
    addresses.address_of("one:6000", 0)
    look_ups.end_all()
    addresses.fell_silent(["one:6000"], LOOK_UP_US - 1)
    assert addresses.address_of("one:6000", 0) == first
    addresses.fell_silent(["one:6000"], LOOK_UP_US)
    assert addresses.address_of("one:6000", 0) == second
    look_ups.answers["one"] = [("10.0.0.3", 6000)]
    look_ups.end_all()
    assert addresses.address_of("one:6000", 0) == ("10.0.0.3", 6000)
    assert addresses.server_of(first) == ""


def test_a_look_up_that_fails_changes_nothing() -> None:
    """The last known address stays in use."""
    look_ups = LookUps()
    look_ups.answers["one"] = [("10.0.0.1", 6000)]
    addresses = look_ups.addresses
    addresses.address_of("one:6000", 0)
    look_ups.end_all()
    look_ups.answers.clear()
    addresses.fell_silent(["one:6000"], LOOK_UP_US)
    look_ups.end_all()
    assert addresses.address_of("one:6000", 0) == ("10.0.0.1", 6000)


def test_a_hint_that_is_no_address_leads_nowhere() -> None:
    """It came from outside, and breaks nothing."""
    look_ups = LookUps()
    assert look_ups.addresses.address_of("nonsense", 0) is None
    assert look_ups.started == []


@pytest.mark.parametrize("servers", ["", [], "a", ["a:b"], ["a:0"], "a:1,b", ["a:70000"]])
def test_a_malformed_list_of_servers_is_refused(servers: str | list[str]) -> None:
    """The error says how it is written."""
    with pytest.raises(ConfigurationError, match=r"HOST:PORT|port"):
        parse_servers(servers)


def test_servers_are_given_as_a_list_or_with_commas() -> None:
    """Each once, in the order given."""
    assert parse_servers("a:1, b:2,a:1") == ["a:1", "b:2"]
    assert parse_servers(["b:2", "[::1]:6000"]) == ["b:2", "[::1]:6000"]
