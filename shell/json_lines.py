"""Answers for programs: JSON objects with the fields of section 9 of the design, one a line."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias, assert_never

from raftudp.client.results import ServerReport
from raftudp.store.commands import Item
from raftudp.wire.client_messages import Follower, StatusAnswer
from shell.answers import (
    DONE,
    NOT_DONE,
    UNKNOWN,
    Answer,
    Dumped,
    DumpShown,
    ExitStatus,
    Failed,
    Farewell,
    HelpShown,
    LeaderShown,
    Listed,
    ServerActedOn,
    ServersShown,
    StatusShown,
    Submitted,
)
from shell.texts import bytes_of

JsonObject: TypeAlias = dict[str, Any]


def lines(answer: Answer) -> list[str]:
    """The lines for an answer, in ASCII, so that any program in any locale reads them."""
    return [json.dumps(each) for each in _objects(answer)]


def stored(value: bytes | None) -> str | JsonObject | None:
    """A key or value: its text, or base64 where it is not UTF-8."""
    if value is None:
        return None
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode("ascii")}


def _objects(answer: Answer) -> Iterable[JsonObject]:  # noqa: PLR0911 (one a case)
    match answer:
        case Submitted():
            return [_submitted(answer)]
        case Listed(prefix=prefix, items=items):
            head = _submit_fields("list", prefix, None, None, DONE)
            return [{**head, "items": _items(items)}]
        case Dumped(dumps=dumps):
            return [_dump(dump) for dump in dumps]
        case StatusShown(reports=reports):
            return [_report(report) for report in reports]
        case ServersShown(servers=servers):
            return [
                {"name": server.name, "address": server.address, "answers": server.answers}
                for server in servers
            ]
        case LeaderShown(name=name, address=address, term=term):
            return [{"name": name, "address": address, "term": term}]
        case ServerActedOn(operation=operation, name=name):
            return [{"operation": operation, "name": name, "outcome": DONE}]
        case HelpShown(rows=rows):
            return [{"usage": usage, "help": text} for usage, text in rows]
        case Failed():
            return [_failed(answer)]
        case Farewell():
            return []
        case _:
            assert_never(answer)


def _submit_fields(
    operation: str, key: bytes | None, value: bytes | None, revision: int | None, outcome: str
) -> JsonObject:
    return {
        "operation": operation,
        "key": stored(key),
        "value": stored(value),
        "revision": revision,
        "outcome": outcome,
    }


def _submitted(answer: Submitted) -> JsonObject:
    fields = _submit_fields(
        answer.operation, answer.key, answer.value, answer.revision, answer.outcome
    )
    return fields if answer.found is None else {**fields, "found": answer.found}


def _items(items: Sequence[Item]) -> list[JsonObject]:
    return [
        {"key": stored(item.key), "value": stored(item.value), "revision": item.revision}
        for item in items
    ]


def _dump(dump: DumpShown) -> JsonObject:
    if dump.error is not None:
        return {"name": dump.name, "error": dump.error}
    return {
        "name": dump.name,
        "applied_index": dump.applied_index,
        "items": _items(dump.items),
    }


def _report(report: ServerReport) -> JsonObject:
    if report.answer is None:
        return {"name": report.name, "error": report.error}
    return _status(report.answer)


def _status(answer: StatusAnswer) -> JsonObject:
    cluster = answer.cluster
    fields: JsonObject = {
        "name": answer.name,
        "role": answer.role,
        "term": answer.term,
        "leader": answer.leader.name or None,
        "commit_index": answer.commit_index,
        "last_applied": answer.last_applied,
        "last_log_index": answer.last_log_index,
        "incarnation": answer.incarnation.hex(),
        "cluster_id": cluster.cluster_id.hex() if cluster is not None else None,
        "epoch": cluster.epoch if cluster is not None else None,
        "durability": answer.durability,
        "state": answer.state,
        "uptime_s": answer.uptime_s,
        "membership": [
            {
                "name": slot.name,
                "incarnation": slot.incarnation.hex() if slot.incarnation is not None else None,
                "voter": True,  # only voters have slots
                "address": slot.address,
            }
            for slot in answer.membership.slots
        ],
    }
    if answer.role == "leader":
        fields["followers"] = [_follower(follower) for follower in answer.followers]
    return fields


def _follower(follower: Follower) -> JsonObject:
    return {
        "name": follower.name,
        "match_index": follower.match_index,
        "lag_entries": follower.lag_entries,
        "rtt_ms": milliseconds(follower.rtt_us),
        "last_heard_ms": milliseconds(follower.last_heard_us),
    }


def milliseconds(microseconds: int | None) -> float | None:
    """Microseconds as milliseconds; None stays None: never heard."""
    return None if microseconds is None else microseconds / 1000


def _failed(answer: Failed) -> JsonObject:
    outcome = UNKNOWN if answer.status is ExitStatus.UNKNOWN else NOT_DONE
    fields: JsonObject = {"outcome": outcome, "error": answer.message}
    if answer.operation is not None:
        key = bytes_of(answer.key) if answer.key is not None else None
        value = bytes_of(answer.value) if answer.value is not None else None
        fields = {**_submit_fields(answer.operation, key, value, None, outcome), **fields}
    if answer.request_id is not None:
        fields["request_id"] = answer.request_id
    return fields
