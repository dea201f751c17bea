"""The kinds of field that messages and records are made of: each check takes a decoded value, or
raises `DecodeError`.

Types are compared exactly (`type(value) is int`), so that True is no number and a float no index.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from raftudp.consensus.vocabulary import ANY_INCARNATION
from raftudp.errors import DecodeError
from raftudp.limits import (
    ADDRESS_BYTES_MAXIMUM,
    IDENTIFIER_BYTES,
    INTEGER_MAXIMUM,
    KEY_BYTES_MAXIMUM,
    NAME_BYTES_MAXIMUM,
    VALUE_BYTES_MAXIMUM,
)

T = TypeVar("T")

_NAME = re.compile(rf"[A-Za-z0-9._-]{{1,{NAME_BYTES_MAXIMUM}}}")


def is_name(text: str) -> bool:
    """Whether a replica may be called so: 1 to `NAME_BYTES_MAXIMUM` letters, digits, dots, dashes,
    underscores.
    """
    return _NAME.fullmatch(text) is not None


def array(value: object, length: int) -> tuple[Any, ...]:
    """An array of exactly `length` elements."""
    if type(value) is not tuple or len(value) != length:
        raise DecodeError(f"not an array of {length}")
    return value


def array_up_to(value: object, length_maximum: int) -> tuple[Any, ...]:
    """An array of at most `length_maximum` elements."""
    if type(value) is not tuple or len(value) > length_maximum:
        raise DecodeError(f"not an array of up to {length_maximum}")
    return value


def each(take: Callable[[object], T], value: object, length_maximum: int) -> tuple[T, ...]:
    """An array of at most `length_maximum` elements, each taken by `take`."""
    return tuple([take(element) for element in array_up_to(value, length_maximum)])


def integer(value: object, maximum: int = INTEGER_MAXIMUM, minimum: int = 0) -> int:
    """An integer from `minimum` to `maximum`, both included."""
    if type(value) is not int or not minimum <= value <= maximum:
        raise DecodeError(f"not an integer from {minimum} to {maximum}")
    return value


def integer_or_none(value: object) -> int | None:
    """An integer from 0 to `INTEGER_MAXIMUM`, or None."""
    return None if value is None else integer(value)


def boolean(value: object) -> bool:
    """True or False."""
    if type(value) is not bool:
        raise DecodeError("not a boolean")
    return value


def octets(value: object, length_maximum: int) -> bytes:
    """A byte string of at most `length_maximum` bytes."""
    if type(value) is not bytes or len(value) > length_maximum:
        raise DecodeError(f"not a byte string of up to {length_maximum}")
    return value


def identifier(value: object) -> bytes:
    """Exactly `IDENTIFIER_BYTES` bytes."""
    if type(value) is not bytes or len(value) != IDENTIFIER_BYTES:
        raise DecodeError("not an identifier")
    return value


def incarnation(value: object) -> bytes:
    """An identifier that names somebody: not `ANY_INCARNATION`."""
    if value == ANY_INCARNATION:
        raise DecodeError("an identifier that names nobody")
    return identifier(value)


def text(value: object, bytes_maximum: int) -> str:
    """Printable text of at most `bytes_maximum` bytes in UTF-8."""
    if type(value) is not str or len(value.encode()) > bytes_maximum or not value.isprintable():
        raise DecodeError(f"not printable text of up to {bytes_maximum} bytes")
    return value


def name(value: object) -> str:
    """A replica's name."""
    if type(value) is not str or not is_name(value):
        raise DecodeError("not a name")
    return value


def address(value: object) -> str:
    """A `host:port` as far as its form goes; resolving it is another's work."""
    checked = text(value, ADDRESS_BYTES_MAXIMUM)
    host, _, port = checked.rpartition(":")
    if not host or not port.isdecimal() or " " in checked:
        raise DecodeError("not a host:port")
    return checked


def key(value: object) -> bytes:
    """A key of the store."""
    return octets(value, KEY_BYTES_MAXIMUM)


def key_or_none(value: object) -> bytes | None:
    """A key of the store, or None."""
    return None if value is None else key(value)


def stored_value(value: object) -> bytes:
    """A value of the store."""
    return octets(value, VALUE_BYTES_MAXIMUM)


def stored_value_or_none(value: object) -> bytes | None:
    """A value of the store, or None."""
    return None if value is None else stored_value(value)
