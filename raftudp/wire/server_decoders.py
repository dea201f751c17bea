"""Messages between servers, from decoded values: exact arity, types and ranges, or a `DecodeError`.

AppendEntries and its response are nearly all of the traffic, so they are checked in one straight
line.
"""

from __future__ import annotations

from collections.abc import Callable

from raftudp.consensus.messages import (
    AppendEntries,
    AppendEntriesResponse,
    Found,
    Greeting,
    GreetingResponse,
    Message,
    RequestPreVote,
    RequestPreVoteResponse,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
)
from raftudp.encoding.fields import array, boolean, integer
from raftudp.encoding.records import entries_from, membership_from, server_id_from
from raftudp.errors import DecodeError
from raftudp.limits import INTEGER_MAXIMUM


def _append_entries(fields: tuple[object, ...]) -> AppendEntries:
    if len(fields) != 6:
        raise DecodeError("not an AppendEntries")
    term, round_, previous_log_index, previous_log_term, leader_commit, entries = fields
    if not (
        type(term) is int
        and type(round_) is int
        and type(previous_log_index) is int
        and type(previous_log_term) is int
        and type(leader_commit) is int
        and 0 <= term <= INTEGER_MAXIMUM
        and 0 <= round_ <= INTEGER_MAXIMUM
        and 0 <= previous_log_index <= INTEGER_MAXIMUM
        and 0 <= previous_log_term <= INTEGER_MAXIMUM
        and 0 <= leader_commit <= INTEGER_MAXIMUM
    ):
        raise DecodeError("not an AppendEntries")
    taken = entries_from(entries)
    if previous_log_index + len(taken) > INTEGER_MAXIMUM:
        raise DecodeError("entries beyond the greatest index")
    last_term = previous_log_term
    for entry in taken:
        if entry.term < last_term:
            raise DecodeError("terms of a log never fall")
        last_term = entry.term
    if last_term > term:
        raise DecodeError("entries of a later term than their leader's")
    return AppendEntries(term, round_, previous_log_index, previous_log_term, leader_commit, taken)


def _append_entries_response(fields: tuple[object, ...]) -> AppendEntriesResponse:
    if len(fields) != 7:
        raise DecodeError("not an AppendEntriesResponse")
    term, round_, success, match_index, previous_log_index, hint_index, hint_term = fields
    if not (
        type(term) is int
        and type(round_) is int
        and type(success) is bool
        and type(match_index) is int
        and type(previous_log_index) is int
        and type(hint_index) is int
        and type(hint_term) is int
        and 0 <= term <= INTEGER_MAXIMUM
        and 0 <= round_ <= INTEGER_MAXIMUM
        and 0 <= match_index <= INTEGER_MAXIMUM
        and 0 <= previous_log_index <= INTEGER_MAXIMUM
        and 0 <= hint_index <= INTEGER_MAXIMUM
        and 0 <= hint_term <= INTEGER_MAXIMUM
    ):
        raise DecodeError("not an AppendEntriesResponse")
    return AppendEntriesResponse(
        term, round_, success, match_index, previous_log_index, hint_index, hint_term
    )


def _request_vote(fields: tuple[object, ...]) -> RequestVote:
    term, last_log_index, last_log_term = array(fields, 3)
    return RequestVote(integer(term), integer(last_log_index), integer(last_log_term))


def _request_vote_response(fields: tuple[object, ...]) -> RequestVoteResponse:
    term, vote_granted = array(fields, 2)
    return RequestVoteResponse(integer(term), boolean(vote_granted))


def _request_pre_vote(fields: tuple[object, ...]) -> RequestPreVote:
    term, ballot, last_log_index, last_log_term = array(fields, 4)
    return RequestPreVote(
        integer(term), integer(ballot), integer(last_log_index), integer(last_log_term)
    )


def _request_pre_vote_response(fields: tuple[object, ...]) -> RequestPreVoteResponse:
    term, ballot, vote_granted = array(fields, 3)
    return RequestPreVoteResponse(integer(term), integer(ballot), boolean(vote_granted))


def _timeout_now(fields: tuple[object, ...]) -> TimeoutNow:
    (term,) = array(fields, 1)
    return TimeoutNow(integer(term))


def _found(fields: tuple[object, ...]) -> Found:
    (membership,) = array(fields, 1)
    return Found(membership_from(membership))


def _greeting(fields: tuple[object, ...]) -> Greeting:
    array(fields, 0)
    return Greeting()


def _greeting_response(fields: tuple[object, ...]) -> GreetingResponse:
    leader, has_slot = array(fields, 2)
    return GreetingResponse(None if leader is None else server_id_from(leader), boolean(has_slot))


MESSAGES: dict[int, tuple[type[Message], Callable[[tuple[object, ...]], Message]]] = {
    1: (AppendEntries, _append_entries),
    2: (AppendEntriesResponse, _append_entries_response),
    3: (RequestVote, _request_vote),
    4: (RequestVoteResponse, _request_vote_response),
    5: (RequestPreVote, _request_pre_vote),
    6: (RequestPreVoteResponse, _request_pre_vote_response),
    7: (TimeoutNow, _timeout_now),
    8: (Found, _found),
    9: (Greeting, _greeting),
    10: (GreetingResponse, _greeting_response),
}
"""By type code: the class, and what takes its fields."""
