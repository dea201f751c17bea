"""Records: commands and entries go to bytes and back, and nothing invalid is read."""

from __future__ import annotations

from collections.abc import Callable

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftudp.consensus.vocabulary import Entry
from raftudp.encoding import cbor
from raftudp.encoding.records import (
    decode_command,
    encode_command,
    encode_entries,
    entries_from,
    entry_from,
    entry_size,
)
from raftudp.errors import DecodeError
from raftudp.limits import INTEGER_MAXIMUM, KEY_BYTES_MAXIMUM, VALUE_BYTES_MAXIMUM
from raftudp.store.commands import Command, CompareAndSet, Delete, OpenSession, Operation, Put
from tests.wire import strategies

ID = b"i" * 16


@given(strategies.commands)
def test_commands_come_back_equal(command: Command):
    """A command is decoded equal, down to the class of its operation."""
    decoded = decode_command(encode_command(command))
    assert decoded == command
    assert type(decoded.operation) is type(command.operation)


@given(st.lists(strategies.entries, max_size=8).map(tuple))
def test_entries_come_back_equal(entries: tuple[Entry, ...]):
    """Entries are decoded equal, and `entry_size` bounds their encoded size."""
    assert entries_from(cbor.decode(encode_entries(entries))) == entries
    for entry in entries:
        assert len(encode_entries([entry])) - 1 <= entry_size(entry)
        assert entry_from(cbor.decode(encode_entries([entry]))[0]) == entry


@given(strategies.commands, st.data())
def test_damaged_commands_are_a_command_or_a_decode_error(command: Command, data: st.DataObject):
    """A changed, cut or random command raises DecodeError or is a valid one."""
    encoded = bytearray(encode_command(command))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(encoded)))
    for damaged in (bytes(encoded), bytes(encoded[:end]), data.draw(st.binary(max_size=60))):
        try:
            decoded = decode_command(damaged)
        except DecodeError:
            continue
        assert decode_command(encode_command(decoded)) == decoded


@given(strategies.commands)
def test_commands_with_other_fields_are_refused_or_valid(command: Command):
    """Each field, with a value of another type or range, is refused unless that is valid too."""
    fields = cbor.decode(encode_command(command))
    for place in range(len(fields)):
        for wrong in (True, 1.0, -1, 0, 2**63, "", b"", None, ()):
            changed = (*fields[:place], wrong, *fields[place + 1 :])
            try:
                decoded = decode_command(cbor2.dumps(changed))
            except DecodeError:
                continue
            assert encode_command(decoded) == cbor2.dumps(changed)
            assert all(type(number) is int for number in decoded[1:4])


def put(key_bytes: int, value_bytes: int) -> Put:
    return Put(bytes(key_bytes), bytes(value_bytes))


LIMITS: dict[str, tuple[Callable[[int], Operation], int]] = {
    "key of a put": (lambda n: put(n, 0), KEY_BYTES_MAXIMUM),
    "value of a put": (lambda n: put(0, n), VALUE_BYTES_MAXIMUM),
    "key of a delete": (lambda n: Delete(bytes(n)), KEY_BYTES_MAXIMUM),
    "key of a swap": (lambda n: CompareAndSet(bytes(n), None, b""), KEY_BYTES_MAXIMUM),
    "expected": (lambda n: CompareAndSet(b"", bytes(n), b""), VALUE_BYTES_MAXIMUM),
    "value of a swap": (lambda n: CompareAndSet(b"", None, bytes(n)), VALUE_BYTES_MAXIMUM),
}


@pytest.mark.parametrize(("build", "bound"), LIMITS.values(), ids=LIMITS.keys())
def test_operations_at_the_bound_and_one_past_it(build: Callable[[int], Operation], bound: int):
    """Keys and values of the greatest size are taken; one byte more is refused."""
    at_bound = Command(ID, 1, 1, 1, build(bound))
    assert decode_command(encode_command(at_bound)) == at_bound
    with pytest.raises(DecodeError):
        decode_command(encode_command(Command(ID, 1, 1, 1, build(bound + 1))))


@pytest.mark.parametrize("field", ["opened_at", "sequence", "first_incomplete"])
def test_numbers_at_the_bound_and_one_past_it(field: str):
    """Indexes and sequences go up to INTEGER_MAXIMUM, and no further."""
    command = Command(ID, 1, 1, 1, Delete(b""))._replace(**{field: INTEGER_MAXIMUM})
    assert decode_command(encode_command(command)) == command
    with pytest.raises(DecodeError):
        decode_command(encode_command(command._replace(**{field: INTEGER_MAXIMUM + 1})))


@pytest.mark.parametrize("length", [15, 17])
def test_client_ids_of_other_lengths_are_refused(length: int):
    """A client id has 16 bytes."""
    with pytest.raises(DecodeError):
        decode_command(encode_command(Command(bytes(length), 1, 1, 1, Delete(b""))))


def test_sequences_count_from_one_except_in_an_open_session():
    """Sequence 0 is OpenSession's alone."""
    for sequence, operation in [(0, Delete(b"")), (1, OpenSession())]:
        with pytest.raises(DecodeError):
            decode_command(encode_command(Command(ID, 1, sequence, 1, operation)))
