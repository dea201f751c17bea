"""Strict CBOR: one plain value that fills the data, or a DecodeError."""

from __future__ import annotations

import contextlib
import tracemalloc

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftudp.encoding import cbor
from raftudp.errors import DecodeError
from raftudp.limits import CBOR_DEPTH_MAXIMUM

plain_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.text(max_size=30),
        st.binary(max_size=300),
    ),
    lambda inner: st.lists(inner, max_size=5).map(tuple),
    max_leaves=20,
)


def depth_of(value: object) -> int:
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, tuple) else 0


@given(plain_values)
def test_plain_values_come_back_equal(value: object):
    """What is encoded is decoded equal, up to the greatest depth."""
    if depth_of(value) <= CBOR_DEPTH_MAXIMUM:
        assert cbor.decode(cbor.encode(value)) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_decode_error(data: bytes):
    """Bytes from outside raise nothing but DecodeError."""
    with contextlib.suppress(DecodeError):
        cbor.decode(data)


@given(plain_values, st.binary(min_size=1, max_size=20))
def test_bytes_behind_the_value_are_refused(value: object, rest: bytes):
    """A value with anything behind it is refused, even with another value."""
    data = cbor2.dumps(value)
    with pytest.raises(DecodeError):
        cbor.decode(data + rest)


@given(plain_values, st.data())
def test_a_value_cut_short_is_refused(value: object, data: st.DataObject):
    """No beginning of a value is a value."""
    encoded = cbor2.dumps(value)
    with pytest.raises(DecodeError):
        cbor.decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


@given(
    st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2, 4, 25, 28, 29, 35, 256, 258, 55799]),
    plain_values,
)
def test_every_tag_is_refused(tag: int, value: object):
    """Dates, bignums, references, regular expressions and unknown tags are all refused."""
    with pytest.raises(DecodeError):
        cbor.decode(cbor2.dumps(cbor2.CBORTag(tag, value)))


@pytest.mark.parametrize(
    ("depth", "accepted"), [(CBOR_DEPTH_MAXIMUM, True), (CBOR_DEPTH_MAXIMUM + 1, False)]
)
def test_depth_at_the_bound_and_one_past_it(depth: int, accepted: bool):
    """Arrays nest CBOR_DEPTH_MAXIMUM deep and no deeper."""
    data = b"\x81" * depth + b"\x00"
    if accepted:
        assert depth_of(cbor.decode(data)) == depth
    else:
        with pytest.raises(DecodeError):
            cbor.decode(data)


REFUSED = {
    "nothing": b"",
    "map": b"\xa1\x01\x02",
    "empty map": b"\xa0",
    "map with a key twice": b"\xa2\x61a\x01\x61a\x02",
    "map within an array": b"\x81\xa0",
    "array of indefinite length": b"\x9f\x01\xff",
    "bytes of indefinite length": b"\x5f\x41a\xff",
    "text of indefinite length": b"\x7f\x61a\xff",
    "map of indefinite length": b"\xbf\xff",
    "break": b"\xff",
    "reserved additional information": b"\x1c",
    "text that is no UTF-8": b"\x61\xff",
    "text with a surrogate": b"\x63\xed\xa0\x80",
    "two values": b"\x01\x01",
    "deep nesting": b"\x81" * 100_000,
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_spoken_here_is_refused(data: bytes):
    """Maps, indefinite lengths, broken text and deep nesting raise DecodeError."""
    with pytest.raises(DecodeError):
        cbor.decode(data)


@pytest.mark.parametrize("major", [0x5B, 0x7B, 0x9B, 0xBB], ids=["bytes", "text", "array", "map"])
@pytest.mark.parametrize("length", [2**27, 2**33, 2**63 - 1, 2**64 - 1])
def test_a_promised_length_allocates_nothing(major: int, length: int):
    """A head that promises gigabytes is refused before they are allocated."""
    tracemalloc.start()
    with pytest.raises(DecodeError):
        cbor.decode(bytes((major,)) + length.to_bytes(8) + b"abc")
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 1_000_000


def test_the_end_mark_is_no_way_out():
    """Bytes in the form of what ends a decoding don't end it."""
    for end in (b"\x50", b"\x50" + bytes(16), b"\x50" * 17, b"\x81\x50"):
        with pytest.raises(DecodeError):
            cbor.decode(b"\x01" + end)
