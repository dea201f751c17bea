"""Messages between clients and replicas, from decoded values: exact arity, types and ranges, or a
`DecodeError`.
"""

from __future__ import annotations

from collections.abc import Callable

from raftudp.encoding.fields import (
    address,
    array,
    boolean,
    each,
    identifier,
    incarnation,
    integer,
    integer_or_none,
    key,
    key_or_none,
    name,
    octets,
    stored_value,
    text,
)
from raftudp.encoding.records import cluster_from, membership_from, membership_or_empty_from
from raftudp.errors import DecodeError
from raftudp.limits import (
    COMMAND_BYTES_MAXIMUM,
    COMMANDS_PER_REQUEST_MAXIMUM,
    DATAGRAM_BYTES_MAXIMUM,
    IDENTIFIER_BYTES,
    INTEGER_MAXIMUM,
    KEY_BYTES_MAXIMUM,
    LIST_ITEMS_MAXIMUM,
    MESSAGE_BYTES_MAXIMUM,
    PARTS_MAXIMUM,
    PARTS_MISSING_MAXIMUM,
    SLOTS_MAXIMUM,
    STATUS_TEXT_BYTES_MAXIMUM,
    VALUE_BYTES_MAXIMUM,
)
from raftudp.store.commands import Item, Outcome
from raftudp.wire.client_messages import (
    Action,
    Admin,
    AdminAnswer,
    Answer,
    ChallengeAnswer,
    ChallengeRequest,
    Follower,
    FoundCluster,
    GetRequest,
    GetResult,
    Hello,
    HelloAnswer,
    LeaderHint,
    List,
    ListAnswer,
    OpenCluster,
    Part,
    PartsReceived,
    Read,
    ReadAnswer,
    RefusalReason,
    Request,
    RequestRefused,
    Status,
    StatusAnswer,
    Stop,
    Transfer,
    Write,
    WriteRefused,
    WriteResult,
    Written,
)

_OUTCOMES = tuple(Outcome)
assert all(outcome == place for place, outcome in enumerate(_OUTCOMES))
_REASONS = {int(reason): reason for reason in RefusalReason}

ACTION_CODES: dict[type[Action], int] = {Stop: 1, Transfer: 2, FoundCluster: 3, OpenCluster: 4}


def _hello(fields: tuple[object, ...]) -> Hello:
    (request,) = array(fields, 1)
    return Hello(integer(request))


def _write(fields: tuple[object, ...]) -> Write:
    if len(fields) != 3:
        raise DecodeError("not a Write")
    process, attempt, commands = fields
    if not (
        type(process) is bytes
        and len(process) == IDENTIFIER_BYTES
        and type(attempt) is int
        and 0 <= attempt <= INTEGER_MAXIMUM
        and type(commands) is tuple
        and len(commands) <= COMMANDS_PER_REQUEST_MAXIMUM
    ):
        raise DecodeError("not a Write")
    for command in commands:
        if type(command) is not bytes or len(command) > COMMAND_BYTES_MAXIMUM:
            raise DecodeError("not a command in a Write")
    return Write(process, attempt, commands)


def _read(fields: tuple[object, ...]) -> Read:
    if len(fields) != 2:
        raise DecodeError("not a Read")
    stale, gets = fields
    if (
        type(stale) is not bool
        or type(gets) is not tuple
        or len(gets) > COMMANDS_PER_REQUEST_MAXIMUM
    ):
        raise DecodeError("not a Read")
    taken = []
    for get in gets:
        if type(get) is not tuple or len(get) != 2:
            raise DecodeError("not a get")
        request, wanted = get
        if not (
            type(request) is int
            and 0 <= request <= INTEGER_MAXIMUM
            and type(wanted) is bytes
            and len(wanted) <= KEY_BYTES_MAXIMUM
        ):
            raise DecodeError("not a get")
        taken.append(GetRequest(request, wanted))
    return Read(stale, tuple(taken))


def _list(fields: tuple[object, ...]) -> List:
    request, stale, prefix, after, limit = array(fields, 5)
    return List(
        integer(request),
        boolean(stale),
        key(prefix),
        key_or_none(after),
        integer(limit, LIST_ITEMS_MAXIMUM, minimum=1),
    )


