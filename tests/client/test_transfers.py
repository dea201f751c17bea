"""Messages in parts: what is sent again, and when."""

from __future__ import annotations

from random import Random

from raftudp.client.timers import Timers
from raftudp.client.transfers import GAP_PAUSE_US, SILENCES_MAXIMUM, Transfers
from raftudp.limits import BODY_BYTES_MINIMUM, PART_BYTES_OVERHEAD
from raftudp.wire.client_messages import Part, PartsReceived, Write
from raftudp.wire.codec import decode_request
from raftudp.wire.parts import OutgoingParts
from tests.client.world import SECOND

PART_BYTES = BODY_BYTES_MINIMUM - PART_BYTES_OVERHEAD
PROCESS = b"p" * 16


def made() -> tuple[Transfers, Timers]:
    timers = Timers()
    return Transfers(timers, Random(1), lambda _: BODY_BYTES_MINIMUM), timers


def sent_by(transfers: Transfers) -> list[int]:
    """The numbers of the parts that are to be sent now."""
    requests = [decode_request(body) for _, body in transfers.take_outgoing()]
    return [request.number for request in requests if isinstance(request, Part)]


def told_by(transfers: Transfers) -> list[PartsReceived]:
    """What is told of answers that come in parts."""
    requests = [decode_request(body) for _, body in transfers.take_outgoing()]
    return [request for request in requests if isinstance(request, PartsReceived)]


def write_of(parts: int) -> Write:
    """A request of so many parts."""
    return Write(PROCESS, 1, (bytes(parts * PART_BYTES - 100),))


def test_a_part_reported_missing_twice_is_sent_once() -> None:
    """Reports overtake what they report; sending for each of them would never end."""
    transfers, _ = made()
    transfers.send("a", write_of(4), SECOND)
    assert sent_by(transfers) == [0, 1, 2, 3]
    later_us = SECOND + 50_000
    for _ in range(5):
        transfers.acknowledge(PartsReceived(1, 1, (1, 2)), later_us)
    assert sent_by(transfers) == [1, 2]


def test_silence_repeats_a_part_until_the_transfer_is_given_up() -> None:
    """Each time after a longer while, and not for ever."""
    transfers, timers = made()
    delivery = transfers.send("a", write_of(4), SECOND)
    sent_by(transfers)
    repetitions = 0
    while (due_us := timers.next_us()) is not None:
        timers.fire(due_us)
        repetitions += len(sent_by(transfers))
    assert repetitions == SILENCES_MAXIMUM
    assert not delivery.is_under_way
    assert transfers.has_room()


def test_a_delivery_knows_whether_it_can_have_arrived_and_how_often() -> None:
    """Once when each part was sent, twice when each was sent twice."""
    transfers, _ = made()
    large = transfers.send("a", write_of(100), SECOND)
    assert not large.may_have_arrived
    small = transfers.send("a", write_of(2), SECOND)
    assert small.may_have_arrived
    assert not small.may_arrive_twice
    transfers.acknowledge(PartsReceived(2, 0, (0, 1)), 2 * SECOND)
    assert small.may_arrive_twice


def test_a_late_part_does_not_begin_an_answer_again() -> None:
    """The replica is told once more that all of it is here."""
    transfers, _ = made()
    parts = OutgoingParts(7, bytes(2 * PART_BYTES), PART_BYTES)
    assert transfers.receive_part("a", PROCESS, parts.part(0), SECOND) is None
    assert transfers.receive_part("a", PROCESS, parts.part(1), SECOND) == bytes(2 * PART_BYTES)
    assert told_by(transfers) == [PartsReceived(7, 2, ())]
    assert transfers.receive_part("a", PROCESS, parts.part(0), SECOND) is None
    assert told_by(transfers) == [PartsReceived(7, 2, ())]


def test_gaps_are_told_after_a_pause() -> None:
    """What is missing may only be late."""
    transfers, timers = made()
    parts = OutgoingParts(7, bytes(4 * PART_BYTES), PART_BYTES)
    transfers.receive_part("a", PROCESS, parts.part(2), SECOND)
    assert told_by(transfers) == []
    timers.fire(SECOND + GAP_PAUSE_US)
    assert told_by(transfers) == [PartsReceived(7, 0, (0, 1))]
