"""What a follower keeps of AppendEntries that overtook their predecessors."""

from __future__ import annotations

from itertools import permutations

import pytest

from raftudp.consensus.early import EarlyMessages
from raftudp.consensus.messages import AppendEntries
from raftudp.consensus.vocabulary import Entry, EntryKind
from raftudp.limits import ENTRY_OVERHEAD_BYTES, IN_FLIGHT_BYTES_PER_FOLLOWER
from tests.consensus.one_server import OneServer


def terms(one: OneServer) -> list[int]:
    log = one.state.log
    return [log.term_at(index) for index in range(1, log.last_index + 1)]


def message(term: int, previous: int, size: int = 1, previous_term: int = 1) -> AppendEntries:
    entry = Entry(term, EntryKind.COMMAND, bytes(size))
    return AppendEntries(term, 1, previous, previous_term, 1, (entry,))


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_a_train_in_any_order_arrives_whole(order: tuple[int, ...]) -> None:
    """Each message once is enough, however they overtake one another."""
    one = OneServer()
    train = [message(2, index, previous_term=2 if index > 1 else 1) for index in range(1, 5)]
    for place in order:
        one.receive("b", train[place])
    assert terms(one) == [1, 2, 2, 2, 2]
    assert one.state.early.size_bytes == 0


def test_what_a_deposed_leader_sent_too_early_is_never_appended() -> None:
    """A message kept from term 2 does not join the log of term 3."""
    one = OneServer()
    one.receive("b", message(2, 2, previous_term=2))
    one.receive("c", message(3, 1))
    assert terms(one) == [1, 3]
    one.receive("c", message(3, 2, previous_term=3))
    assert terms(one) == [1, 3, 3]


def test_no_more_is_kept_than_a_leader_has_in_flight() -> None:
    """At the bound a message is kept, past it none."""
    early = EarlyMessages()
    room = IN_FLIGHT_BYTES_PER_FOLLOWER - ENTRY_OVERHEAD_BYTES
    early.keep(message(2, 5, room))
    early.keep(message(2, 9, 1))
    assert early.size_bytes == IN_FLIGHT_BYTES_PER_FOLLOWER
    assert early.take(2, 9) is None
    assert early.take(2, 5) == message(2, 5, room)
    early.keep(message(2, 5, room + 1))
    assert len(early) == 0


def test_heartbeats_are_not_kept() -> None:
    """A message without entries has nothing to wait for."""
    early = EarlyMessages()
    early.keep(AppendEntries(2, 1, 5, 1, 1, ()))
    assert len(early) == 0


def test_what_was_brought_by_another_message_is_dropped() -> None:
    """Messages that begin before the verified index no longer take up room."""
    early = EarlyMessages()
    for place in (3, 5, 8):
        early.keep(message(2, place))
    early.drop_before(8)
    assert len(early) == 1
    assert early.take(2, 8) == message(2, 8)
    assert early.size_bytes == 0
