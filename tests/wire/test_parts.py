"""Large messages in parts: whatever is lost, doubled or reordered, the message comes out whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftudp.errors import DecodeError
from raftudp.limits import (
    BODY_BYTES_MINIMUM,
    MESSAGE_BYTES_MAXIMUM,
    PART_BYTES_OVERHEAD,
    PARTS_MAXIMUM,
    PARTS_MISSING_MAXIMUM,
    PARTS_PER_WINDOW,
    PARTS_WINDOW_BYTES,
)
from raftudp.wire.client_messages import Part, PartsReceived
from raftudp.wire.codec import decode_answer, encode_answer
from raftudp.wire.parts import IncomingParts, OutgoingParts
from tests.wire import strategies


def body_of(size: int) -> bytes:
    return bytes(number * 7 % 251 for number in range(size))


def cut(body: bytes, part_bytes: int) -> list[Part]:
    outgoing = OutgoingParts(7, body, part_bytes)
    return [outgoing.part(number) for number in range(outgoing.count)]


def join(parts: list[Part]) -> IncomingParts:
    incoming = IncomingParts(parts[0])
    for part in parts:
        incoming.add(part)
    return incoming


@given(st.binary(min_size=1, max_size=200), st.integers(1, 210), st.data())
def test_parts_in_any_order_and_number_join_to_the_body(
    body: bytes, part_bytes: int, data: st.DataObject
):
    """Every order of the parts, with repetitions, gives the body back."""
    parts = cut(body, part_bytes)
    again = data.draw(st.lists(st.sampled_from(parts), max_size=5))
    incoming = join(data.draw(st.permutations(parts + again)))
    assert incoming.complete
    assert incoming.body() == body
    assert incoming.received() == PartsReceived(7, len(parts), ())


@given(st.lists(st.integers(0, 199), min_size=1, unique=True))
def test_what_was_received_is_told(numbers: list[int]):
    """`received_below` counts the parts without a gap, `missing` lists the first gaps behind."""
    parts = cut(body_of(400), 2)
    received = join([parts[number] for number in numbers]).received()
    below = next(n for n in range(201) if n not in numbers)
    gaps = [n for n in range(below, max(numbers)) if n not in numbers]
    assert received == PartsReceived(7, below, tuple(gaps[:PARTS_MISSING_MAXIMUM]))


@given(st.integers(1, 2_000), st.integers(1, 40), st.sampled_from([0, 20, 50]), st.data())
def test_a_lossy_transfer_ends(size: int, window: int, loss: int, data: st.DataObject):
    """Parts and acknowledgements get lost; told again what was received, the sender ends it."""
    body = body_of(size)
    outgoing = OutgoingParts(7, body, 9)
    rng = data.draw(st.randoms(use_true_random=False))
    incoming = None
    received = PartsReceived(7, 0, ())
    for _ in range(10_000):
        parts = outgoing.parts(received.received_below, received.missing, window)
        assert len(parts) <= window
        if not parts:
            break
        for part in parts:
            if rng.randrange(100) >= loss:
                incoming = incoming or IncomingParts(part)
                incoming.add(part)
        if incoming is None:  # nobody knows of the transfer yet: it is begun anew
            outgoing = OutgoingParts(7, body, 9)
        elif rng.randrange(100) >= loss:
            received = incoming.received()
    assert incoming is not None
    assert incoming.body() == body


def test_without_loss_each_part_is_sent_once_and_few_again():
    """Acknowledged part by part, each part goes once; only at the end the last goes again."""
    outgoing = OutgoingParts(7, body_of(1_000), 10)
    sent = [part.number for part in outgoing.parts(0, (), 8)]
    for received_below in range(1, 101):
        sent += [part.number for part in outgoing.parts(received_below, (), 8)]
    assert sent[:100] == list(range(100))
    assert sent[100:] == [99] * 7


def test_missing_parts_go_first_and_within_the_window():
    """Reported gaps are filled before anything new; both together keep to the window."""
    outgoing = OutgoingParts(7, body_of(1_000), 10)
    outgoing.parts(0, (), 4)
    assert [part.number for part in outgoing.parts(1, (1, 2), 4)] == [1, 2, 4]
    assert [part.number for part in outgoing.parts(4, (), 2)] == [5]
    assert [part.number for part in outgoing.parts(2, (2, 3, 4), 2)] == [2, 3]


def test_gaps_that_were_never_sent_are_ignored():
    """A receiver can't ask for parts beyond those that it may have seen."""
    outgoing = OutgoingParts(7, body_of(100), 10)
    outgoing.parts(0, (), 2)
    assert [part.number for part in outgoing.parts(1, (0, 5, 99), 2)] == [2]


