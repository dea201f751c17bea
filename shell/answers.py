"""What a command comes to, as data; `rendering` and `json_lines` say how it looks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from raftudp.client.results import ServerReport
from raftudp.store.commands import Item

DONE = "done"
NOT_DONE = "not done"
UNKNOWN = "unknown"


class ExitStatus(IntEnum):
    """The program's exit status; of several commands the highest one counts."""

    DONE = 0
    FAILED = 1
    WRONG_USAGE = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Submitted:
    """A read, write, delete or compare of one key."""

    operation: str
    key: bytes
    value: bytes | None
    """Read: what was found; write and compare: what was to be set."""
    revision: int | None
    outcome: str = DONE
    found: bool | None = None
    """Of a read and a delete: whether the key was there."""


@dataclass(frozen=True, slots=True)
class Listed:
    """The keys that begin with a prefix, by a linearizable read."""

    prefix: bytes
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class DumpShown:
    """All that one server itself holds under a prefix, which may be behind the others."""

    name: str
    prefix: bytes
    applied_index: int | None
    items: tuple[Item, ...]
    error: str | None = None
    """Why there is none."""


@dataclass(frozen=True, slots=True)
class Dumped:
    """One or more servers' own states."""

    dumps: tuple[DumpShown, ...]


@dataclass(frozen=True, slots=True)
class StatusShown:
    """How servers are; `in_detail` with everything that one server says."""

    reports: tuple[ServerReport, ...]
    in_detail: bool


@dataclass(frozen=True, slots=True)
class ServerShown:
    """A server and its address, as far as the shell knows."""

    name: str
    address: str
    answers: bool


@dataclass(frozen=True, slots=True)
class ServersShown:
    """The servers that the shell knows."""

    servers: tuple[ServerShown, ...]


@dataclass(frozen=True, slots=True)
class LeaderShown:
    """Who leads."""

    name: str
    address: str
    term: int


@dataclass(frozen=True, slots=True)
class ServerActedOn:
    """A server was stopped, started or made the leader."""

    operation: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class HelpShown:
    """Help: what can be typed and what it means, then notes."""

    rows: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """A command came to nothing, or to nobody knows what."""

    message: str
    status: ExitStatus
    operation: str | None = None
    """With `key` and `value`: of a `submit`."""
    key: str | None = None
    value: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Farewell:
    """The shell shall end."""


Answer: TypeAlias = (
    Submitted
    | Listed
    | Dumped
    | StatusShown
    | ServersShown
    | LeaderShown
    | ServerActedOn
    | HelpShown
    | Failed
    | Farewell
)


def status_of(answer: Answer) -> ExitStatus:
    """Whether the command succeeded."""
    match answer:
        case Failed(status=status):
            return status
        case Submitted(outcome=outcome):
            return _failed_if(outcome != DONE)
        case StatusShown(reports=reports):
            return _failed_if(all(report.answer is None for report in reports))
        case Dumped(dumps=dumps):
            return _failed_if(all(dump.error is not None for dump in dumps))
        case _:
            return ExitStatus.DONE


def error_of(answer: Answer) -> str | None:
    """What went wrong, if the answer is nothing but an error."""
    match answer:
        case Failed(message=message):
            return message
        case StatusShown(in_detail=True, reports=(ServerReport(name=name, error=str(error)),)):
            return f"{name}: {error}"
        case _:
            return None


def _failed_if(failed: bool) -> ExitStatus:
    return ExitStatus.FAILED if failed else ExitStatus.DONE
