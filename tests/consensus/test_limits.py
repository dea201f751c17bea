"""What bounds a server: sizes, windows, and how much it takes; at the bound and one past."""

from __future__ import annotations

import pytest

from raftudp.consensus.log import entry_bytes
from raftudp.consensus.messages import AppendEntries, AppendEntriesResponse
from raftudp.consensus.outputs import Refusal
from raftudp.consensus.progress import WINDOW_BYTES_FIRST
from raftudp.consensus.replication import split_command
from raftudp.consensus.vocabulary import EntryKind
from raftudp.limits import (
    APPEND_ENTRIES_OVERHEAD_BYTES,
    BODY_BYTES_MINIMUM,
    COMMAND_BYTES_MAXIMUM,
    DATAGRAM_BYTES_LOOPBACK,
    ENTRY_DATA_BYTES_MAXIMUM,
    ENTRY_OVERHEAD_BYTES,
    IN_FLIGHT_BYTES_PER_FOLLOWER,
    UNCOMMITTED_BYTES_MAXIMUM,
)
from raftudp.wire.codec import encode_message
from tests.consensus.cluster import opened
from tests.consensus.one_server import OneServer, identity


@pytest.mark.parametrize(
    ("size", "parts"),
    [
        (0, 1),
        (1, 1),
        (ENTRY_DATA_BYTES_MAXIMUM, 1),
        (ENTRY_DATA_BYTES_MAXIMUM + 1, 2),
        (5 * ENTRY_DATA_BYTES_MAXIMUM, 5),
    ],
)
def test_a_command_larger_than_an_entry_becomes_parts_that_each_fit(size: int, parts: int) -> None:
    """The last one is a COMMAND, those before it COMMAND_PARTs; joined they are the command."""
    data = bytes(n % 251 for n in range(size))
    entries = split_command(7, data)
    assert [entry.kind for entry in entries] == (
        [EntryKind.COMMAND_PART] * (parts - 1) + [EntryKind.COMMAND]
    )
    assert b"".join(entry.data for entry in entries if isinstance(entry.data, bytes)) == data
    assert all(entry_bytes(e) <= ENTRY_DATA_BYTES_MAXIMUM + ENTRY_OVERHEAD_BYTES for e in entries)


def test_a_large_command_is_committed_through_the_smallest_datagrams() -> None:
    """Every message fits, encoded, and the proposal names the last entry."""
    cluster = opened()
    data = bytes(200_000)
    index = cluster.propose("a", data).proposals[0].index
    assert index == 3 + -(-200_000 // ENTRY_DATA_BYTES_MAXIMUM)
    for letter in cluster.letters(kind=AppendEntries):
        assert len(encode_message(letter.mail.message)) <= BODY_BYTES_MINIMUM
    cluster.settle()
    committed = cluster.machines["a"].memory.committed
    assert b"".join(e.data for e in committed[3:] if isinstance(e.data, bytes)) == data


@pytest.mark.parametrize("body_bytes", [BODY_BYTES_MINIMUM, DATAGRAM_BYTES_LOOPBACK])
def test_a_message_carries_what_fits_and_not_one_entry_more(body_bytes: int) -> None:
    """Entries are packed up to the bound."""
    one = OneServer(body_bytes=body_bytes)
    one.lead()
    one.propose(*(bytes(10) for _ in range(6_000)))
    first = one.sent(AppendEntries, "b")[0]
    size = sum(entry_bytes(entry) for entry in first.entries)
    budget = body_bytes - APPEND_ENTRIES_OVERHEAD_BYTES
    assert budget - (10 + ENTRY_OVERHEAD_BYTES) < size <= budget
    assert len(encode_message(first)) <= body_bytes


def test_a_single_entry_of_exactly_the_budget_fits() -> None:
    """At the bound; with one byte less of a datagram, two entries take two messages."""
    entry_size = 100 + ENTRY_OVERHEAD_BYTES
    for spare, expected in ((0, [2]), (-1, [1, 1])):
        one = OneServer(body_bytes=APPEND_ENTRIES_OVERHEAD_BYTES + 2 * entry_size + spare)
        one.lead()
        one.propose(bytes(100), bytes(100))
        assert [len(message.entries) for message in one.sent(AppendEntries, "b")] == expected


def test_the_bytes_in_flight_to_a_follower_stay_within_its_window() -> None:
    """The window may be exceeded by less than one message, and goes on with the answers."""
    one = OneServer()
    one.lead()
    one.propose(bytes(WINDOW_BYTES_FIRST * 3))
    sent = one.sent(AppendEntries, "b")
    size = sum(entry_bytes(entry) for message in sent for entry in message.entries)
    assert WINDOW_BYTES_FIRST * 2 > size >= WINDOW_BYTES_FIRST
    assert size < one.state.progress[identity("b")].window_bytes + BODY_BYTES_MINIMUM
    one.propose(b"more")
    assert one.sent(AppendEntries, "b") == []
    one.acknowledge("b", match_index=sent[0].previous_log_index + len(sent[0].entries))
    assert one.sent(AppendEntries, "b")
    assert one.sent(AppendEntries, "c") == []


def test_the_window_grows_with_answers_up_to_its_bound_and_halves_with_losses() -> None:
    """A lost message makes the follower refuse all after it."""
    one = OneServer()
    one.lead()
    progress = one.state.progress[identity("b")]
    for _ in range(40):
        one.propose(bytes(100_000))
        while progress.match_index < one.state.log.last_index:
            one.acknowledge("b", match_index=progress.next_index - 1)
        assert progress.in_flight_bytes == 0
    assert progress.window_bytes == IN_FLIGHT_BYTES_PER_FOLLOWER
    one.propose(b"lost", b"too")
    state = one.state
    previous, matched = state.log.last_index - 1, progress.match_index
    refusal = AppendEntriesResponse(2, state.round, False, 0, previous, matched, 2)
    one.receive("b", refusal, refusal)
    assert progress.window_bytes == IN_FLIGHT_BYTES_PER_FOLLOWER // 2


def test_a_command_of_the_greatest_size_is_taken_and_one_byte_more_is_refused() -> None:
    """What is refused leaves no trace in the log."""
    one = OneServer()
    one.lead()
    before = one.state.log.last_index
    one.propose(bytes(COMMAND_BYTES_MAXIMUM + 1))
    assert one.last.proposals[0].refusal is Refusal.TOO_LARGE
    assert one.state.log.last_index == before
    one.propose(bytes(COMMAND_BYTES_MAXIMUM))
    assert one.last.proposals[0].refusal is None


def test_more_uncommitted_bytes_than_the_bound_are_refused_as_overload() -> None:
    """Exactly the bound is taken; what is committed makes room again."""
    one = OneServer()
    one.lead()
    one.state.uncommitted_bytes = UNCOMMITTED_BYTES_MAXIMUM - 100
    one.propose(bytes(101))
    assert one.last.proposals[0].refusal is Refusal.OVERLOADED
    one.propose(bytes(100))
    assert one.last.proposals[0].refusal is None
    one.propose(b"x")
    assert one.last.proposals[0].refusal is Refusal.OVERLOADED


def test_what_is_committed_is_not_counted_as_uncommitted_any_more() -> None:
    """The count returns to nothing, whatever kinds of entries there were."""
    one = OneServer()
    one.lead()
    one.propose(b"", b"x", bytes(5_000))
    assert one.state.uncommitted_bytes > 5_000
    one.acknowledge("b", match_index=one.state.log.last_index - 3)
    one.acknowledge("c", match_index=one.state.log.last_index - 2)
    one.persist()
    one.acknowledge("b")
    assert one.state.uncommitted_bytes == 0
