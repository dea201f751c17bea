"""Client messages too large for one datagram, both ways, in parts.

The replica is passive: it answers parts with what it has, and an acknowledgement with the next
window of its own parts. All timers are the client's, so a client that went away costs memory alone,
and that is bounded: the transfer unused for longest goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Generic, TypeAlias, TypeVar

from raftudp.limits import (
    PART_BYTES_OVERHEAD,
    PARTS_PER_WINDOW,
    TRANSFER_BYTES_MAXIMUM,
    TRANSFERS_MAXIMUM,
)
from raftudp.runtime.outbox import Outbox
from raftudp.runtime.requests import Origin
from raftudp.wire.client_messages import Part, PartsReceived
from raftudp.wire.parts import IncomingParts, OutgoingParts

TransferKey: TypeAlias = tuple[bytes, int]
"""The client's process and the transfer's number: each side counts its own."""

T = TypeVar("T")


class _Bounded(Generic[T]):
    """Transfers by key, bounded by their number and their bytes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[TransferKey, tuple[T, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: TransferKey) -> T | None:
        """The transfer, which counts as used now."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: TransferKey, transfer: T, size_bytes: int) -> None:
        """Keep a transfer, in place of what was under the key, and drop the oldest beyond the
        bounds.
        """
        self.drop(key)
        self._kept[key] = (transfer, size_bytes)
        self._bytes += size_bytes
        while len(self._kept) > TRANSFERS_MAXIMUM or self._bytes > TRANSFER_BYTES_MAXIMUM:
            _, (_, dropped_bytes) = self._kept.popitem(last=False)
            self._bytes -= dropped_bytes

    def drop(self, key: TransferKey) -> None:
        """Forget a transfer."""
        found = self._kept.pop(key, None)
        if found is not None:
            self._bytes -= found[1]


class Transfers:
    """All transfers of one replica."""

    def __init__(self, outbox: Outbox, body_bytes: int) -> None:
        self._outbox = outbox
        self._part_bytes: Final = body_bytes - PART_BYTES_OVERHEAD
        self._incoming: _Bounded[IncomingParts | PartsReceived] = _Bounded()
        """Once complete, only the acknowledgement is kept, for parts that come again."""
        self._outgoing: _Bounded[OutgoingParts] = _Bounded()
        self._next_transfer = 0
        self._to_acknowledge: dict[TransferKey, Origin] = {}

    def take_part(self, origin: Origin, part: Part) -> bytes | None:
        """A part arrived; returns the whole message once, when it is complete.

        Raises DecodeError if the part contradicts the others.
        """
        key = (origin.process, part.transfer)
        incoming = self._incoming.get(key)
        if incoming is None:
            incoming = IncomingParts(part)
            self._incoming.put(key, incoming, part.total_bytes)
        self._to_acknowledge[key] = origin
        if isinstance(incoming, PartsReceived):
            return None
        incoming.add(part)
        if not incoming.complete:
            return None
        self._incoming.put(key, incoming.received(), 0)
        return incoming.body()

    def take_acknowledgement(self, origin: Origin, received: PartsReceived) -> None:
        """The client says what it has of an answer: send the next window, or forget what it has
        whole.
        """
        key = (origin.process, received.transfer)
        outgoing = self._outgoing.get(key)
        if outgoing is None:
            return
        parts = outgoing.parts(received.received_below, received.missing, PARTS_PER_WINDOW)
        if not parts:
            self._outgoing.drop(key)
        for part in parts:
            self._outbox.add(origin, part)

    def acknowledge(self) -> None:
        """Answer each transfer that got parts in this wake-up, once."""
        for key, origin in self._to_acknowledge.items():
            incoming = self._incoming.get(key)
            if isinstance(incoming, IncomingParts):
                self._outbox.add(origin, incoming.received())
            elif incoming is not None:
                self._outbox.add(origin, incoming)
        self._to_acknowledge.clear()

    def begin(self, origin: Origin, body: bytes) -> list[Part]:
        """Open the transfer of an encoded answer; returns its first window."""
        self._next_transfer += 1
        outgoing = OutgoingParts(self._next_transfer, body, self._part_bytes)
        self._outgoing.put((origin.process, self._next_transfer), outgoing, len(body))
        return outgoing.parts(0, (), PARTS_PER_WINDOW)
