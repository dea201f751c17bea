"""The sizes that `limits` promises, against the largest messages of their kinds."""

from __future__ import annotations

import os

import pytest

from raftudp.consensus.messages import AppendEntries, AppendEntriesResponse, Found
from raftudp.consensus.vocabulary import (
    Cluster,
    Entry,
    EntryKind,
    Membership,
    ServerId,
    Slot,
)
from raftudp.encoding.records import encode_command, encode_entries, entry_size
from raftudp.limits import (
    ADDRESS_BYTES_MAXIMUM,
    APPEND_ENTRIES_OVERHEAD_BYTES,
    BODY_BYTES_MINIMUM,
    COMMAND_BYTES_MAXIMUM,
    COMMAND_OVERHEAD_BYTES,
    DATAGRAM_BYTES_MAXIMUM,
    ENTRIES_PER_MESSAGE_MAXIMUM,
    ENTRY_DATA_BYTES_MAXIMUM,
    ENTRY_OVERHEAD_BYTES,
    ENVELOPE_BYTES_MAXIMUM,
    INTEGER_MAXIMUM,
    KEY_BYTES_MAXIMUM,
    LIST_BYTES_MAXIMUM,
    LIST_ITEMS_MAXIMUM,
    MESSAGE_BYTES_MAXIMUM,
    NAME_BYTES_MAXIMUM,
    PART_BYTES_OVERHEAD,
    PARTS_MAXIMUM,
    SLOTS_MAXIMUM,
    STATUS_TEXT_BYTES_MAXIMUM,
    VALUE_BYTES_MAXIMUM,
)
from raftudp.store.commands import Command, CompareAndSet, Item
from raftudp.wire import client_messages as w
from raftudp.wire.codec import encode_answer, encode_message, encode_request
from raftudp.wire.envelope import KeyRing, Kind, Sealer

ID = b"\xff" * 16
GREATEST = INTEGER_MAXIMUM
NAME = "n" * NAME_BYTES_MAXIMUM
ADDRESS = "h" * (ADDRESS_BYTES_MAXIMUM - 6) + ":65535"
SERVER = ServerId(NAME, ID)
CLUSTER = Cluster(ID, GREATEST, ID)


def largest_slots(count: int) -> Membership:
    """Slots with names and addresses of the greatest length, filled after they were vacated."""
    return Membership(
        tuple(
            Slot(f"{number:0{NAME_BYTES_MAXIMUM}}", ADDRESS, ID, vacated=ID)
            for number in range(count)
        )
    )


def largest_entry(data: bytes | Membership | Cluster) -> Entry:
    kinds = {bytes: EntryKind.COMMAND, Membership: EntryKind.MEMBERSHIP, Cluster: EntryKind.OPEN}
    return Entry(GREATEST, kinds[type(data)], data)


@pytest.mark.parametrize("count", [0, 1, ENTRIES_PER_MESSAGE_MAXIMUM])
def test_append_entries_beside_its_entries(count: int):
    """APPEND_ENTRIES_OVERHEAD_BYTES and ENTRY_OVERHEAD_BYTES bound what is added to the data."""
    entry = largest_entry(b"x" * ENTRY_DATA_BYTES_MAXIMUM)
    message = AppendEntries(GREATEST, GREATEST, GREATEST, GREATEST, GREATEST, (entry,) * count)
    bound = APPEND_ENTRIES_OVERHEAD_BYTES + count * (ENTRY_OVERHEAD_BYTES + len(entry.data))
    assert len(encode_message(message)) <= bound


def test_the_largest_entry_fits_the_smallest_datagram():
    """One entry and the longest envelope are no longer than every path carries."""
    entry = largest_entry(b"x" * ENTRY_DATA_BYTES_MAXIMUM)
    message = AppendEntries(GREATEST, GREATEST, GREATEST, GREATEST, GREATEST, (entry,))
    assert len(encode_message(message)) <= BODY_BYTES_MINIMUM


def test_an_answer_fits_the_smallest_datagram():
    """AppendEntriesResponse needs no bound of its own."""
    numbers = (GREATEST,) * 4
    message = AppendEntriesResponse(GREATEST, GREATEST, False, *numbers)
    assert len(encode_message(message)) <= BODY_BYTES_MINIMUM


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x" * 23,
        b"x" * 24,
        b"x" * 256,
        b"x" * ENTRY_DATA_BYTES_MAXIMUM,
        CLUSTER,
        largest_slots(1),
        largest_slots(SLOTS_MAXIMUM),
    ],
    ids=str,
)
def test_entry_size_is_an_upper_bound(data: bytes | Membership | Cluster):
    """`entry_size` is never below the encoded size of the entry."""
    entry = largest_entry(data)
    assert len(encode_entries([entry])) - 1 <= entry_size(entry)


