"""The replicated log in memory: entries by index, and which of them the runtime has not yet been
told to write.

Indexes start at 1. Beside the entries it keeps the places of the few that are not commands, so that
the membership in force and the opening of the cluster roll back with a truncation.
"""

from __future__ import annotations

from collections.abc import Sequence

from raftudp.consensus.vocabulary import Cluster, Entry, EntryKind, Index, Membership, Term
from raftudp.limits import ENTRY_OVERHEAD_BYTES

NO_MEMBERSHIP = Membership(())


def entry_bytes(entry: Entry) -> int:
    """An upper bound of the entry's size in a message, in bytes."""
    data = entry.data
    if isinstance(data, bytes):
        return len(data) + ENTRY_OVERHEAD_BYTES
    if isinstance(data, Membership):
        return ENTRY_OVERHEAD_BYTES + sum(
            len(slot.name.encode()) + len(slot.address.encode()) + 42 for slot in data.slots
        )
    return ENTRY_OVERHEAD_BYTES + 48


class Log:
    """All entries since the founding."""

    __slots__ = ("_cut", "_entries", "_memberships", "_openings", "_written", "last_index")

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self.last_index: Index = 0
        """The index of the last entry, 0 while there is none; as many entries are held."""
        self._memberships: list[tuple[Index, Membership]] = []
        self._openings: list[tuple[Index, Cluster]] = []
        self._written: Index = 0
        self._cut: Index | None = None

    @property
    def last_term(self) -> Term:
        """The term of the last entry, 0 while there is none."""
        return self._entries[-1].term if self._entries else 0

    def term_at(self, index: Index) -> Term:
        """The term of the entry at `index`, which must be in the log; 0 for index 0."""
        assert 0 <= index <= len(self._entries), (index, len(self._entries))
        return self._entries[index - 1].term if index else 0

    def matches(self, index: Index, term: Term) -> bool:
        """Whether the log holds an entry of `term` at `index` (the consistency check of section
        5.3).
        """
        return index <= len(self._entries) and self.term_at(index) == term

    def is_up_to_date(self, last_index: Index, last_term: Term) -> bool:
        """Whether a log that ends so is at least as up-to-date as this one (section 5.4.1)."""
        return (last_term, last_index) >= (self.last_term, self.last_index)

    def greatest_index_not_above(self, index: Index, term: Term) -> Index:
        """The greatest index up to `index` whose term is not above `term`: where two logs may still
        agree.
        """
        index = min(index, self.last_index)
        while index > 0 and self._entries[index - 1].term > term:
            index -= 1
        return index

    def between(self, first: Index, last: Index) -> list[Entry]:
        """The entries from `first` to `last`, both included."""
        return self._entries[first - 1 : last]

    def batch(
        self, first: Index, bytes_maximum: int, entries_maximum: int
    ) -> tuple[tuple[Entry, ...], int]:
        """As many entries from `first` on as fit, at least one if there is any, and their size in
        bytes.
        """
        size, end = 0, first - 1
        stop = min(len(self._entries), first - 1 + entries_maximum)
        while end < stop:
            step = entry_bytes(self._entries[end])
            if size + step > bytes_maximum and size:
                break
            size += step
            end += 1
        return tuple(self._entries[first - 1 : end]), size

    def append(self, entries: Sequence[Entry]) -> None:
        """Adds entries at the end."""
        for index, entry in enumerate(entries, self.last_index + 1):
            if entry.kind is EntryKind.MEMBERSHIP:
                assert isinstance(entry.data, Membership)
                self._memberships.append((index, entry.data))
            elif entry.kind is EntryKind.OPEN:
                assert isinstance(entry.data, Cluster)
                self._openings.append((index, entry.data))
        self._entries.extend(entries)
        self.last_index = len(self._entries)

    def truncate_after(self, index: Index) -> None:
        """Removes all entries beyond `index`."""
        assert index < self.last_index
        del self._entries[index:]
        self.last_index = index
        while self._memberships and self._memberships[-1][0] > index:
            self._memberships.pop()
        while self._openings and self._openings[-1][0] > index:
            self._openings.pop()
        if index < self._written:
            self._cut = index if self._cut is None else min(self._cut, index)
            self._written = index

    def take_unwritten(self) -> tuple[Index | None, Index, list[Entry]]:
        """What the runtime must do to its copy: cut after (or None), first new index, new entries.

        Asks it once.
        """
        cut, first, entries = self._cut, self._written + 1, self._entries[self._written :]
        self._cut, self._written = None, self.last_index
        return cut, first, entries

    @property
    def membership(self) -> Membership:
        """The latest membership, committed or not: it is in force once it is appended."""
        return self._memberships[-1][1] if self._memberships else NO_MEMBERSHIP

    @property
    def membership_index(self) -> Index:
        """Where the latest membership lies; 0 without one."""
        return self._memberships[-1][0] if self._memberships else 0

    def opening(self, cluster: Cluster) -> Index | None:
        """Where this epoch's OPEN entry lies, if it is in the log."""
        return next((index for index, opened in self._openings if opened == cluster), None)
