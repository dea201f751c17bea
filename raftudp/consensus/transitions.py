"""Every change of role and term.

Nothing else assigns `role`, `current_term`, `voted_for` or `cluster`.

The roles of figure 4 of the paper, with those of pre-vote (dissertation, section 9.6) and of
section 2 of `raftudp/DESIGN.md`::

          bind               timeout            a quorum would          a quorum votes
    BLANK -----> FOLLOWER ------------> PRE_CANDIDATE --------> CANDIDATE -----------> LEADER
                  ^    ^                      |                     |                     |
                  |    +----------------------+---------------------+---------------------+
                  v          a higher term, a leader of this term, no quorum heard from
               LEARNER  (bound, without a slot)

TimeoutNow leads from FOLLOWER to CANDIDATE directly. A term never falls, and a vote is cleared only
by a higher term.
"""

from __future__ import annotations

from raftudp.consensus.progress import Progress
from raftudp.consensus.state import NEVER, State
from raftudp.consensus.trace import Action
from raftudp.consensus.vocabulary import (
    FOUNDING_TERM,
    Cluster,
    Entry,
    EntryKind,
    Membership,
    Role,
    ServerId,
    Term,
)


def bind(state: State, cluster: Cluster, membership: Membership, now_us: int) -> None:
    """A blank server takes the founding membership as entry 1 of its log, in term 1."""
    assert state.role is Role.BLANK and state.cluster is None, (
        "a bound incarnation never binds again"
    )
    assert membership.is_filled_by(state.identity)
    state.cluster = cluster
    state.current_term, state.voted_for = FOUNDING_TERM, None
    state.log.append([Entry(FOUNDING_TERM, EntryKind.MEMBERSHIP, membership)])
    state.greeting_deadline_us = NEVER
    state.cluster_seen = None
    state.role = Role.FOLLOWER
    _await_leader(state, now_us)
    state.note(Action.BIND)


def update_term(state: State, term: Term, now_us: int) -> None:
    """A message shows a higher term: adopt it and follow ("Rules for Servers", all servers)."""
    assert state.role is not Role.BLANK and term > state.current_term
    become_follower(state, now_us)
    state.current_term, state.voted_for = term, None
    state.leader = None
    state.note(Action.UPDATE_TERM)


def become_follower(state: State, now_us: int) -> None:
    """Follow in the current term; what belonged to a candidate or leader is dropped."""
    assert state.role is not Role.BLANK
    if state.role is Role.LEADER:
        state.note(Action.STEP_DOWN)
        state.leader = None
    state.role = Role.FOLLOWER if state.membership.is_filled_by(state.identity) else Role.LEARNER
    state.votes_granted.clear()
    state.votes_answered.clear()
    state.resend_deadline_us = NEVER
    state.progress.clear()
    state.rounds_sent_us.clear()
    state.heartbeat_deadline_us = NEVER
    state.transfer = None
    _await_leader(state, now_us)


def recognise_leader(state: State, leader: ServerId, now_us: int) -> None:
    """A message of the current term's leader arrived: follow it, and put off the next election."""
    assert state.role not in (Role.BLANK, Role.LEADER), "a term has one leader"
    if state.role in (Role.CANDIDATE, Role.PRE_CANDIDATE):
        become_follower(state, now_us)
    if state.leader != leader:
        state.leader = leader
        state.note(Action.FOLLOW, leader)
    state.heard_from_leader_us = now_us
    state.election_deadline_us = now_us + state.election_timeout_us


def miss_leader(state: State, now_us: int) -> None:
    """A learner's leader has fallen silent; it may not campaign, and waits for the next one."""
    assert state.role is Role.LEARNER
    state.leader = None
    _await_leader(state, now_us)


def become_pre_candidate(state: State, now_us: int) -> None:
    """Ask whether a campaign could win, changing nothing that must be remembered."""
    assert state.role in (Role.FOLLOWER, Role.PRE_CANDIDATE, Role.CANDIDATE)
    assert state.membership.is_filled_by(state.identity), (
        "only a server that fills a slot may campaign"
    )
    state.role = Role.PRE_CANDIDATE
    state.leader = None
    _begin_ballot(state, now_us)
    state.note(Action.PRE_CAMPAIGN)


def become_candidate(state: State, now_us: int) -> None:
    """Start an election in a new term, with a vote for oneself (section 5.2)."""
    assert state.role in (Role.FOLLOWER, Role.PRE_CANDIDATE)
    assert state.membership.is_filled_by(state.identity), (
        "only a server that fills a slot may campaign"
    )
    state.role = Role.CANDIDATE
    state.leader = None
    state.current_term += 1
    state.voted_for = state.identity
    _begin_ballot(state, now_us)
    state.note(Action.TIMEOUT)


def become_leader(state: State, now_us: int) -> None:
    """Lead the current term and append its NOOP, without which nothing older may be committed
    (section 5.4.2).
    """
    assert state.role is Role.CANDIDATE
    assert state.voted_for == state.identity
    state.role = Role.LEADER
    state.leader = state.identity
    state.election_deadline_us = NEVER
    state.resend_deadline_us = NEVER
    state.heartbeat_deadline_us = now_us
    state.leading_since_us = now_us
    next_index, next_round = state.log.last_index + 1, state.round + 1
    state.progress = {other: Progress(next_index, next_round) for other in state.others()}
    state.persisted_index = 0
    state.uncommitted_bytes = 0
    state.first_index_of_term = state.log.last_index + 1
    state.log.append([Entry(state.current_term, EntryKind.NOOP, b"")])
    state.note(Action.BECOME_LEADER)


def grant_vote(state: State, candidate: ServerId, now_us: int) -> None:
    """Vote in the current term; once."""
    assert state.voted_for in (None, candidate), "one vote in a term"
    assert state.role in (Role.FOLLOWER, Role.LEARNER, Role.PRE_CANDIDATE)
    if state.role is Role.PRE_CANDIDATE:
        become_follower(state, now_us)
    if state.voted_for is None:
        state.voted_for = candidate
        state.note(Action.GRANT_VOTE, candidate)
    _await_leader(state, now_us)


def _begin_ballot(state: State, now_us: int) -> None:
    state.ballot += 1
    state.votes_granted = {state.identity}
    state.votes_answered = {state.identity}
    state.resend_deadline_us = now_us
    _await_leader(state, now_us)


def _await_leader(state: State, now_us: int) -> None:
    state.draw_election_timeout()
    state.election_deadline_us = now_us + state.election_timeout_us
