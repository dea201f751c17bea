"""The records of `writes`: a write that awaits its outcome, one attempt to send it, its session."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from raftudp.client.expectation import Expectation
from raftudp.client.transfers import Delivery
from raftudp.limits import SESSION_OUTSTANDING_MAXIMUM
from raftudp.store.commands import Operation
from raftudp.wire.client_messages import RefusalReason

CLIENT_ID_BYTES_SHOWN: Final = 4


@dataclass(slots=True, eq=False)
class PendingWrite:
    """One write, until the caller has its outcome."""

    handle: int | None
    """None for the opening of a session, which no caller waits for."""
    operation: Operation
    submitted_us: int
    session: WriteSession | None = None
    """None until it has a sequence."""
    sequence: int = 0
    is_queued: bool = False
    is_ended: bool = False
    attempts: dict[int, Attempt] = field(default_factory=dict)
    """Those that were not refused for good."""
    latest: Attempt | None = None
    refusal: RefusalReason | None = None
    """The latest one."""

    @property
    def request_id(self) -> str:
        """Names the write in the replicas' logs."""
        assert self.session is not None, "what was never sent is in no log"
        return f"{self.session.client_id[:CLIENT_ID_BYTES_SHOWN].hex()}-{self.sequence}"

    @property
    def may_have_arrived(self) -> bool:
        """Whether some attempt may have been taken by the process that it was sent to."""
        return any(attempt.delivery.may_have_arrived for attempt in self.attempts.values())

    def leave_session(self) -> None:
        """Be as before it got a sequence."""
        assert not self.attempts, "what may have arrived keeps its sequence"
        self.session = None
        self.sequence = 0
        self.is_queued = False
        self.latest = None


@dataclass(slots=True, eq=False)
class Attempt:
    """One Write, sent once."""

    number: int
    process: bytes
    """The only process that may take it."""
    delivery: Delivery
    writes: dict[int, PendingWrite]
    """Those of it that still await their outcome, by sequence."""
    expectation: Expectation | None = None

    def drop(self, write: PendingWrite) -> None:
        """The write has nothing to expect of this attempt any more."""
        self.writes.pop(write.sequence, None)
        write.attempts.pop(self.number, None)


@dataclass(slots=True, eq=False)
class WriteSession:
    """A session of the replicated store: a client id, and sequences in order."""

    client_id: bytes
    opened_at: int = 0
    """The log index that opened it; 0 until that is known."""
    is_opening: bool = False
    next_sequence: int = 1
    pending: dict[int, PendingWrite] = field(default_factory=dict)
    """Writes without an outcome, by sequence, lowest first; the opening is 0."""

    def first_incomplete(self) -> int:
        """The lowest sequence that still awaits its outcome; all below have theirs."""
        numbers: Iterator[int] = iter(self.pending)
        return next(numbers, self.next_sequence)

    def has_room(self) -> bool:
        """Whether the store would take one more, counted from the lowest incomplete one."""
        return self.next_sequence - self.first_incomplete() < SESSION_OUTSTANDING_MAXIMUM

    def take(self, write: PendingWrite, sequence: int) -> None:
        """Give a write its place."""
        write.session = self
        write.sequence = sequence
        self.pending[sequence] = write

    def take_next(self, write: PendingWrite) -> None:
        """Give a write the next sequence."""
        self.take(write, self.next_sequence)
        self.next_sequence += 1
