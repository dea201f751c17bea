"""Sessions: each write once, with bounded memory and an honest answer about the forgotten."""

from __future__ import annotations

import pytest

from raftudp.limits import SESSION_OUTSTANDING_MAXIMUM, SESSIONS_MAXIMUM
from raftudp.store import sessions as sessions_module
from raftudp.store.commands import Command, Delete, Outcome, Result
from raftudp.store.sessions import Sessions


def client(number: int) -> bytes:
    return number.to_bytes(16)


def command(number: int, opened_at: int, sequence: int = 1, first_incomplete: int = 1) -> Command:
    return Command(client(number), opened_at, sequence, first_incomplete, Delete(b""))


def apply(sessions: Sessions, asked: Command, index: int) -> Result:
    """What the state machine does, with an operation that is always done."""
    answered = sessions.check(asked, index)
    if answered is None:
        answered = Result(Outcome.DONE, index)
        sessions.record(asked, answered)
    return answered


def test_a_session_is_opened_once():
    """A repeated OpenSession answers the index of the first."""
    sessions = Sessions()
    assert sessions.open(client(1), 5) == Result(Outcome.DONE, 5)
    assert sessions.open(client(1), 9) == Result(Outcome.DONE, 5)
    assert len(sessions) == 1


def test_an_unknown_session_is_expired():
    """Without a session, or under one opened at another index, nothing is applied."""
    sessions = Sessions()
    assert sessions.check(command(1, 5), 6) == Result(Outcome.SESSION_EXPIRED, 6)
    sessions.open(client(1), 7)
    assert sessions.check(command(1, 5), 8) == Result(Outcome.SESSION_EXPIRED, 8)
    assert sessions.result_of(client(1), 5, 1) is None


def test_the_oldest_session_expires_one_past_the_bound():
    """SESSIONS_MAXIMUM sessions are kept; one more pushes out the one unused for longest."""
    sessions = Sessions()
    for number in range(SESSIONS_MAXIMUM):
        sessions.open(client(number), number + 1)
    assert len(sessions) == SESSIONS_MAXIMUM
    assert apply(sessions, command(0, 1), 20_000).outcome == Outcome.DONE
    sessions.open(client(SESSIONS_MAXIMUM), 20_001)
    assert len(sessions) == SESSIONS_MAXIMUM
    assert apply(sessions, command(1, 2), 20_002).outcome == Outcome.SESSION_EXPIRED
    assert apply(sessions, command(0, 1, 2), 20_003).outcome == Outcome.DONE
    assert apply(sessions, command(2, 3), 20_004).outcome == Outcome.DONE


def test_repeating_an_open_counts_as_use():
    """A session whose OpenSession is repeated is not the oldest any more."""
    sessions = Sessions()
    for number in range(SESSIONS_MAXIMUM):
        sessions.open(client(number), number + 1)
    sessions.open(client(0), 20_000)
    sessions.open(client(SESSIONS_MAXIMUM), 20_001)
    assert sessions.check(command(0, 1), 20_002) is None
    assert sessions.check(command(1, 2), 20_003) == Result(Outcome.SESSION_EXPIRED, 20_003)


def test_the_outstanding_window_at_its_end_and_one_past_it():
    """Sequences within the window are applied, also out of order; one past it is refused."""
    sessions = Sessions()
    sessions.open(client(1), 1)
    last = SESSION_OUTSTANDING_MAXIMUM
    assert apply(sessions, command(1, 1, last), 2) == Result(Outcome.DONE, 2)
    refused = Result(Outcome.TOO_MANY_OUTSTANDING, 3)
    assert apply(sessions, command(1, 1, last + 1), 3) == refused
    assert apply(sessions, command(1, 1, last + 1, first_incomplete=2), 4).outcome == Outcome.DONE
    assert apply(sessions, command(1, 1, last, first_incomplete=2), 5) == Result(Outcome.DONE, 2)


def test_results_are_dropped_below_first_incomplete():
    """What the client has is forgotten; a late duplicate of it is told so and not applied."""
    sessions = Sessions()
    sessions.open(client(1), 1)
    for sequence in (1, 2, 3):
        apply(sessions, command(1, 1, sequence), 1 + sequence)
    apply(sessions, command(1, 1, 4, first_incomplete=3), 5)
    forgotten = Result(Outcome.SEQUENCE_FORGOTTEN, 6)
    assert apply(sessions, command(1, 1, 2), 6) == forgotten
    assert sessions.result_of(client(1), 1, 2) is None
    assert sessions.result_of(client(1), 1, 3) == Result(Outcome.DONE, 4)
    ((_, session),) = sessions
    assert sorted(session.results) == [3, 4]


def test_first_incomplete_never_moves_back():
    """A late duplicate that says less brings nothing back."""
    sessions = Sessions()
    sessions.open(client(1), 1)
    apply(sessions, command(1, 1, 5, first_incomplete=5), 2)
    assert apply(sessions, command(1, 1, 4, first_incomplete=1), 3).outcome == (
        Outcome.SEQUENCE_FORGOTTEN
    )


def test_a_leap_of_first_incomplete_costs_nothing():
    """However far a client says that it is, only what is kept is looked through."""
    sessions = Sessions()
    sessions.open(client(1), 1)
    apply(sessions, command(1, 1, 1), 2)
    far = 2**62
    assert apply(sessions, command(1, 1, far, first_incomplete=far), 3) == Result(Outcome.DONE, 3)
    ((_, session),) = sessions
    assert list(session.results) == [far]


def test_results_are_bounded_over_all_sessions(monkeypatch: pytest.MonkeyPatch):
    """One result past the bound expires the session unused for longest; dropped ones are free."""
    monkeypatch.setattr(sessions_module, "SESSION_RESULTS_MAXIMUM", 4)
    sessions = Sessions()
    for number in (1, 2):
        sessions.open(client(number), number)
        for sequence in (1, 2):
            apply(sessions, command(number, number, sequence), 10)
    assert len(sessions) == 2
    apply(sessions, command(2, 2, 3, first_incomplete=2), 11)
    assert len(sessions) == 2
    apply(sessions, command(2, 2, 4), 12)
    assert [client_id for client_id, _ in sessions] == [client(2)]
    assert sessions.result_of(client(2), 2, 4) == Result(Outcome.DONE, 12)
