"""Client messages too large for one datagram: cut into parts, and put together again. Pure.

The body that is cut is exactly the encoded message. Both halves only react, and hold no timer: the
client repeats what is not answered, in both directions.
"""

from __future__ import annotations

from raftudp.errors import DecodeError
from raftudp.limits import (
    MESSAGE_BYTES_MAXIMUM,
    PARTS_MAXIMUM,
    PARTS_MISSING_MAXIMUM,
    PARTS_WINDOW_BYTES,
)
from raftudp.wire.client_messages import Part, PartsReceived


class OutgoingParts:
    """A large message on its way out; `count` parts, numbered from 0."""

    __slots__ = ("_body", "_part_bytes", "_sent_below", "_transfer", "count")

    def __init__(self, transfer: int, body: bytes, part_bytes: int) -> None:
        """Cut `body` into parts of `part_bytes`; `transfer` is unique within this process."""
        self.count = -(-len(body) // part_bytes)
        assert 0 < len(body) <= MESSAGE_BYTES_MAXIMUM and self.count <= PARTS_MAXIMUM
        self._transfer = transfer
        self._body = body
        self._part_bytes = part_bytes
        self._sent_below = 0
        """All parts below this one have been handed out at least once."""

    def part(self, number: int) -> Part:
        """One part."""
        begin = number * self._part_bytes
        data = self._body[begin : begin + self._part_bytes]
        return Part(self._transfer, number, self.count, len(self._body), data)

    def parts(self, received_below: int, missing: tuple[int, ...], window: int) -> list[Part]:
        """What to send to a receiver that tells this; nothing only if it has everything.

        First the missing parts, then new ones, up to `window` parts (and PARTS_WINDOW_BYTES) beyond
        `received_below`. Where there are neither, the last part that was sent goes again: it shows
        the receiver what it lacks, if the end of the last window was lost.
        """
        if received_below >= self.count:
            return []
        window = max(1, min(window, PARTS_WINDOW_BYTES // self._part_bytes))
        numbers = [n for n in missing if received_below <= n < self._sent_below][:window]
        new_below = min(self.count, received_below + window)
        numbers.extend(range(self._sent_below, new_below))
        self._sent_below = max(self._sent_below, new_below)
        if not numbers:
            numbers = [self._sent_below - 1]
        return [self.part(number) for number in numbers]


class IncomingParts:
    """A large message on its way in."""

    __slots__ = ("_count", "_data", "_part_bytes", "_received_below", "_total_bytes", "_transfer")

    def __init__(self, first: Part) -> None:
        """Begin with whichever part came first; DecodeError if its numbers contradict each other.

        All parts but the last are of one size; so any one of them says how large each other is.
        """
        self._transfer = first.transfer
        self._count = first.count
        self._total_bytes = first.total_bytes
        self._part_bytes = _part_bytes(first)
        self._data: dict[int, bytes] = {}
        self._received_below = 0
        self.add(first)

    def add(self, part: Part) -> None:
        """Take a part in, again or for the first time; DecodeError if it contradicts the others."""
        begin = part.number * self._part_bytes
        expected_bytes = min(self._part_bytes, self._total_bytes - begin)
        if (part.transfer, part.count, part.total_bytes, len(part.data)) != (
            self._transfer,
            self._count,
            self._total_bytes,
            expected_bytes,
        ):
            raise DecodeError("parts of one transfer that don't fit together")
        self._data.setdefault(part.number, part.data)
        while self._received_below in self._data:
            self._received_below += 1

    @property
    def complete(self) -> bool:
        """Whether every part is there."""
        return self._received_below == self._count

    def body(self) -> bytes:
        """The whole message, once it is complete."""
        assert self.complete
        return b"".join([self._data[number] for number in range(self._count)])

    def received(self) -> PartsReceived:
        """What to tell the sender."""
        missing: list[int] = []
        for number in range(self._received_below, max(self._data)):
            if number not in self._data:
                missing.append(number)
                if len(missing) == PARTS_MISSING_MAXIMUM:
                    break
        return PartsReceived(self._transfer, self._received_below, tuple(missing))


def _part_bytes(part: Part) -> int:
    """The size of all parts but the last, as one part tells it."""
    count, total_bytes, data_bytes = part.count, part.total_bytes, len(part.data)
    if part.number < count - 1:
        part_bytes = data_bytes
    else:
        part_bytes = (total_bytes - data_bytes) // (count - 1) if count > 1 else total_bytes
    if part_bytes < 1 or -(-total_bytes // part_bytes) != count or not 0 <= part.number < count:
        raise DecodeError("a part whose numbers contradict each other")
    return part_bytes