def test_a_lost_end_is_found_by_sending_the_last_part_again():
    """When everything was sent and nothing is reported missing, the last part shows the gaps."""
    outgoing = OutgoingParts(7, body_of(50), 10)
    first, *_ = outgoing.parts(0, (), PARTS_PER_WINDOW)
    incoming = IncomingParts(first)
    (last,) = outgoing.parts(1, incoming.received().missing, PARTS_PER_WINDOW)
    incoming.add(last)
    assert incoming.received() == PartsReceived(7, 1, (1, 2, 3))


def test_large_parts_fill_the_window_earlier():
    """Parts under way are bounded by their bytes, but never below one."""
    large = OutgoingParts(7, bytes(MESSAGE_BYTES_MAXIMUM), 60_000)
    assert len(large.parts(0, (), PARTS_PER_WINDOW)) == PARTS_WINDOW_BYTES // 60_000
    larger = OutgoingParts(7, bytes(MESSAGE_BYTES_MAXIMUM), 2 * PARTS_WINDOW_BYTES)
    assert len(larger.parts(0, (), PARTS_PER_WINDOW)) == 1


def test_the_largest_message_in_the_smallest_datagrams():
    """A message of the greatest size takes no more than PARTS_MAXIMUM parts, each of which fits."""
    parts = cut(bytes(MESSAGE_BYTES_MAXIMUM), BODY_BYTES_MINIMUM - PART_BYTES_OVERHEAD)
    assert len(parts) == PARTS_MAXIMUM
    assert all(len(encode_answer(part)) <= BODY_BYTES_MINIMUM for part in (parts[0], parts[-1]))
    assert decode_answer(encode_answer(parts[-1])) == parts[-1]


@given(strategies.parts, st.lists(strategies.parts, max_size=4))
def test_any_parts_fit_together_or_are_refused(first: Part, others: list[Part]):
    """Parts that contradict themselves or each other raise DecodeError, and nothing else."""
    try:
        incoming = join([first, *others])
    except DecodeError:
        return
    if incoming.complete:
        assert len(incoming.body()) == first.total_bytes
    assert decode_answer(encode_answer(incoming.received())) == incoming.received()


FIRST = Part(7, 0, 3, 25, bytes(10))
CONTRADICTIONS = {
    "another transfer": Part(8, 1, 3, 25, bytes(10)),
    "another count": Part(7, 1, 4, 25, bytes(10)),
    "another total": Part(7, 1, 3, 24, bytes(10)),
    "too short": Part(7, 1, 3, 25, bytes(9)),
    "too long": Part(7, 1, 3, 25, bytes(11)),
    "last too short": Part(7, 2, 3, 25, bytes(4)),
    "last too long": Part(7, 2, 3, 25, bytes(6)),
}


@pytest.mark.parametrize("part", CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_contradicting_parts_are_refused_and_change_nothing(part: Part):
    """A part that doesn't fit the first is refused, and the transfer goes on without it."""
    incoming = IncomingParts(FIRST)
    with pytest.raises(DecodeError):
        incoming.add(part)
    assert incoming.received() == PartsReceived(7, 1, ())
    incoming.add(Part(7, 2, 3, 25, bytes(5)))
    incoming.add(Part(7, 1, 3, 25, bytes(10)))
    assert incoming.body() == bytes(25)


@pytest.mark.parametrize(
    "part",
    [
        Part(7, 0, 3, 25, b""),
        Part(7, 0, 3, 25, bytes(5)),
        Part(7, 0, 3, 25, bytes(13)),
        Part(7, 2, 3, 25, bytes(4)),
        Part(7, 2, 3, 25, bytes(25)),
        Part(7, 0, 1, 25, bytes(24)),
        Part(7, 0, 1, 25, bytes(26)),
    ],
    ids=repr,
)
def test_a_first_part_that_contradicts_itself_is_refused(part: Part):
    """Count, total and size of one part must fit each other."""
    with pytest.raises(DecodeError):
        IncomingParts(part)
