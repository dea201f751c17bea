"""What can be asked of a session, and the limits that are checked before anything is sent."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias, assert_never

from raftudp.errors import InvalidRequest
from raftudp.limits import KEY_BYTES_MAXIMUM, NAME_BYTES_MAXIMUM, VALUE_BYTES_MAXIMUM
from raftudp.store.commands import CompareAndSet, Delete, Put
from raftudp.wire.client_messages import Action, Transfer

WriteOperation: TypeAlias = Put | Delete | CompareAndSet


class Get(NamedTuple):
    """The value of one key."""

    key: bytes
    stale: bool = False
    """True: what any replica holds now; else linearizable."""


class ListKeys(NamedTuple):
    """The keys that begin with `prefix`, in order, with their values; asked for page by page."""

    prefix: bytes = b""
    after: bytes | None = None
    """Only keys behind this one."""
    limit: int | None = None
    """At most so many; None for all."""
    stale: bool = False
    server: str | None = None
    """With `stale`: the one server to ask, by its address."""


class AskStatus(NamedTuple):
    """One server's picture of itself."""

    server: str


class Administer(NamedTuple):
    """An administrative request to one server, or to whoever leads (None)."""

    server: str | None
    action: Action


Question: TypeAlias = Get | ListKeys | AskStatus | Administer
"""What leaves the store as it is; it may be asked twice without harm."""
Operation: TypeAlias = WriteOperation | Question


def check_limits(operation: Operation) -> None:
    """Raise `InvalidRequest` for what no replica would take."""
    match operation:
        case Put(key, value):
            _check_key(key)
            _check_value("value", value)
        case Delete(key) | Get(key):
            _check_key(key)
        case CompareAndSet(key, expected, value):
            _check_key(key)
            if expected is not None:
                _check_value("expected value", expected)
            _check_value("value", value)
        case ListKeys(prefix, after, limit):
            _check_key_length("prefix", prefix)
            _check_key_length("key to go on after", after or b"")
            if limit is not None and (type(limit) is not int or limit < 1):
                raise InvalidRequest(f"a limit is a whole number from 1 on, not {limit!r}")
        case Administer(_, Transfer(target)):
            if not target.isascii():
                raise InvalidRequest("a server's name is ASCII text")
            if len(target) > NAME_BYTES_MAXIMUM:
                raise InvalidRequest(f"a server's name has at most {NAME_BYTES_MAXIMUM} letters")
        case AskStatus() | Administer():
            pass
        case _:
            assert_never(operation)


def _check_key(key: bytes) -> None:
    if not key:
        raise InvalidRequest(f"a key has 1 to {KEY_BYTES_MAXIMUM} bytes; this one is empty")
    _check_key_length("key", key)


def _check_key_length(what: str, key: bytes) -> None:
    if len(key) > KEY_BYTES_MAXIMUM:
        raise InvalidRequest(f"a {what} has at most {KEY_BYTES_MAXIMUM} bytes, not {len(key)}")


def _check_value(what: str, value: bytes) -> None:
    if len(value) > VALUE_BYTES_MAXIMUM:
        raise InvalidRequest(f"a {what} has at most {VALUE_BYTES_MAXIMUM} bytes, not {len(value)}")
