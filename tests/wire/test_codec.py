"""The codec: what is encoded is decoded equal, and nothing invalid is decoded."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import NoneType, UnionType
from typing import Union, get_args, get_origin, get_type_hints

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftudp.consensus import messages as m
from raftudp.consensus.vocabulary import Entry, EntryKind, Membership, Slot
from raftudp.encoding import cbor
from raftudp.errors import DecodeError
from raftudp.limits import (
    COMMAND_BYTES_MAXIMUM,
    COMMANDS_PER_REQUEST_MAXIMUM,
    ENTRIES_PER_MESSAGE_MAXIMUM,
    INTEGER_MAXIMUM,
    KEY_BYTES_MAXIMUM,
    LIST_ITEMS_MAXIMUM,
    MESSAGE_BYTES_MAXIMUM,
    PARTS_MAXIMUM,
    PARTS_MISSING_MAXIMUM,
    SLOTS_MAXIMUM,
    VALUE_BYTES_MAXIMUM,
)
from raftudp.store.commands import Item, Outcome
from raftudp.wire import client_messages as w
from raftudp.wire.client_decoders import ANSWERS, REQUESTS
from raftudp.wire.codec import (
    decode_answer,
    decode_message,
    decode_request,
    encode_answer,
    encode_message,
    encode_request,
)
from raftudp.wire.server_decoders import MESSAGES
from tests.wire import strategies

FAMILIES = {
    "message": (encode_message, decode_message, strategies.messages),
    "request": (encode_request, decode_request, strategies.requests),
    "answer": (encode_answer, decode_answer, strategies.answers),
}
families = pytest.mark.parametrize(
    ("encode", "decode", "valid"), FAMILIES.values(), ids=FAMILIES.keys()
)
ID = b"i" * 16
PLAIN = {int, bool, bytes, str, NoneType, EntryKind, Outcome, w.RefusalReason}
HINT = w.LeaderHint("ss-0", "host:1")
NOOP = Entry(1, EntryKind.NOOP, b"")


hints_of = functools.cache(get_type_hints)


def is_exactly(value: object, hint: object) -> bool:
    """Whether a value is what an annotation says, to the letter: True is no int here."""
    if isinstance(hint, UnionType) or get_origin(hint) is Union:
        return any(is_exactly(value, each) for each in get_args(hint))
    if get_origin(hint) is tuple:
        element, _ = get_args(hint)
        return type(value) is tuple and all(is_exactly(each, element) for each in value)
    if type(value) is not hint:
        return False
    fields = {} if hint in PLAIN else hints_of(hint)
    return all(
        is_exactly(getattr(value, name), field)
        for name, field in fields.items()
        if not name.startswith("_")
    )


def decode_or_refuse(decode: Callable, encode: Callable, data: bytes) -> None:
    """Decode to a valid message, or raise nothing but DecodeError."""
    try:
        decoded = decode(data)
    except DecodeError:
        return
    assert is_exactly(decoded, type(decoded))
    assert decode(encode(decoded)) == decoded


@families
def test_every_kind_is_generated(encode: Callable, decode: Callable, valid: st.SearchStrategy):
    """The properties below speak of every class of the union, and each has a code."""
    union, table = {
        encode_message: (m.Message, MESSAGES),
        encode_request: (w.Request, REQUESTS),
        encode_answer: (w.Answer, ANSWERS),
    }[encode]
    assert {kind for kind, _ in table.values()} == set(get_args(union))
    assert len(table) == len(get_args(union))
    assert len(valid.branches) == len(get_args(union))


@families
@given(data=st.data())
def test_encoded_messages_decode_equal(
    encode: Callable, decode: Callable, valid: st.SearchStrategy, data: st.DataObject
):
    """What was encoded is decoded equal, down to the types of all fields."""
    message = data.draw(valid)
    decoded = decode(encode(message))
    assert decoded == message
    assert is_exactly(decoded, type(message))


@families
@given(data=st.data())
def test_any_bytes_are_a_message_or_a_decode_error(
    encode: Callable, decode: Callable, valid: st.SearchStrategy, data: st.DataObject
):
    """Random bytes decode to a valid message or raise DecodeError, and nothing else."""
    decode_or_refuse(decode, encode, data.draw(st.binary(max_size=300)))


@families
@given(data=st.data())
def test_damaged_messages_are_a_message_or_a_decode_error(
    encode: Callable, decode: Callable, valid: st.SearchStrategy, data: st.DataObject
):
    """Valid encodings, changed in places, cut or extended, do no harm either."""
    encoded = bytearray(encode(data.draw(valid)))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(encoded) - 1))
        encoded[place] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(encoded)))
    decode_or_refuse(decode, encode, bytes(encoded))
    decode_or_refuse(decode, encode, bytes(encoded[:end]))
    decode_or_refuse(decode, encode, bytes(encoded[end:]))


plain_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**64), 2**64 - 1),
        st.floats(),
        st.text(max_size=20),
        st.binary(max_size=20),
        st.sampled_from([ID, "ss-0", "host:1", cbor2.undefined, cbor2.CBORSimpleValue(99)]),
    ),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


@families
@given(data=st.data())
def test_arrays_of_anything_are_a_message_or_a_decode_error(
    encode: Callable, decode: Callable, valid: st.SearchStrategy, data: st.DataObject
):
    """A known type code with fields of any number and types does no harm."""
    code = data.draw(st.integers(0, 50))
    fields = data.draw(st.lists(plain_values, max_size=8))
    decode_or_refuse(decode, encode, cbor2.dumps([code, *fields]))


WRONG = [True, 1.0, -1, INTEGER_MAXIMUM + 1, "", b"", None, (), ((),)]


def with_each_field_wrong(value: object) -> Iterator[object]:
    """The value with each of its fields, at any depth, replaced by each wrong one."""
    yield from WRONG
    for place, element in enumerate(value if isinstance(value, tuple) else ()):
        for wrong in with_each_field_wrong(element):
            yield (*value[:place], wrong, *value[place + 1 :])


@families
@settings(max_examples=20)
@given(data=st.data())
def test_fields_of_wrong_types_are_refused(
    encode: Callable, decode: Callable, valid: st.SearchStrategy, data: st.DataObject
):
    """In messages of every class, no field at any depth takes what only looks like its type."""
    for kind in valid.branches:
        for fields in with_each_field_wrong(cbor.decode(encode(data.draw(kind)))):
            decode_or_refuse(decode, encode, cbor2.dumps(fields))


@families
@given(data=st.data())
def test_other_arities_are_refused(
    encode: Callable, decode: Callable, valid: st.SearchStrategy, data: st.DataObject
):
    """One field more or one less is no message."""
    fields = list(cbor.decode(encode(data.draw(valid))))
    with pytest.raises(DecodeError):
        decode(cbor.encode([*fields, 0]))
    with pytest.raises(DecodeError):
        decode(cbor.encode(fields[:-1]))


def test_the_families_are_not_mixed():
    """A request is no answer and no server's message."""
    encoded = encode_request(w.Hello(1))
    for decode in (decode_message, decode_answer):
        with pytest.raises(DecodeError):
            decode(encoded)


