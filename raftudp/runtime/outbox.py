"""Gathers the answers of one wake-up by origin, so that few datagrams carry many results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from raftudp.limits import COMMANDS_PER_REQUEST_MAXIMUM
from raftudp.runtime.requests import AnswerTo, Origin
from raftudp.wire.client_messages import (
    Answer,
    GetResult,
    LeaderHint,
    ReadAnswer,
    RefusalReason,
    RequestRefused,
    WriteRefused,
    WriteResult,
    Written,
)

ANSWER_OVERHEAD_BYTES: Final = 64
"""More than the heads, a client id and a number around the results of one answer."""
REFUSAL_OVERHEAD_BYTES: Final = 424
"""Likewise around a refusal, with a leader's name and address of the greatest length."""
NUMBER_BYTES: Final = 9
"""A CBOR integer at its longest."""
WRITE_RESULT_BYTES: Final = 1 + NUMBER_BYTES + 1 + NUMBER_BYTES
GET_RESULT_OVERHEAD_BYTES: Final = 1 + NUMBER_BYTES + 5 + NUMBER_BYTES

T = TypeVar("T")


class Outbox:
    """Answers under way to their origins. A result larger than `body_bytes` gets an answer of its
    own.
    """

    def __init__(self, body_bytes: int) -> None:
        self._body_bytes = body_bytes
        self._answers: list[AnswerTo] = []
        self._written: dict[tuple[Origin, bytes], list[WriteResult]] = {}
        self._write_refused: dict[tuple[Origin, bytes, int, RefusalReason], list[int]] = {}
        self._gotten: dict[tuple[Origin, int], list[GetResult]] = {}
        self._refused: dict[tuple[Origin, RefusalReason], list[int]] = {}

    def __bool__(self) -> bool:
        """Whether anything is to be sent."""
        return bool(
            self._written or self._gotten or self._answers or self._write_refused or self._refused
        )

    def add(self, origin: Origin, answer: Answer) -> None:
        """An answer that is not gathered with others."""
        self._answers.append(AnswerTo(origin, answer))

    def add_written(self, origin: Origin, client_id: bytes, result: WriteResult) -> None:
        """What a command did."""
        self._written.setdefault((origin, client_id), []).append(result)

    def add_write_refused(
        self, origin: Origin, client_id: bytes, attempt: int, reason: RefusalReason, sequence: int
    ) -> None:
        """A command was not taken."""
        key = (origin, client_id, attempt, reason)
        self._write_refused.setdefault(key, []).append(sequence)

    def add_gotten(self, origin: Origin, applied_index: int, result: GetResult) -> None:
        """What a key holds at `applied_index`."""
        self._gotten.setdefault((origin, applied_index), []).append(result)

    def add_refused(self, origin: Origin, reason: RefusalReason, request: int) -> None:
        """A read or an administrative request was not taken."""
        self._refused.setdefault((origin, reason), []).append(request)

    def take(self, leader: LeaderHint) -> list[AnswerTo]:
        """All answers, cut to size; refusals point to `leader`."""
        if not self:
            return []
        taken, self._answers = self._answers, []
        room = self._body_bytes - ANSWER_OVERHEAD_BYTES
        for (origin, client_id), written in self._written.items():
            for some in _cut(written, [WRITE_RESULT_BYTES] * len(written), room):
                taken.append(AnswerTo(origin, Written(client_id, some)))
        for (origin, applied_index), gotten in self._gotten.items():
            sizes = [GET_RESULT_OVERHEAD_BYTES + len(result.value or b"") for result in gotten]
            for found in _cut(gotten, sizes, room):
                taken.append(AnswerTo(origin, ReadAnswer(applied_index, found)))
        room = self._body_bytes - REFUSAL_OVERHEAD_BYTES
        for (origin, client_id, attempt, reason), numbers in self._write_refused.items():
            for those in _cut(numbers, [NUMBER_BYTES] * len(numbers), room):
                refusal = WriteRefused(client_id, attempt, reason, leader, those)
                taken.append(AnswerTo(origin, refusal))
        for (origin, reason), numbers in self._refused.items():
            for those in _cut(numbers, [NUMBER_BYTES] * len(numbers), room):
                taken.append(AnswerTo(origin, RequestRefused(those, reason, leader)))
        for gathered in (self._written, self._gotten, self._write_refused, self._refused):
            gathered.clear()
        return taken


def _cut(items: Sequence[T], sizes: Sequence[int], room: int) -> Iterator[tuple[T, ...]]:
    """Runs of items whose sizes sum up to `room` at most, each of one item at least."""
    start = used = 0
    for position, size in enumerate(sizes):
        too_many = position - start == COMMANDS_PER_REQUEST_MAXIMUM
        if position > start and (used + size > room or too_many):
            yield tuple(items[start:position])
            start, used = position, 0
        used += size
    if items:
        yield tuple(items[start:])
