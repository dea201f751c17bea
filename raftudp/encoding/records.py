"""Records that travel and lie on disk in one form: commands, entries, memberships, clusters.

A record is the CBOR array of its fields. NamedTuples are tuples, so encoding is one call of cbor2;
decoding checks every type and range.
"""

from __future__ import annotations

from collections.abc import Sequence

from raftudp.consensus.vocabulary import Cluster, Entry, EntryKind, Membership, ServerId, Slot
from raftudp.encoding import cbor
from raftudp.encoding.fields import (
    address,
    array,
    array_up_to,
    each,
    identifier,
    incarnation,
    integer,
    key,
    name,
    stored_value,
    stored_value_or_none,
)
from raftudp.errors import DecodeError
from raftudp.limits import (
    ENTRIES_PER_MESSAGE_MAXIMUM,
    ENTRY_DATA_BYTES_MAXIMUM,
    ENTRY_OVERHEAD_BYTES,
    IDENTIFIER_BYTES,
    INTEGER_MAXIMUM,
    SLOTS_MAXIMUM,
)
from raftudp.store.commands import (
    Command,
    CompareAndSet,
    Delete,
    OpenSession,
    Operation,
    Put,
)

_OPEN_SESSION, _PUT, _DELETE, _COMPARE_AND_SET = range(4)
_OPERATION_CODES: dict[type[Operation], int] = {
    OpenSession: _OPEN_SESSION,
    Put: _PUT,
    Delete: _DELETE,
    CompareAndSet: _COMPARE_AND_SET,
}
_KINDS_WITH_BYTES = (EntryKind.COMMAND, EntryKind.COMMAND_PART)
_ENTRY_KINDS = tuple(EntryKind)
assert all(kind == place for place, kind in enumerate(_ENTRY_KINDS))


def encode_command(command: Command) -> bytes:
    """Encode a command: client id, opened_at, sequence, first_incomplete, operation code, the
    operation's fields.
    """
    operation = command.operation
    return cbor.encode((*command[:4], _OPERATION_CODES[type(operation)], *operation))


def decode_command(data: bytes) -> Command:
    """Decode a command, limits of keys and values included; anything else is a `DecodeError`."""
    value = cbor.decode(data)
    if type(value) is not tuple or len(value) < 5:
        raise DecodeError("not a command")
    client_id, opened_at, sequence, first_incomplete, code = value[:5]
    if not (
        type(client_id) is bytes
        and len(client_id) == IDENTIFIER_BYTES
        and type(opened_at) is type(sequence) is type(first_incomplete) is type(code) is int
        and 0 <= opened_at <= INTEGER_MAXIMUM
        and 0 <= sequence <= INTEGER_MAXIMUM
        and 0 <= first_incomplete <= INTEGER_MAXIMUM
        and (code == _OPEN_SESSION) == (sequence == 0)
    ):
        raise DecodeError("not a command")
    operation = _operation_from(code, value[5:])
    return Command(client_id, opened_at, sequence, first_incomplete, operation)


def _operation_from(code: int, fields: tuple[object, ...]) -> Operation:
    if code == _PUT and len(fields) == 2:
        return Put(key(fields[0]), stored_value(fields[1]))
    if code == _DELETE and len(fields) == 1:
        return Delete(key(fields[0]))
    if code == _COMPARE_AND_SET and len(fields) == 3:
        return CompareAndSet(
            key(fields[0]), stored_value_or_none(fields[1]), stored_value(fields[2])
        )
    if code == _OPEN_SESSION and not fields:
        return OpenSession()
    raise DecodeError("not an operation")


def encode_entries(entries: Sequence[Entry]) -> bytes:
    """Encode entries as one array."""
    return cbor.encode(tuple(entries))


def entries_from(value: object) -> tuple[Entry, ...]:
    """Take a decoded array of entries; anything else is a `DecodeError`."""
    entries = array_up_to(value, ENTRIES_PER_MESSAGE_MAXIMUM)
    return tuple([entry_from(entry) for entry in entries]) if entries else ()


def entry_from(value: object) -> Entry:
    """Take one decoded entry; anything else is a `DecodeError`."""
    if type(value) is not tuple or len(value) != 3:
        raise DecodeError("not an entry")
    term, kind, data = value
    if not (
        type(term) is type(kind) is int
        and 0 <= term <= INTEGER_MAXIMUM
        and 0 <= kind < len(_ENTRY_KINDS)
    ):
        raise DecodeError("not an entry")
    if kind in _KINDS_WITH_BYTES:
        if type(data) is not bytes or len(data) > ENTRY_DATA_BYTES_MAXIMUM:
            raise DecodeError("not the data of an entry")
    elif kind == EntryKind.MEMBERSHIP:
        data = membership_from(data)
    elif kind == EntryKind.OPEN:
        data = cluster_from(data)
    elif data != b"":
        raise DecodeError("a NOOP carries nothing")
    return Entry(term, _ENTRY_KINDS[kind], data)


def entry_size(entry: Entry) -> int:
    """An upper bound of the entry's encoded size in bytes, without encoding it."""
    data = entry.data
    if type(data) is bytes:
        return ENTRY_OVERHEAD_BYTES + len(data)
    if isinstance(data, Membership):
        return ENTRY_OVERHEAD_BYTES + sum(_slot_size(slot) for slot in data.slots)
    return ENTRY_OVERHEAD_BYTES + 2 * (2 + IDENTIFIER_BYTES) + 9


def _slot_size(slot: Slot) -> int:
    # One byte of array head, heads of up to 3 bytes before both texts, two identifiers with heads.
    texts = len(slot.name.encode()) + len(slot.address.encode())
    return 1 + 3 + 3 + texts + 2 * (1 + IDENTIFIER_BYTES)


def membership_from(value: object) -> Membership:
    """Take a decoded membership of at least one slot, names unique; anything else is a
    `DecodeError`.
    """
    membership = membership_or_empty_from(value)
    if not membership.slots:
        raise DecodeError("a membership without slots")
    return membership


def membership_or_empty_from(value: object) -> Membership:
    """Take a decoded membership, which may be that of a replica that knows none."""
    (slots,) = array(value, 1)
    membership = Membership(each(_slot_from, slots, SLOTS_MAXIMUM))
    if len({slot.name for slot in membership.slots}) != len(membership.slots):
        raise DecodeError("two slots of one name")
    return membership


def _slot_from(value: object) -> Slot:
    slot_name, slot_address, filled_by, vacated = array(value, 4)
    return Slot(
        name(slot_name),
        address(slot_address),
        None if filled_by is None else incarnation(filled_by),
        None if vacated is None else incarnation(vacated),
    )


def cluster_from(value: object) -> Cluster:
    """Take a decoded cluster; anything else is a `DecodeError`."""
    cluster_id, epoch, epoch_id = array(value, 3)
    return Cluster(incarnation(cluster_id), integer(epoch), identifier(epoch_id))


def server_id_from(value: object) -> ServerId:
    """Take a decoded identity; anything else is a `DecodeError`."""
    server_name, server_incarnation = array(value, 2)
    return ServerId(name(server_name), incarnation(server_incarnation))