def test_a_message_sent_to_many_is_encoded_once():
    """The same object gives the same bytes object; an equal-looking other one its own bytes."""
    heartbeat = m.AppendEntries(1, 1, 0, 0, 0, ())
    encoded = encode_message(heartbeat)
    assert encode_message(heartbeat) is encoded
    assert decode_message(encode_message(heartbeat._replace(round=2))).round == 2
    assert encode_message(heartbeat) == encoded


def command_entry(data_bytes: int) -> Entry:
    return Entry(1, EntryKind.COMMAND, bytes(data_bytes))


def membership(slots: int) -> Membership:
    return Membership(tuple(Slot(f"ss-{n}", "host:1", ID) for n in range(slots)))


def append(*entries: Entry, previous_log_index: int = 0) -> m.AppendEntries:
    return m.AppendEntries(1, 1, previous_log_index, 0, 0, entries)


def read_answer(value_bytes: int) -> w.ReadAnswer:
    return w.ReadAnswer(1, (w.GetResult(1, bytes(value_bytes), 1),))


def listed(key_bytes: int, value_bytes: int) -> w.ListAnswer:
    return w.ListAnswer(1, 1, (Item(bytes(key_bytes), bytes(value_bytes), 1),), False)


LIMITS = {
    "term": (m.TimeoutNow, INTEGER_MAXIMUM),
    "round": (lambda n: append()._replace(round=n), INTEGER_MAXIMUM),
    "index of the last entry": (
        lambda n: append(NOOP, previous_log_index=n - 1),
        INTEGER_MAXIMUM,
    ),
    "entry data": (lambda n: append(command_entry(n)), 768),
    "entries": (lambda n: append(*[NOOP] * n), ENTRIES_PER_MESSAGE_MAXIMUM),
    "slots": (lambda n: m.Found(membership(n)), SLOTS_MAXIMUM),
    "name": (lambda n: m.Found(Membership((Slot("n" * n, "host:1", ID),))), 63),
    "address": (lambda n: m.Found(Membership((Slot("n", "h" * (n - 2) + ":1", ID),))), 260),
    "incarnation": (lambda n: m.Found(Membership((Slot("n", "host:1", b"i" * n),))), 16),
    "request": (w.Hello, INTEGER_MAXIMUM),
    "commands": (
        lambda n: w.Write(ID, 1, (b"",) * n),
        COMMANDS_PER_REQUEST_MAXIMUM,
    ),
    "command": (lambda n: w.Write(ID, 1, (bytes(n),)), COMMAND_BYTES_MAXIMUM),
    "gets": (
        lambda n: w.Read(False, (w.GetRequest(1, b""),) * n),
        COMMANDS_PER_REQUEST_MAXIMUM,
    ),
    "key of a get": (lambda n: w.Read(False, (w.GetRequest(1, bytes(n)),)), KEY_BYTES_MAXIMUM),
    "prefix": (lambda n: w.List(1, False, bytes(n), None, 1), KEY_BYTES_MAXIMUM),
    "after": (lambda n: w.List(1, False, b"", bytes(n), 1), KEY_BYTES_MAXIMUM),
    "limit of a list": (lambda n: w.List(1, False, b"", None, n), LIST_ITEMS_MAXIMUM),
    "results": (
        lambda n: w.Written(ID, (w.WriteResult(1, Outcome.DONE, 1),) * n),
        COMMANDS_PER_REQUEST_MAXIMUM,
    ),
    "refused sequences": (
        lambda n: w.WriteRefused(ID, 1, w.RefusalReason.BLANK, HINT, (1,) * n),
        COMMANDS_PER_REQUEST_MAXIMUM,
    ),
    "refused requests": (
        lambda n: w.RequestRefused((1,) * n, w.RefusalReason.BLANK, HINT),
        COMMANDS_PER_REQUEST_MAXIMUM,
    ),
    "value of a get": (read_answer, VALUE_BYTES_MAXIMUM),
    "results of gets": (
        lambda n: w.ReadAnswer(1, (w.GetResult(1, None, 0),) * n),
        COMMANDS_PER_REQUEST_MAXIMUM,
    ),
    "items": (
        lambda n: w.ListAnswer(1, 1, (Item(b"", b"", 1),) * n, False),
        LIST_ITEMS_MAXIMUM,
    ),
    "listed key": (lambda n: listed(n, 0), KEY_BYTES_MAXIMUM),
    "listed value": (lambda n: listed(0, n), VALUE_BYTES_MAXIMUM),
    "part number": (lambda n: w.Part(1, n, n + 1, 1, b""), PARTS_MAXIMUM - 1),
    "parts": (lambda n: w.Part(1, 0, n, 1, b""), PARTS_MAXIMUM),
    "bytes in parts": (lambda n: w.Part(1, 0, 1, n, b""), MESSAGE_BYTES_MAXIMUM),
    "data of a part": (lambda n: w.Part(1, 0, 1, 1, bytes(n)), 65_000),
    "received parts": (lambda n: w.PartsReceived(1, n, ()), PARTS_MAXIMUM),
    "missing parts": (lambda n: w.PartsReceived(1, 0, (1,) * n), PARTS_MISSING_MAXIMUM),
    "missing part": (lambda n: w.PartsReceived(1, 0, (n,)), PARTS_MAXIMUM - 1),
}


