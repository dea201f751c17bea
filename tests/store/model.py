"""The store as one would write it without a thought for speed or memory, to compare with."""

from __future__ import annotations

from dataclasses import dataclass, field

from raftudp.store.commands import (
    Command,
    CompareAndSet,
    Delete,
    Item,
    OpenSession,
    Operation,
    Outcome,
    Put,
    Result,
)


@dataclass
class ModelSession:
    """A session that forgets nothing, and only remembers what it should have forgotten."""

    opened_at: int
    last_used: int
    first_incomplete: int = 1
    results: dict[int, Result] = field(default_factory=dict)


@dataclass
class Model:
    """A dict, and all sessions there ever were."""

    sessions_maximum: int
    outstanding_maximum: int
    items: dict[bytes, Item] = field(default_factory=dict)
    sessions: dict[bytes, ModelSession] = field(default_factory=dict)

    def apply(self, command: Command, index: int) -> Result:
        """Apply the command that the entry at `index` completes."""
        if isinstance(command.operation, OpenSession):
            return self._open(command.client_id, index)
        session = self.sessions.get(command.client_id)
        if session is None or session.opened_at != command.opened_at:
            return Result(Outcome.SESSION_EXPIRED, index)
        session.last_used = index
        session.first_incomplete = max(session.first_incomplete, command.first_incomplete)
        if command.sequence < session.first_incomplete:
            return Result(Outcome.SEQUENCE_FORGOTTEN, index)
        if command.sequence - session.first_incomplete >= self.outstanding_maximum:
            return Result(Outcome.TOO_MANY_OUTSTANDING, index)
        if command.sequence not in session.results:
            outcome = self._execute(command.operation, index)
            session.results[command.sequence] = Result(outcome, index)
        return session.results[command.sequence]

    def _open(self, client_id: bytes, index: int) -> Result:
        session = self.sessions.setdefault(client_id, ModelSession(index, index))
        session.last_used = index
        if len(self.sessions) > self.sessions_maximum:
            oldest = min(self.sessions, key=lambda client: self.sessions[client].last_used)
            del self.sessions[oldest]
        return Result(Outcome.DONE, session.opened_at)

    def _execute(self, operation: Operation, index: int) -> Outcome:
        assert not isinstance(operation, OpenSession)
        item = self.items.get(operation.key)
        if isinstance(operation, Delete):
            self.items.pop(operation.key, None)
            return Outcome.DONE if item else Outcome.ABSENT
        if isinstance(operation, CompareAndSet):
            if (item.value if item else None) != operation.expected:
                return Outcome.DIFFERENT
        else:
            assert isinstance(operation, Put)
        self.items[operation.key] = Item(operation.key, operation.value, index)
        return Outcome.DONE
