"""What can be asked of the store, and what it answers."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, TypeAlias


class Put(NamedTuple):
    """Give `key` a value."""

    key: bytes
    value: bytes


class Delete(NamedTuple):
    """Remove `key`; done even if it is absent."""

    key: bytes


class CompareAndSet(NamedTuple):
    """Give `key` the value `value` if it has the value `expected` now; None stands for "absent"."""

    key: bytes
    expected: bytes | None
    value: bytes


class OpenSession(NamedTuple):
    """Start a session for the command's client; its revision is the session's `opened_at`."""


Operation: TypeAlias = Put | Delete | CompareAndSet | OpenSession


class Command(NamedTuple):
    """An operation under a session: what one or more log entries carry (dissertation, 6.3).

    A session is known by its client's random id *and* the index at which it was opened, so that a
    late duplicate of an OpenSession can't bring an expired session back under which late duplicates
    of writes would run again.
    """

    client_id: bytes
    opened_at: int
    """The index of the entry that opened the session; 0 in an OpenSession."""
    sequence: int
    """1, 2, 3, ... in one session; 0 in an OpenSession."""
    first_incomplete: int
    """The client has its results of all sequences below this one; the store may forget them."""
    operation: Operation


class Outcome(IntEnum):
    """What applying a command did."""

    DONE = 0
    ABSENT = 1
    """A Delete found nothing to delete; it is done all the same."""
    DIFFERENT = 2
    """A CompareAndSet found another value; nothing was changed."""
    SESSION_EXPIRED = 3
    """The store knows no such session: not applied now, but an earlier copy may have been."""
    SEQUENCE_FORGOTTEN = 4
    """The client said that it has this command's result: a late duplicate, not applied again."""
    TOO_MANY_OUTSTANDING = 5
    """The sequence is too far beyond `first_incomplete`; not applied."""
    INVALID = 6
    """The entry's bytes are no command; not applied."""


class Result(NamedTuple):
    """The answer to one command, the same at every replica and for every repetition."""

    outcome: Outcome
    revision: int
    """The index of the entry that was applied first for this command, whatever the outcome."""


class Item(NamedTuple):
    """A key with its value."""

    key: bytes
    value: bytes
    revision: int
    """The log index of the key's last change."""
