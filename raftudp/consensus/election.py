"""Elections: pre-votes, votes, and who wins (paper, section 5.2 and 5.4.1; dissertation, section
9.6).

Both kinds of request are sent again, in the same ballot and term, to whoever has not answered.
Answers are counted by full identity, once, for the ballot or term that they name, and only from
identities that fill slots of the counter's latest membership.
"""

from __future__ import annotations

from raftudp.consensus.messages import (
    RequestPreVote,
    RequestPreVoteResponse,
    RequestVote,
    RequestVoteResponse,
)
from raftudp.consensus.quorum import is_quorum
from raftudp.consensus.state import State
from raftudp.consensus.vocabulary import Role, ServerId


def request(state: State, now_us: int) -> tuple[RequestPreVote | RequestVote, list[ServerId]]:
    """The request of the ballot under way, and the servers that have not yet answered it."""
    state.resend_deadline_us = now_us + state.configuration.heartbeat_us
    silent = [other for other in state.others() if other not in state.votes_answered]
    log = state.log
    if state.role is Role.PRE_CANDIDATE:
        term = state.current_term + 1
        return RequestPreVote(term, state.ballot, log.last_index, log.last_term), silent
    assert state.role is Role.CANDIDATE
    return RequestVote(state.current_term, log.last_index, log.last_term), silent


def would_vote(state: State, message: RequestPreVote, now_us: int) -> bool:
    """Whether this server would vote, and has not heard from a leader within the shortest election
    timeout.

    The second condition keeps a server that was cut off, or removed, from disturbing a working
    leader (dissertation, sections 4.2.3 and 9.6).
    """
    since_leader_us = now_us - state.heard_from_leader_us
    undisturbed = state.leader is not None and since_leader_us < (
        state.configuration.election_timeout_us_minimum
    )
    return (
        message.term > state.current_term
        and state.role is not Role.LEADER
        and not undisturbed
        and state.log.is_up_to_date(message.last_log_index, message.last_log_term)
    )


def may_grant(state: State, candidate: ServerId, message: RequestVote) -> bool:
    """Figure 2, "RequestVote RPC", receiver rules 1 and 2; the term was adopted before."""
    return (
        message.term == state.current_term
        and state.role in (Role.FOLLOWER, Role.LEARNER, Role.PRE_CANDIDATE)
        and state.voted_for in (None, candidate)
        and state.log.is_up_to_date(message.last_log_index, message.last_log_term)
    )


def count_pre_vote(state: State, voter: ServerId, message: RequestPreVoteResponse) -> bool:
    """Counts an answer to this ballot. Returns whether a quorum would vote."""
    if state.role is not Role.PRE_CANDIDATE or message.ballot != state.ballot:
        return False
    return _count(state, voter, message.vote_granted)


def count_vote(state: State, voter: ServerId, message: RequestVoteResponse) -> bool:
    """Counts an answer of this term. Returns whether the election is won."""
    if state.role is not Role.CANDIDATE or message.term != state.current_term:
        return False
    return _count(state, voter, message.vote_granted)


def has_won(state: State) -> bool:
    """Whether the votes so far are a quorum of the latest membership."""
    return is_quorum(state.membership, state.votes_granted)


def _count(state: State, voter: ServerId, granted: bool) -> bool:
    if not state.membership.is_filled_by(voter):
        return False
    state.votes_answered.add(voter)
    if granted:
        state.votes_granted.add(voter)
    return has_won(state)