@pytest.mark.parametrize(("build", "bound"), LIMITS.values(), ids=LIMITS.keys())
def test_limits_hold_at_the_bound_and_one_past_it(build: Callable, bound: int):
    """A message at a limit is decoded; one past it is refused."""

    def roundtrip(message: object) -> object:
        for kind in FAMILIES.values():
            encode, decode, _ = kind
            try:
                encoded = encode(message)
            except KeyError:
                continue
            return decode(encoded)
        raise AssertionError(message)

    assert roundtrip(build(bound)) == build(bound)
    with pytest.raises(DecodeError):
        roundtrip(build(bound + 1))


FIRST_SLOT = Slot("ss-0", "host:1", ID)
INVALID = {
    "two slots of one name": m.Found(Membership((FIRST_SLOT, FIRST_SLOT))),
    "no slots": m.Found(Membership(())),
    "empty name": m.Found(Membership((FIRST_SLOT._replace(name=""),))),
    "name with a space": m.Found(Membership((FIRST_SLOT._replace(name="a b"),))),
    "name with a line's end": m.Found(Membership((FIRST_SLOT._replace(name="ss-0\n"),))),
    "name that is no ASCII": m.Found(Membership((FIRST_SLOT._replace(name="sß"),))),
    "address without port": m.Found(Membership((FIRST_SLOT._replace(address="host"),))),
    "address without host": m.Found(Membership((FIRST_SLOT._replace(address=":1"),))),
    "address with a space": m.Found(Membership((FIRST_SLOT._replace(address="a b:1"),))),
    "address with a control character": m.Found(
        Membership((FIRST_SLOT._replace(address="a\x1b:1"),))
    ),
    "incarnation of nobody": m.Found(Membership((FIRST_SLOT._replace(incarnation=bytes(16)),))),
    "noop with data": append(Entry(1, EntryKind.NOOP, b"x")),
    "command without bytes": append(Entry(1, EntryKind.COMMAND, membership(1))),
    "membership of bytes": append(Entry(1, EntryKind.MEMBERSHIP, b"x")),
    "negative term": m.TimeoutNow(-1),
    "terms that fall": append(NOOP._replace(term=1), NOOP._replace(term=0)),
    "term below the one before": append(NOOP)._replace(term=2, previous_log_term=2),
    "term above the leader's": append(NOOP._replace(term=2)),
    "term before above the leader's": append()._replace(previous_log_term=2),
}


@pytest.mark.parametrize("message", INVALID.values(), ids=INVALID.keys())
def test_malformed_fields_are_refused(message: m.Message):
    """Names, addresses, identifiers and entries are what they should be, or refused."""
    with pytest.raises(DecodeError):
        decode_message(encode_message(message))


def test_a_part_beyond_the_last_is_refused():
    """Part numbers count from 0 to one below the count."""
    with pytest.raises(DecodeError):
        decode_request(encode_request(w.Part(1, 3, 3, 10, b"")))
