"""What must hold of one server at any time, and of each of its steps.

Cheap enough to stay on: every check costs a constant, or grows with the members and never with the
log. What must hold *between* servers is checked by the simulator, which sees them all.
"""

from __future__ import annotations

from typing import NamedTuple

from raftudp.consensus.state import NEVER, State
from raftudp.consensus.vocabulary import Cluster, Index, Role, ServerId, Term
from raftudp.limits import IN_FLIGHT_BYTES_PER_FOLLOWER


class Picture(NamedTuple):
    """What a step may only change in certain ways."""

    cluster: Cluster | None
    current_term: Term
    voted_for: ServerId | None
    role: Role
    leader: ServerId | None
    commit_index: Index
    last_index: Index
    round: int
    ballot: int


def picture(state: State) -> Picture:
    """Taken before a step, compared after it."""
    return Picture(
        state.cluster,
        state.current_term,
        state.voted_for,
        state.role,
        state.leader,
        state.commit_index,
        state.log.last_index,
        state.round,
        state.ballot,
    )


def check_state(state: State) -> None:
    """Holds whenever no step is under way."""
    log = state.log
    assert (state.role is Role.BLANK) == (state.cluster is None), "blank means unbound"
    assert state.delivered_index <= state.commit_index <= log.last_index
    assert log.last_term <= state.current_term, "an entry never comes from a later term"
    if state.role is Role.BLANK:
        assert state.current_term == 0 and state.voted_for is None and log.last_index == 0
    elif state.role not in (Role.LEARNER, Role.LEADER):
        assert state.membership.is_filled_by(state.identity), (
            "only one that fills a slot may campaign"
        )
    if state.role is Role.LEADER:
        _check_leader(state)
    else:
        assert not state.progress and state.transfer is None and not state.waiting_reads
        assert state.heartbeat_deadline_us == NEVER
    assert 0 <= state.early.size_bytes <= IN_FLIGHT_BYTES_PER_FOLLOWER
    for voter in state.votes_granted:
        assert state.membership.is_filled_by(voter), "a vote counts only from the latest membership"
    if state.role is Role.CANDIDATE:
        assert state.voted_for == state.identity


def _check_leader(state: State) -> None:
    log = state.log
    assert state.leader == state.identity and state.voted_for == state.identity
    assert log.last_term == state.current_term, "a leader has appended its NOOP"
    assert tuple(state.progress) == state.others()
    assert state.persisted_index <= log.last_index
    for progress in state.progress.values():
        assert 0 <= progress.match_index < progress.next_index <= log.last_index + 1
        assert progress.acknowledged_round <= state.round
        assert progress.in_flight_bytes >= 0


def check_step(before: Picture, state: State) -> None:
    """Holds between two pictures of one server, one step apart."""
    assert before.cluster in (None, state.cluster), "a bound incarnation never binds again"
    assert before.current_term <= state.current_term, "terms never fall"
    assert before.commit_index <= state.commit_index, "the commit index never falls"
    assert before.round <= state.round and before.ballot <= state.ballot
    if before.current_term == state.current_term:
        assert before.voted_for in (None, state.voted_for), "one vote in a term"
        if before.role is Role.LEADER and state.role is Role.LEADER:
            assert before.last_index <= state.log.last_index, "a leader only appends"
        elif state.role is Role.LEADER:
            assert before.leader in (None, state.identity), "a term has one leader"