def test_the_largest_command():
    """COMMAND_BYTES_MAXIMUM holds a compare-and-set with two values of the greatest size."""
    value = bytes(VALUE_BYTES_MAXIMUM)
    operation = CompareAndSet(bytes(KEY_BYTES_MAXIMUM), value, value)
    encoded = encode_command(Command(ID, GREATEST, GREATEST, GREATEST, operation))
    assert len(encoded) <= COMMAND_BYTES_MAXIMUM
    assert len(encoded) - KEY_BYTES_MAXIMUM - 2 * VALUE_BYTES_MAXIMUM <= COMMAND_OVERHEAD_BYTES


def test_the_largest_write_of_one_command():
    """A Write with the largest command fits a message in parts."""
    request = w.Write(ID, GREATEST, (bytes(COMMAND_BYTES_MAXIMUM),))
    assert len(encode_request(request)) <= MESSAGE_BYTES_MAXIMUM


def test_the_largest_answers():
    """A full page, one read of the greatest value, and the largest status fit in parts."""
    items = LIST_ITEMS_MAXIMUM - 1
    value = bytes(LIST_BYTES_MAXIMUM // items)
    page = (Item(b"", value, GREATEST),) * items
    last = Item(bytes(KEY_BYTES_MAXIMUM), b"", GREATEST)
    listed = w.ListAnswer(GREATEST, GREATEST, (*page, last), True)
    assert len(encode_answer(listed)) <= MESSAGE_BYTES_MAXIMUM
    result = w.GetResult(GREATEST, bytes(VALUE_BYTES_MAXIMUM), GREATEST)
    assert len(encode_answer(w.ReadAnswer(GREATEST, (result,)))) <= MESSAGE_BYTES_MAXIMUM
    assert len(encode_answer(largest_status())) <= MESSAGE_BYTES_MAXIMUM


def largest_status() -> w.StatusAnswer:
    word = "w" * STATUS_TEXT_BYTES_MAXIMUM
    follower = w.Follower(NAME, GREATEST, GREATEST, GREATEST, GREATEST)
    return w.StatusAnswer(
        request=GREATEST,
        name=NAME,
        incarnation=ID,
        role=word,
        state=word,
        durability=word,
        term=GREATEST,
        leader=w.LeaderHint(NAME, ADDRESS),
        commit_index=GREATEST,
        last_applied=GREATEST,
        last_log_index=GREATEST,
        cluster=CLUSTER,
        uptime_s=GREATEST,
        version=word,
        membership=largest_slots(SLOTS_MAXIMUM),
        followers=(follower,) * SLOTS_MAXIMUM,
    )


@pytest.mark.parametrize("data_bytes", [1, 300, DATAGRAM_BYTES_MAXIMUM])
def test_a_part_beside_its_data(data_bytes: int):
    """PART_BYTES_OVERHEAD bounds the fields of Part."""
    part = w.Part(
        GREATEST, PARTS_MAXIMUM - 1, PARTS_MAXIMUM, MESSAGE_BYTES_MAXIMUM, bytes(data_bytes)
    )
    assert len(encode_request(part)) - data_bytes <= PART_BYTES_OVERHEAD


@pytest.mark.parametrize("keys", [KeyRing([os.urandom(32)]), None], ids=["sealed", "plain"])
def test_the_longest_envelope(keys: KeyRing | None):
    """ENVELOPE_BYTES_MAXIMUM bounds header and tag, and `overhead` tells them exactly."""
    sealer = Sealer(keys, ID)
    datagram = sealer.seal(Kind.SERVER, SERVER, SERVER, CLUSTER, b"body")
    assert len(datagram) - len(b"body") == sealer.overhead(SERVER, SERVER)
    assert sealer.overhead(SERVER, SERVER) <= ENVELOPE_BYTES_MAXIMUM


def test_how_large_a_membership_founds_over_every_path():
    """Two slots of the greatest lengths fit the smallest datagram, and seven ordinary ones."""
    assert len(encode_message(Found(largest_slots(2)))) <= BODY_BYTES_MINIMUM
    ordinary = Membership(
        tuple(
            Slot(f"raftudp-{number}", f"raftudp-{number}.raftudp.a-namespace.svc:6000", ID)
            for number in range(7)
        )
    )
    assert len(encode_message(Found(ordinary))) <= BODY_BYTES_MINIMUM
