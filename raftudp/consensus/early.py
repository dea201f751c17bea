"""AppendEntries that overtook their predecessors, kept for a while by the follower that got them.

Datagrams overtake one another, and a lost one is missed before those behind it. Without this a
follower would refuse everything after a gap, and the leader would send all of it again. Each
message kept goes through the ordinary consistency check once the gap before it is closed, as if it
had arrived only then: the network could have delayed it as long.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from raftudp.consensus.log import entry_bytes
from raftudp.consensus.messages import AppendEntries
from raftudp.consensus.vocabulary import Index, Term
from raftudp.limits import IN_FLIGHT_BYTES_PER_FOLLOWER


@dataclass(slots=True)
class EarlyMessages:
    """Messages by the index that they follow on; of one term, and no more than a leader sends."""

    _messages: dict[Index, tuple[AppendEntries, int]] = field(default_factory=dict)
    _term: Term = 0
    size_bytes: int = 0
    """At most IN_FLIGHT_BYTES_PER_FOLLOWER."""

    def __len__(self) -> int:
        return len(self._messages)

    def keep(self, message: AppendEntries) -> None:
        """Keeps a message with entries, unless its place or all room is taken."""
        if message.term != self._term:
            self.clear()
            self._term = message.term
        place = message.previous_log_index
        size_bytes = sum(entry_bytes(entry) for entry in message.entries)
        if (
            message.entries
            and place not in self._messages
            and self.size_bytes + size_bytes <= IN_FLIGHT_BYTES_PER_FOLLOWER
        ):
            self._messages[place] = (message, size_bytes)
            self.size_bytes += size_bytes

    def take(self, term: Term, last_index: Index) -> AppendEntries | None:
        """Takes out the message of `term` that follows on `last_index`, if it is here."""
        if not self._messages or term != self._term:
            return None
        found = self._messages.pop(last_index, None)
        if found is None:
            return None
        self.size_bytes -= found[1]
        return found[0]

    def drop_before(self, last_index: Index) -> None:
        """Drops what begins before `last_index`: another message brought the same entries."""
        passed = [place for place in self._messages if place < last_index]
        for place in passed:
            self.size_bytes -= self._messages.pop(place)[1]

    def clear(self) -> None:
        """Drops everything."""
        self._messages.clear()
        self.size_bytes = 0
