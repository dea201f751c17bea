"""The log against a naive model: a list, and what a runtime would have written."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from raftudp.consensus.log import NO_MEMBERSHIP, Log, entry_bytes
from raftudp.consensus.vocabulary import Cluster, Entry, EntryKind, Membership, Slot

MEMBERSHIPS = [
    Membership(tuple(Slot(name, f"{name}:1", name.encode() * 16) for name in names))
    for names in ("a", "ab", "abc")
]
CLUSTERS = [Cluster(b"c" * 16, epoch, b"e" * 16) for epoch in (1, 2)]
CONTENTS = st.one_of(
    st.builds(lambda size: (EntryKind.COMMAND, bytes(size)), st.integers(0, 300)),
    st.just((EntryKind.NOOP, b"")),
    st.sampled_from([(EntryKind.MEMBERSHIP, membership) for membership in MEMBERSHIPS]),
    st.sampled_from([(EntryKind.OPEN, cluster) for cluster in CLUSTERS]),
)


class LogAgainstAList(RuleBasedStateMachine):
    """Appends, cuts and hand-outs in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Log()
        self.model: list[Entry] = []
        self.written: list[Entry] = []
        """What a runtime that obeys `take_unwritten` holds."""
        self.handed_out = 0

    @rule(contents=st.lists(CONTENTS, max_size=5), term_step=st.integers(0, 2))
    def append(self, contents: list[tuple[EntryKind, object]], term_step: int) -> None:
        term = (self.model[-1].term if self.model else 1) + term_step
        entries = [Entry(term, kind, data) for kind, data in contents]  # type: ignore[arg-type]  # drawn in pairs that fit
        self.log.append(entries)
        self.model += entries

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def truncate(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.model) - 1))
        self.log.truncate_after(index)
        del self.model[index:]

    @rule()
    def hand_out(self) -> None:
        cut, first, entries = self.log.take_unwritten()
        if cut is not None:
            assert cut < len(self.written)
            del self.written[cut:]
        assert first == len(self.written) + 1
        self.written += entries
        assert self.written == self.model

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.model) + 2))
        term = data.draw(st.integers(0, self.model[-1].term + 1))
        is_there = index == 0 or index <= len(self.model)
        real_term = self.model[index - 1].term if index and is_there else 0
        assert self.log.matches(index, term) == (is_there and real_term == term)
        candidates = [0, *(n for n, e in enumerate(self.model, 1) if n <= index and e.term <= term)]
        assert self.log.greatest_index_not_above(index, term) == max(candidates)
        ours = (self.model[-1].term, len(self.model))
        assert self.log.is_up_to_date(index, term) == ((term, index) >= ours)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), bytes_maximum=st.integers(1, 900), entries_maximum=st.integers(1, 4))
    def batch(self, data: st.DataObject, bytes_maximum: int, entries_maximum: int) -> None:
        first = data.draw(st.integers(1, len(self.model)))
        entries, size = self.log.batch(first, bytes_maximum, entries_maximum)
        assert 1 <= len(entries) <= entries_maximum
        assert list(entries) == self.model[first - 1 : first - 1 + len(entries)]
        assert size == sum(entry_bytes(entry) for entry in entries)
        assert size <= bytes_maximum or len(entries) == 1
        rest = self.model[first - 1 + len(entries) :]
        is_full = len(entries) == entries_maximum or not rest
        assert is_full or size + entry_bytes(rest[0]) > bytes_maximum

    @invariant()
    def agrees(self) -> None:
        assert self.log.between(1, self.log.last_index) == self.model
        assert self.log.last_term == (self.model[-1].term if self.model else 0)
        memberships = [(n, e.data) for n, e in enumerate(self.model, 1) if e.kind == 3]
        assert self.log.membership == (memberships[-1][1] if memberships else NO_MEMBERSHIP)
        assert self.log.membership_index == (memberships[-1][0] if memberships else 0)
        for cluster in CLUSTERS:
            places = [n for n, e in enumerate(self.model, 1) if e.data == cluster]
            assert self.log.opening(cluster) == (places[0] if places else None)


class TestLog(LogAgainstAList.TestCase):  # type: ignore[misc]  # hypothesis makes the class
    """Whatever happens to the log, it equals the list, and its writer's copy equals both."""

    settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
