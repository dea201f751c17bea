"""CBOR (RFC 8949), strict: bytes from outside become plain values or a `DecodeError`, and nothing
else.

Decoded arrays are tuples. Tags, maps, indefinite lengths, trailing bytes and nesting deeper than
`CBOR_DEPTH_MAXIMUM` are refused here. What remains are integers, booleans, None, byte strings,
text, arrays, and also floats and "simple values": nothing of ours is made of those two, and every
reader checks the exact type of what it takes (`encoding.fields`), so they end as a `DecodeError`
one step later, without a walk over each message here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NoReturn

import cbor2

from raftudp.errors import DecodeError
from raftudp.limits import CBOR_DEPTH_MAXIMUM


def _refuse(*_: object) -> NoReturn:
    """Stand in for every hook of cbor2 that would make something else than a plain value."""
    raise DecodeError("a tag or a map, where only plain values are taken")


class _EveryTagRefused(dict[int, Any]):
    """What cbor2 asks for the decoder of a tag: for every tag, the refusal.

    Without it, cbor2 decodes the tags that it knows by itself: dates, bignums, regular expressions,
    shared references and more.
    """

    def __contains__(self, _tag: object) -> bool:
        return True

    def __missing__(self, _tag: int) -> Any:
        return _refuse

    def get(self, _tag: int, _default: Any = None) -> Any:
        """Answer the refusal."""
        return _refuse


_EVERY_TAG_REFUSED: Mapping[int, Any] = _EveryTagRefused()
_PAIR_HEAD = b"\x82"
_END_HEAD = b"\x50"
_END = os.urandom(16)


def encode(value: object) -> bytes:
    """Encode integers, booleans, None, bytes, text, and tuples of these.

    NamedTuples are tuples, and a dataclass stands for the tuple of its fields.
    """
    return cbor2.dumps(value, default=_encode_dataclass)


def _encode_dataclass(encoder: cbor2.CBOREncoder, value: Any) -> None:
    """Take over where cbor2 doesn't know the type."""
    encoder.encode(tuple([getattr(value, each.name) for each in fields(value) if each.init]))


def decode(data: bytes) -> object:
    """Decode exactly one value that fills `data`; anything else is a `DecodeError`.

    A length that promises more than there is costs nothing: cbor2 allocates at most 64 KiB ahead.
    """
    # cbor2 doesn't tell whether bytes were left over, short of a stream that takes twice the time.
    # So the data is read as the first element of a pair whose second one nobody outside knows:
    # were anything left over, or missing, the second element would be another.
    try:
        value, end = cbor2.loads(
            _PAIR_HEAD + data + _END_HEAD + _END,
            tag_hook=_refuse,
            object_hook=_refuse,
            semantic_decoders=_EVERY_TAG_REFUSED,
            max_depth=CBOR_DEPTH_MAXIMUM + 1,
            allow_indefinite=False,
            strict_hashable_types=True,
            immutable=True,
        )
    except Exception as error:
        raise DecodeError(f"not the CBOR that is spoken here: {error}") from error
    if type(end) is not bytes or end != _END:
        raise DecodeError("not one value that fills the message")
    decoded: object = value
    return decoded
