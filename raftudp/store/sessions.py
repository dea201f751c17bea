"""Who has asked what before: sessions make writes exactly-once (dissertation, section 6.3).

All decisions follow the order of the log, so all replicas remember and forget the same.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from raftudp.limits import (
    SESSION_OUTSTANDING_MAXIMUM,
    SESSION_RESULTS_MAXIMUM,
    SESSIONS_MAXIMUM,
)
from raftudp.store.commands import Command, Outcome, Result


class Session:
    """One client's session."""

    __slots__ = ("first_incomplete", "opened_at", "results")

    def __init__(self, opened_at: int) -> None:
        self.opened_at = opened_at
        self.first_incomplete = 1
        """The client has the results of all sequences below; they were dropped here."""
        self.results: dict[int, Result] = {}
        """By sequence; all within SESSION_OUTSTANDING_MAXIMUM from `first_incomplete` on."""


class Sessions:
    """All sessions, ordered by their last use in the log."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()
        self._results_count = 0

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[tuple[bytes, Session]]:
        return iter(self._sessions.items())

    def open(self, client_id: bytes, index: int) -> Result:
        """Open a session at `index`, or find the one that an earlier copy of the request opened."""
        session = self._sessions.get(client_id)
        if session is None:
            session = self._sessions[client_id] = Session(index)
            if len(self._sessions) > SESSIONS_MAXIMUM:
                self._expire_oldest()
        else:
            self._sessions.move_to_end(client_id)
        return Result(Outcome.DONE, session.opened_at)

    def check(self, command: Command, index: int) -> Result | None:
        """Answer a command that must not be applied (again); None if it is to be applied now."""
        session = self._sessions.get(command.client_id)
        if session is None or session.opened_at != command.opened_at:
            return Result(Outcome.SESSION_EXPIRED, index)
        self._sessions.move_to_end(command.client_id)
        self._forget_below(session, command.first_incomplete)
        if command.sequence < session.first_incomplete:
            return Result(Outcome.SEQUENCE_FORGOTTEN, index)
        if command.sequence >= session.first_incomplete + SESSION_OUTSTANDING_MAXIMUM:
            return Result(Outcome.TOO_MANY_OUTSTANDING, index)
        return session.results.get(command.sequence)

    def record(self, command: Command, result: Result) -> None:
        """Keep the result of a command that `check` let pass."""
        self._sessions[command.client_id].results[command.sequence] = result
        self._results_count += 1
        while self._results_count > SESSION_RESULTS_MAXIMUM:
            self._expire_oldest()

    def result_of(self, client_id: bytes, opened_at: int, sequence: int) -> Result | None:
        """The kept result of a command, if it was applied and its result is not yet dropped."""
        session = self._sessions.get(client_id)
        if session is None or session.opened_at != opened_at:
            return None
        return session.results.get(sequence)

    def _forget_below(self, session: Session, first_incomplete: int) -> None:
        if first_incomplete <= session.first_incomplete:
            return
        # Results lie within the outstanding window, however far the client has moved on.
        window_end = session.first_incomplete + SESSION_OUTSTANDING_MAXIMUM
        for sequence in range(session.first_incomplete, min(first_incomplete, window_end)):
            if session.results.pop(sequence, None) is not None:
                self._results_count -= 1
        session.first_incomplete = first_incomplete

    def _expire_oldest(self) -> None:
        _, session = self._sessions.popitem(last=False)
        self._results_count -= len(session.results)