def _status(fields: tuple[object, ...]) -> Status:
    (request,) = array(fields, 1)
    return Status(integer(request))


def _challenge_request(fields: tuple[object, ...]) -> ChallengeRequest:
    (request,) = array(fields, 1)
    return ChallengeRequest(integer(request))


def _admin(fields: tuple[object, ...]) -> Admin:
    request, challenge, action = array(fields, 3)
    return Admin(integer(request), identifier(challenge), _action(action))


def _action(value: object) -> Action:
    if type(value) is not tuple or not value or type(value[0]) is not int:
        raise DecodeError("not an action")
    match value:
        case (1,):
            return Stop()
        case (2, target):
            return Transfer(name(target) if target != "" else "")
        case (3, cluster, membership):
            return FoundCluster(cluster_from(cluster), membership_from(membership))
        case (4, cluster):
            return OpenCluster(cluster_from(cluster))
        case _:
            raise DecodeError("not an action")


def _part(fields: tuple[object, ...]) -> Part:
    transfer, number, count, total_bytes, data = array(fields, 5)
    part = Part(
        integer(transfer),
        integer(number, PARTS_MAXIMUM - 1),
        integer(count, PARTS_MAXIMUM, minimum=1),
        integer(total_bytes, MESSAGE_BYTES_MAXIMUM, minimum=1),
        octets(data, DATAGRAM_BYTES_MAXIMUM),
    )
    if part.number >= part.count:
        raise DecodeError("a part beyond the last")
    return part


def _parts_received(fields: tuple[object, ...]) -> PartsReceived:
    transfer, received_below, missing = array(fields, 3)
    return PartsReceived(
        integer(transfer),
        integer(received_below, PARTS_MAXIMUM),
        each(_part_number, missing, PARTS_MISSING_MAXIMUM),
    )


def _part_number(value: object) -> int:
    return integer(value, PARTS_MAXIMUM - 1)


def _leader_hint(value: object) -> LeaderHint:
    leader, leader_address = array(value, 2)
    if leader == "" and leader_address == "":
        return LeaderHint("", "")
    return LeaderHint(name(leader), address(leader_address))


def _hello_answer(fields: tuple[object, ...]) -> HelloAnswer:
    request, process, leader, is_open = array(fields, 4)
    return HelloAnswer(
        integer(request), identifier(process), _leader_hint(leader), boolean(is_open)
    )


def _written(fields: tuple[object, ...]) -> Written:
    if len(fields) != 2:
        raise DecodeError("not a Written")
    client_id, results = fields
    if not (
        type(client_id) is bytes
        and len(client_id) == IDENTIFIER_BYTES
        and type(results) is tuple
        and len(results) <= COMMANDS_PER_REQUEST_MAXIMUM
    ):
        raise DecodeError("not a Written")
    taken = []
    for result in results:
        if type(result) is not tuple or len(result) != 3:
            raise DecodeError("not the result of a write")
        sequence, outcome, revision = result
        if not (
            type(sequence) is type(outcome) is type(revision) is int
            and 0 <= sequence <= INTEGER_MAXIMUM
            and 0 <= outcome < len(_OUTCOMES)
            and 0 <= revision <= INTEGER_MAXIMUM
        ):
            raise DecodeError("not the result of a write")
        taken.append(WriteResult(sequence, _OUTCOMES[outcome], revision))
    return Written(client_id, tuple(taken))


def _write_refused(fields: tuple[object, ...]) -> WriteRefused:
    client_id, attempt, reason, leader, sequences = array(fields, 5)
    return WriteRefused(
        identifier(client_id),
        integer(attempt),
        _reason(reason),
        _leader_hint(leader),
        each(integer, sequences, COMMANDS_PER_REQUEST_MAXIMUM),
    )


def _reason(value: object) -> RefusalReason:
    reason = _REASONS.get(value) if type(value) is int else None
    if reason is None:
        raise DecodeError("not a reason")
    return reason


