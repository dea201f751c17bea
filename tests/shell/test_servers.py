"""Finding servers by their names."""

from __future__ import annotations

import pytest

from shell.servers import Servers, UnknownServer
from tests.shell.fakes import ADDRESSES, FakeCluster

NAMED = {f"ss-{number}": f"10.0.0.{number}:6000" for number in (10, 2, 1, 0)}


def test_a_whole_name_is_not_ambiguous() -> None:
    """ss-1 is a server although ss-10 begins with it too."""
    servers = Servers(FakeCluster(), NAMED)
    assert servers.resolve("ss-1") == "ss-1"
    assert servers.resolve("ss-10") == "ss-10"
    with pytest.raises(UnknownServer, match="'ss' is ambiguous: ss-0, ss-1, ss-2, ss-10"):
        servers.resolve("ss")


def test_numbers_are_in_their_order() -> None:
    """ss-10 comes after ss-2."""
    assert list(Servers(FakeCluster(), NAMED).known()) == ["ss-0", "ss-1", "ss-2", "ss-10"]


def test_names_are_learned_from_answers() -> None:
    """Where none are given; a server that is silent is known from the membership of the others."""
    servers = Servers(FakeCluster(silent={"ss-2"}), {})
    assert servers.known() == ADDRESSES
    assert servers.address("ss-2") == ADDRESSES["ss-2"]


def test_an_answer_counts_more_than_what_was_given() -> None:
    """A name given for another address is corrected by the server itself."""
    servers = Servers(FakeCluster(), {"ss-1": ADDRESSES["ss-0"]})
    servers.ask()
    assert servers.address("ss-1") == ADDRESSES["ss-1"]


def test_nobody_is_known_where_nobody_answers() -> None:
    """The error says that, and does not blame the name."""
    with pytest.raises(UnknownServer, match="no server answered"):
        Servers(FakeCluster(silent=set(ADDRESSES)), {}).resolve("ss-0")
