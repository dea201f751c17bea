"""Results are gathered by origin and cut to what a datagram carries."""

from __future__ import annotations

from raftudp.limits import COMMANDS_PER_REQUEST_MAXIMUM, INTEGER_MAXIMUM
from raftudp.runtime.outbox import Outbox
from raftudp.runtime.requests import Origin
from raftudp.store.commands import Outcome
from raftudp.wire.client_messages import (
    GetResult,
    LeaderHint,
    ReadAnswer,
    RefusalReason,
    RequestRefused,
    WriteRefused,
    WriteResult,
    Written,
)
from raftudp.wire.codec import encode_answer

ONE, OTHER = (Origin(("10.0.0.9", port), b"p" * 16) for port in (1, 2))
CLIENT = b"c" * 16
LEADER = LeaderHint("a" * 63, "h" * 253 + ":65535")
BODY_BYTES = 944


def test_no_answer_is_larger_than_a_datagram_carries() -> None:
    """Whatever is gathered, with numbers and names of the greatest length; and nothing is lost."""
    outbox = Outbox(BODY_BYTES)
    numbers = range(INTEGER_MAXIMUM - 200, INTEGER_MAXIMUM)
    for number in numbers:
        result = WriteResult(number, Outcome.INVALID, INTEGER_MAXIMUM)
        outbox.add_written(ONE, CLIENT, result)
        outbox.add_gotten(ONE, INTEGER_MAXIMUM, GetResult(number, b"v" * 20, INTEGER_MAXIMUM))
        outbox.add_write_refused(ONE, CLIENT, INTEGER_MAXIMUM, RefusalReason.INVALID, number)
        outbox.add_refused(ONE, RefusalReason.INVALID, number)
    answers = [answer for _, answer in outbox.take(LEADER)]
    assert max(len(encode_answer(answer)) for answer in answers) <= BODY_BYTES
    written = [r.sequence for one in answers if isinstance(one, Written) for r in one.results]
    gotten = [r.request for one in answers if isinstance(one, ReadAnswer) for r in one.results]
    kept = [n for one in answers if isinstance(one, WriteRefused) for n in one.sequences]
    refused = [n for one in answers if isinstance(one, RequestRefused) for n in one.requests]
    assert written == gotten == kept == refused == list(numbers)


def test_no_answer_holds_more_results_than_a_decoder_takes() -> None:
    """However large the datagram is."""
    outbox = Outbox(60_000)
    for number in range(COMMANDS_PER_REQUEST_MAXIMUM + 1):
        outbox.add_written(ONE, CLIENT, WriteResult(number, Outcome.DONE, 1))
    sizes = [len(one.results) for _, one in outbox.take(LEADER) if isinstance(one, Written)]
    assert sizes == [COMMANDS_PER_REQUEST_MAXIMUM, 1]


def test_each_origin_has_its_own_answer() -> None:
    """Results never go to another client, and are handed out once."""
    outbox = Outbox(BODY_BYTES)
    outbox.add_written(ONE, CLIENT, WriteResult(1, Outcome.DONE, 1))
    outbox.add_written(OTHER, CLIENT, WriteResult(2, Outcome.DONE, 2))
    assert {origin for origin, _ in outbox.take(LEADER)} == {ONE, OTHER}
    assert outbox.take(LEADER) == []


def test_a_result_larger_than_a_datagram_stands_alone() -> None:
    """It is cut into parts later; its neighbours are not held up by it."""
    outbox = Outbox(BODY_BYTES)
    for number, size in enumerate((1, 5_000, 1)):
        outbox.add_gotten(ONE, 1, GetResult(number, bytes(size), 1))
    counts = [len(one.results) for _, one in outbox.take(LEADER) if isinstance(one, ReadAnswer)]
    assert counts == [1, 1, 1]
