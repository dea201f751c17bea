"""Every message to bytes and back: a CBOR array of the type code and the message's fields, in
order.

NamedTuples are tuples, so encoding is one call of cbor2. Decoding checks arity, types and ranges:
any bytes decode to a valid message, or raise `DecodeError` and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from raftudp.consensus.messages import Message
from raftudp.encoding import cbor
from raftudp.errors import DecodeError
from raftudp.wire.client_decoders import ACTION_CODES, ANSWERS, REQUESTS
from raftudp.wire.client_messages import Admin, Answer, Request
from raftudp.wire.server_decoders import MESSAGES

T = TypeVar("T")

_MESSAGE_CODES = {kind: code for code, (kind, _) in MESSAGES.items()}
_REQUEST_CODES = {kind: code for code, (kind, _) in REQUESTS.items()}
_ANSWER_CODES = {kind: code for code, (kind, _) in ANSWERS.items()}
_MESSAGE_DECODERS = {code: take for code, (_, take) in MESSAGES.items()}
_REQUEST_DECODERS = {code: take for code, (_, take) in REQUESTS.items()}
_ANSWER_DECODERS = {code: take for code, (_, take) in ANSWERS.items()}


class _MessageEncoder:
    """Encodes a message once however many followers get it: a leader sends up-to-date ones the same
    object.

    The one remembered message is held, so its identity can't pass to another; both are stored as
    one tuple, so threads can't see the message of one call with the bytes of another.
    """

    def __init__(self) -> None:
        self._last: tuple[Message | None, bytes] = (None, b"")

    def encode(self, message: Message) -> bytes:
        """Encode a message between servers."""
        last_message, last_encoded = self._last
        if message is last_message:
            return last_encoded
        encoded = cbor.encode((_MESSAGE_CODES[type(message)], *message))
        self._last = (message, encoded)
        return encoded


encode_message: Callable[[Message], bytes] = _MessageEncoder().encode


def decode_message(data: bytes) -> Message:
    """Decode a message between servers, or raise `DecodeError`."""
    return _decode(data, _MESSAGE_DECODERS)


def encode_request(request: Request) -> bytes:
    """Encode what a client asks."""
    if isinstance(request, Admin):
        action = request.action
        coded_action = (ACTION_CODES[type(action)], *action)
        return cbor.encode(
            (_REQUEST_CODES[Admin], request.request, request.challenge, coded_action)
        )
    return cbor.encode((_REQUEST_CODES[type(request)], *request))


def decode_request(data: bytes) -> Request:
    """Decode what a client asks, or raise `DecodeError`."""
    return _decode(data, _REQUEST_DECODERS)


def encode_answer(answer: Answer) -> bytes:
    """Encode what a replica answers."""
    return cbor.encode((_ANSWER_CODES[type(answer)], *answer))


def decode_answer(data: bytes) -> Answer:
    """Decode what a replica answers, or raise `DecodeError`."""
    return _decode(data, _ANSWER_DECODERS)


def _decode(data: bytes, decoders: Mapping[int, Callable[[tuple[object, ...]], T]]) -> T:
    value = cbor.decode(data)
    if type(value) is not tuple or not value or type(value[0]) is not int:
        raise DecodeError("not a message")
    take = decoders.get(value[0])
    if take is None:
        raise DecodeError("no message of this type is known here")
    return take(value[1:])
