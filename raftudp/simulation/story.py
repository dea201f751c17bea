"""A run as lines that a person can read: when, who, what, in which term and at which index."""

from __future__ import annotations

from typing import NamedTuple

from raftudp.consensus.messages import AppendEntries, AppendEntriesResponse, Mail
from raftudp.consensus.trace import TraceEvent

NAME_BYTES_SHOWN = 4


class Event(NamedTuple):
    """Something that happened to a process."""

    at_us: int
    who: str
    what: object
    """A trace event, or a packet that arrived."""


def line(event: Event) -> str:
    """One line, of a width that fits a terminal."""
    return f"{event.at_us / 1e6:10.6f} {event.who:9} {_tell(event.what)}"


def _tell(what: object) -> str:
    if isinstance(what, TraceEvent):
        other = "" if what.other is None else f" {what.other.name}"
        return f"** {what.action}{other} term {what.term} index {what.index} {what.detail}".rstrip()
    if isinstance(what, Mail):
        return f"<- {what.sender.name}: {_tell_message(what)}"
    if isinstance(what, str):
        return f"!! {what}"
    if isinstance(what, tuple) and isinstance(what[-1], bytes) and len(what) == 2:
        return f"<- {what[0]}: {len(what[1])} bytes"
    return f"<- {type(what).__name__}"


def _tell_message(mail: Mail) -> str:
    message = mail.message
    if isinstance(message, AppendEntries):
        return (
            f"AppendEntries term {message.term} after {message.previous_log_index} "
            f"+{len(message.entries)} commit {message.leader_commit} round {message.round}"
        )
    if isinstance(message, AppendEntriesResponse):
        verdict = (
            f"match {message.match_index}"
            if message.success
            else (f"no, at {message.previous_log_index} try {message.hint_index}")
        )
        return f"AppendEntriesResponse term {message.term} {verdict} round {message.round}"
    fields = " ".join(
        f"{name} {value}"
        for name, value in zip(message._fields, message, strict=True)
        if isinstance(value, int)
    )
    return f"{type(message).__name__} {fields}".rstrip()
