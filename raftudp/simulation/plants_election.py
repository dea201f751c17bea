"""Planted bugs of elections: who votes, whose vote counts, and who leads."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from raftudp.consensus import election, quorum, reading, replication, transitions
from raftudp.consensus.log import Log
from raftudp.consensus.messages import (
    Mail,
    Message,
    RequestPreVoteResponse,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
)
from raftudp.consensus.server import Server
from raftudp.consensus.state import State
from raftudp.consensus.vocabulary import Membership, Role, ServerId
from raftudp.simulation import process, scripts
from raftudp.simulation.planting import SHORT, UNGUARDED, Change, Plant, rewriting

_become_follower = transitions.become_follower
_become_pre_candidate = transitions.become_pre_candidate
_become_candidate = transitions.become_candidate
_grant_vote = transitions.grant_vote
_update_term = transitions.update_term
_on_rare = Server._on_rare
_take_mail = Server._take_mail

FIVE: Final = SHORT._replace(servers=5)


# ---- what a server must remember


def _follow_without_vote(state: State, now_us: int) -> None:
    _become_follower(state, now_us)
    state.voted_for = None


def _pre_campaign_without_vote(state: State, now_us: int) -> None:
    state.voted_for = None
    _become_pre_candidate(state, now_us)


def _pre_campaign_in_last_term(state: State, now_us: int) -> None:
    state.current_term, state.voted_for = state.log.last_term, None
    _become_pre_candidate(state, now_us)


def _may_grant_again(state: State, candidate: ServerId, message: RequestVote) -> bool:  # noqa: ARG001  # the original's
    return (
        message.term == state.current_term
        and state.role in (Role.FOLLOWER, Role.PRE_CANDIDATE)
        and state.log.is_up_to_date(message.last_log_index, message.last_log_term)
    )


def _grant_again(state: State, candidate: ServerId, now_us: int) -> None:
    if state.voted_for != candidate:
        state.voted_for = None
    _grant_vote(state, candidate, now_us)


def _campaign_in_same_term(state: State, now_us: int) -> None:
    _become_candidate(state, now_us)
    state.current_term -= 1
    state.trace[-1] = type(state.trace[-1])(
        state.trace[-1].action, state.current_term, state.trace[-1].index
    )


# ---- whose vote counts


def _count_every_answer(state: State, voter: ServerId, granted: bool) -> bool:
    state.votes_answered.add(voter)
    while granted and voter in state.votes_granted:
        voter = ServerId(voter.name, voter.incarnation + b"'")
    if granted:
        state.votes_granted.add(voter)
    return election.has_won(state)


def _has_won_by_number(state: State) -> bool:
    return len(state.votes_granted) >= quorum.quorum_size(state.membership)


def _count_refusals(state: State, voter: ServerId, granted: bool) -> bool:  # noqa: ARG001  # the original's
    state.votes_answered.add(voter)
    state.votes_granted.add(voter)
    return election.has_won(state)


def _older_vote(state: State, message: Message) -> Message:
    if isinstance(message, RequestVoteResponse) and message.term < state.current_term:
        return message._replace(term=state.current_term)
    return message


def _higher_vote(state: State, message: Message) -> Message:
    if isinstance(message, RequestVoteResponse) and message.term > state.current_term:
        return RequestVoteResponse(state.current_term, True)
    return message


def _pre_vote(state: State, message: Message) -> Message:
    if state.role is Role.CANDIDATE and isinstance(message, RequestPreVoteResponse):
        return RequestVoteResponse(state.current_term, message.vote_granted)
    return message


def _half(membership: Membership) -> int:
    return len(membership.slots) // 2


# ---- whose log is good enough


def _any_log(log: Log, last_index: int, last_term: int) -> bool:  # noqa: ARG001  # the original's
    return True


def _longer_log(log: Log, last_index: int, last_term: int) -> bool:  # noqa: ARG001  # likewise
    return last_index >= log.last_index


def _later_log(log: Log, last_index: int, last_term: int) -> bool:  # noqa: ARG001  # likewise
    return last_term >= log.last_term


# ---- who leads


def _lead_on(state: State, term: int, now_us: int) -> None:
    if state.role is Role.LEADER:
        state.current_term, state.voted_for = term, None
    else:
        _update_term(state, term, now_us)


def _lead_at_once(server: Server, mail: Mail, message: Message, now_us: int) -> None:
    state = server._state
    if isinstance(message, TimeoutNow) and state.role is Role.FOLLOWER:
        transitions.become_candidate(state, now_us)
        transitions.become_leader(state, now_us)
        return
    _on_rare(server, mail, message, now_us)  # type: ignore[arg-type]  # narrowed by its caller


# ---- names for identities


def _known_as(membership: Membership, identity: ServerId) -> ServerId:
    """The member of that name."""
    named = (member for member in membership.identities() if member.name == identity.name)
    return next(named, identity)


def _is_filled_by_name(membership: Membership, identity: ServerId) -> bool:
    return membership.slot(identity.name) is not None


def _is_quorum_by_name(membership: Membership, identities: Collection[ServerId]) -> bool:
    names = {identity.name for identity in identities}
    return len(names) >= quorum.quorum_size(membership)


def _quorum_value_by_name(membership: Membership, values: dict[ServerId, int], absent: int) -> int:
    by_name = {_known_as(membership, identity): value for identity, value in values.items()}
    return quorum.quorum_value(membership, by_name, absent)


def _others_by_name(state: State) -> tuple[ServerId, ...]:
    members = state.membership.identities()
    return tuple(member for member in members if member.name != state.identity.name)


def _take_by_name(server: Server, mail: Mail, now_us: int) -> None:
    state = server._state
    if mail.receiver.name == state.identity.name and mail.cluster is not None:
        sender = _known_as(state.membership, mail.sender)
        mail = mail._replace(sender=sender, receiver=state.identity)
    _take_mail(server, mail, now_us)


BY_NAME: Final = (
    *UNGUARDED,
    Change(Membership, "is_filled_by", _is_filled_by_name),
    Change(election, "is_quorum", _is_quorum_by_name),
    Change(replication, "quorum_value", _quorum_value_by_name),
    Change(reading, "quorum_value", _quorum_value_by_name),
    Change(State, "others", _others_by_name),
    Change(Server, "_take_mail", _take_by_name),
)


def _identity_of_name(name: str, incarnation: bytes) -> ServerId:  # noqa: ARG001  # the original's
    return ServerId(name, name.encode().ljust(16))


ELECTION: Final = (
    Plant(
        "vote-not-kept",
        "a server forgets its vote when its role changes",
        ("one vote",),
        (
            *UNGUARDED,
            Change(transitions, "become_follower", _follow_without_vote),
            Change(transitions, "become_pre_candidate", _pre_campaign_without_vote),
        ),
        FIVE,
        script=scripts.a_vote_is_for_a_whole_term,
    ),
    Plant(
        "term-not-kept",
        "a server that hears no leader starts again from the term of its last entry",
        ("monotonic",),
        (*UNGUARDED, Change(transitions, "become_pre_candidate", _pre_campaign_in_last_term)),
    ),
    Plant(
        "term-not-raised",
        "a candidate campaigns in the term that it is in",
        ("one vote",),
        (*UNGUARDED, Change(transitions, "become_candidate", _campaign_in_same_term)),
    ),
    Plant(
        "vote-reset-within-term",
        "a server votes for whoever asks, though it has voted in this term",
        ("one vote",),
        (
            *UNGUARDED,
            Change(election, "may_grant", _may_grant_again),
            Change(transitions, "grant_vote", _grant_again),
        ),
        FIVE,
    ),
    Plant(
        "vote-counted-twice",
        "a vote that arrives twice is two votes",
        ("election",),
        (
            *UNGUARDED,
            Change(election, "_count", _count_every_answer),
            Change(election, "has_won", _has_won_by_number),
        ),
        FIVE._replace(faults=("doubling", "transfers")),
        script=scripts.a_vote_that_arrives_twice,
    ),
    Plant(
        "vote-of-older-term-counted",
        "a vote given in an older term counts in this one",
        ("election",),
        (rewriting(_older_vote),),
        script=scripts.votes_of_a_term_that_is_over,
    ),
    Plant(
        "pre-vote-taken-for-vote",
        "a server that would vote for a candidate is counted as if it had",
        ("election",),
        (rewriting(_pre_vote),),
    ),
    Plant(
        "higher-vote-taken-for-granted",
        "an answer from a higher term counts as a vote in the candidate's own",
        ("election",),
        (rewriting(_higher_vote),),
        script=scripts.answers_from_a_term_ahead,
    ),
    Plant(
        "refused-vote-counted",
        "any answer to a request for votes counts as a vote",
        ("election",),
        (Change(election, "_count", _count_refusals),),
    ),
    Plant(
        "half-is-a-quorum",
        "half of the slots, rounded down, make decisions",
        ("election",),
        (Change(quorum, "quorum_size", _half),),
    ),
    Plant(
        "outdated-log-gets-votes",
        "a server votes whatever the candidate's log holds",
        ("leader completeness",),
        (Change(Log, "is_up_to_date", _any_log),),
    ),
    Plant(
        "longer-log-gets-votes",
        "logs are compared by length, whatever the terms of their entries",
        ("leader completeness",),
        (Change(Log, "is_up_to_date", _longer_log),),
        script=scripts.a_long_log_is_no_late_one,
    ),
    Plant(
        "later-log-gets-votes",
        "logs are compared by their last terms, whatever their lengths",
        ("leader completeness",),
        (Change(Log, "is_up_to_date", _later_log),),
    ),
    Plant(
        "deposed-leader-appends-under-new-term",
        "a leader that sees a higher term takes it and leads on",
        ("one leader", "leader append"),
        (*UNGUARDED, Change(transitions, "update_term", _lead_on)),
    ),
    Plant(
        "transfer-takes-leadership",
        "who is told to campaign at once leads at once",
        ("election",),
        (Change(Server, "_on_rare", _lead_at_once),),
        SHORT._replace(faults=("transfers",)),
    ),
    Plant(
        "counted-by-name",
        "binding, addressing, votes and acknowledgements go by name: a blank replica goes on as"
        " its predecessor",
        ("election", "commitment", "leader completeness", "one vote"),
        BY_NAME,
        SHORT._replace(faults=("crashes", "loss", "partitions", "pauses")),
    ),
    Plant(
        "incarnation-reused",
        "a replica that has lost its memory comes back under the same incarnation",
        ("identity",),
        (Change(process, "ServerId", _identity_of_name),),
        SHORT._replace(faults=("crashes", "twins")),
    ),
)