def _read_answer(fields: tuple[object, ...]) -> ReadAnswer:
    if len(fields) != 2:
        raise DecodeError("not a ReadAnswer")
    applied_index, results = fields
    if not (
        type(applied_index) is int
        and 0 <= applied_index <= INTEGER_MAXIMUM
        and type(results) is tuple
        and len(results) <= COMMANDS_PER_REQUEST_MAXIMUM
    ):
        raise DecodeError("not a ReadAnswer")
    taken = []
    for result in results:
        if type(result) is not tuple or len(result) != 3:
            raise DecodeError("not the result of a get")
        request, value, revision = result
        if not (
            type(request) is type(revision) is int
            and 0 <= request <= INTEGER_MAXIMUM
            and 0 <= revision <= INTEGER_MAXIMUM
            and (value is None or (type(value) is bytes and len(value) <= VALUE_BYTES_MAXIMUM))
        ):
            raise DecodeError("not the result of a get")
        taken.append(GetResult(request, value, revision))
    return ReadAnswer(applied_index, tuple(taken))


def _list_answer(fields: tuple[object, ...]) -> ListAnswer:
    request, applied_index, items, more = array(fields, 4)
    return ListAnswer(
        integer(request),
        integer(applied_index),
        each(_item, items, LIST_ITEMS_MAXIMUM),
        boolean(more),
    )


def _item(value: object) -> Item:
    item_key, item_value, revision = array(value, 3)
    return Item(key(item_key), stored_value(item_value), integer(revision))


def _request_refused(fields: tuple[object, ...]) -> RequestRefused:
    requests, reason, leader = array(fields, 3)
    return RequestRefused(
        each(integer, requests, COMMANDS_PER_REQUEST_MAXIMUM),
        _reason(reason),
        _leader_hint(leader),
    )


def _status_answer(fields: tuple[object, ...]) -> StatusAnswer:
    values = array(fields, len(StatusAnswer._fields))
    answer = StatusAnswer(*values)
    return StatusAnswer(
        request=integer(answer.request),
        name=name(answer.name),
        incarnation=incarnation(answer.incarnation),
        role=_word(answer.role),
        state=_word(answer.state),
        durability=_word(answer.durability),
        term=integer(answer.term),
        leader=_leader_hint(answer.leader),
        commit_index=integer(answer.commit_index),
        last_applied=integer(answer.last_applied),
        last_log_index=integer(answer.last_log_index),
        cluster=None if answer.cluster is None else cluster_from(answer.cluster),
        uptime_s=integer(answer.uptime_s),
        version=_word(answer.version),
        membership=membership_or_empty_from(answer.membership),
        followers=each(_follower, answer.followers, SLOTS_MAXIMUM),
    )


def _word(value: object) -> str:
    return text(value, STATUS_TEXT_BYTES_MAXIMUM)


def _follower(value: object) -> Follower:
    follower, match_index, lag_entries, rtt_us, last_heard_us = array(value, 5)
    return Follower(
        name(follower),
        integer(match_index),
        integer(lag_entries),
        integer_or_none(rtt_us),
        integer_or_none(last_heard_us),
    )


def _challenge_answer(fields: tuple[object, ...]) -> ChallengeAnswer:
    request, challenge = array(fields, 2)
    return ChallengeAnswer(integer(request), identifier(challenge))


def _admin_answer(fields: tuple[object, ...]) -> AdminAnswer:
    (request,) = array(fields, 1)
    return AdminAnswer(integer(request))


REQUESTS: dict[int, tuple[type[Request], Callable[[tuple[object, ...]], Request]]] = {
    20: (Hello, _hello),
    21: (Write, _write),
    22: (Read, _read),
    23: (List, _list),
    24: (Status, _status),
    25: (ChallengeRequest, _challenge_request),
    26: (Admin, _admin),
    30: (Part, _part),
    31: (PartsReceived, _parts_received),
}
"""By type code: the class, and what takes its fields."""

ANSWERS: dict[int, tuple[type[Answer], Callable[[tuple[object, ...]], Answer]]] = {
    40: (HelloAnswer, _hello_answer),
    41: (Written, _written),
    42: (WriteRefused, _write_refused),
    43: (ReadAnswer, _read_answer),
    44: (ListAnswer, _list_answer),
    45: (RequestRefused, _request_refused),
    46: (StatusAnswer, _status_answer),
    47: (ChallengeAnswer, _challenge_answer),
    48: (AdminAnswer, _admin_answer),
    30: (Part, _part),
    31: (PartsReceived, _parts_received),
}
"""By type code: the class, and what takes its fields. Parts are the same both ways."""
