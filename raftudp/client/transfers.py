"""Messages on their way: whole where a datagram carries them, else in parts, both ways.

The client drives both directions, and the replica only reacts: parts of a request are sent again
until the replica has told that it has them, and what was received of an answer is told again until
it is whole.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import count
from random import Random
from typing import Final, NamedTuple

from raftudp.client.timers import Timer, Timers, retry_us
from raftudp.limits import (
    PART_BYTES_OVERHEAD,
    PARTS_PER_WINDOW,
    TRANSFER_BYTES_MAXIMUM,
    TRANSFERS_MAXIMUM,
)
from raftudp.wire.client_messages import Part, PartsReceived, Request
from raftudp.wire.codec import encode_request
from raftudp.wire.parts import IncomingParts, OutgoingParts

OUTGOING_AT_A_TIME: Final = 2
SILENCES_MAXIMUM: Final = 6
"""Vain repetitions after which a transfer is given up; its request may be sent anew."""
RESEND_US: Final = 25_000
"""A part is not sent again within this time, however many reports call it missing: reports overtake
repetitions, and each repetition brings another report, so they would multiply.
"""
GAP_PAUSE_US: Final = 5_000
"""A report of gaps waits this long, for the same reason: the parts may only be late."""
COMPLETED_REMEMBERED: Final = 64
"""Answers received whole whose late parts are told so, instead of beginning them again."""


class Outgoing(NamedTuple):
    """A request's bytes for one server; they fit its datagrams."""

    server: str
    body: bytes


class Delivery:
    """One request on its way to one server, in a single datagram unless a subclass says more."""

    __slots__ = ("progress_us",)

    def __init__(self, now_us: int) -> None:
        self.progress_us = now_us
        """When it was sent, or when the receiver last told that something of it arrived."""

    @property
    def may_have_arrived(self) -> bool:
        """Whether all of it left here, so that the receiver can have it."""
        return True

    @property
    def may_arrive_twice(self) -> bool:
        """Whether the receiver can get it whole a second time. It takes a datagram once only
        (replay window), so that needs each part to be sent twice.
        """
        return False

    @property
    def is_under_way(self) -> bool:
        """Whether parts are still being sent."""
        return False

    def cancel(self) -> None:
        """Send nothing more of it."""


class _PartedDelivery(Delivery):
    """A request that travels in parts."""

    __slots__ = ("_sent_us", "_times_sent", "parts", "received", "server", "silences", "timer")

    def __init__(self, server: str, transfer: int, parts: OutgoingParts, now_us: int) -> None:
        super().__init__(now_us)
        self.server = server
        self.parts = parts
        self.received = PartsReceived(transfer, 0, ())
        """What the receiver told last."""
        self.silences = 0
        self.timer: Timer | None = None
        self._times_sent = bytearray(parts.count)
        self._sent_us: dict[int, int] = {}

    @property
    def may_have_arrived(self) -> bool:
        return min(self._times_sent) > 0

    @property
    def may_arrive_twice(self) -> bool:
        return min(self._times_sent) > 1

    @property
    def is_under_way(self) -> bool:
        return self.timer is not None

    def cancel(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def take_parts(self, now_us: int, pause_us: int) -> list[Part]:
        """What is to be sent now, but for parts that were sent less than `pause_us` ago."""
        _, received_below, missing = self.received
        wanted = self.parts.parts(received_below, missing, PARTS_PER_WINDOW)
        parts = [p for p in wanted if now_us - self._sent_us.get(p.number, -pause_us) >= pause_us]
        for part in parts:
            self._times_sent[part.number] = min(2, self._times_sent[part.number] + 1)
            self._sent_us[part.number] = now_us
        return parts


class _Incoming:
    """An answer that arrives in parts."""

    __slots__ = (
        "below",
        "is_pausing",
        "parts",
        "progress_us",
        "server",
        "silences",
        "timer",
        "total_bytes",
    )

    def __init__(self, server: str, first: Part, now_us: int) -> None:
        self.server = server
        self.parts = IncomingParts(first)
        self.total_bytes = first.total_bytes
        self.below = 0
        """All parts below this number are here."""
        self.silences = 0
        self.progress_us = now_us
        self.timer: Timer | None = None
        self.is_pausing = False
        """Whether a report of gaps waits for late parts."""


class Transfers:
    """All messages on their way; `take_outgoing` empties what is to be sent now."""

    def __init__(self, timers: Timers, random: Random, body_bytes: Callable[[str], int]) -> None:
        self._timers = timers
        self._random = random
        self._body_bytes = body_bytes
        self._numbers: Iterator[int] = count(1)
        self._out: list[Outgoing] = []
        self._outgoing: dict[int, _PartedDelivery] = {}
        self._incoming: OrderedDict[tuple[bytes, int], _Incoming] = OrderedDict()
        self._incoming_bytes = 0
        self._completed: OrderedDict[tuple[bytes, int], PartsReceived] = OrderedDict()
        self._to_tell: dict[tuple[bytes, int], str] = {}

    def take_outgoing(self) -> list[Outgoing]:
        """What is to be sent now, acknowledgements included: one a transfer and wake-up."""
        for key, server in self._to_tell.items():
            self._tell(key, server)
        self._to_tell.clear()
        out, self._out = self._out, []
        return out

    def body_bytes(self, server: str) -> int:
        """The largest encoded request that one datagram to this server carries."""
        return self._body_bytes(server)

    def has_room(self) -> bool:
        """Whether one more large request may begin to travel."""
        under_way = sum(delivery.is_under_way for delivery in self._outgoing.values())
        return under_way < OUTGOING_AT_A_TIME

    def send(self, server: str, request: Request, now_us: int) -> Delivery:
        """Send a request, in parts if one datagram can't carry it."""
        body = encode_request(request)
        budget = self._body_bytes(server)
        if len(body) <= budget:
            self._out.append(Outgoing(server, body))
            return Delivery(now_us)
        number = next(self._numbers)
        parts = OutgoingParts(number, body, budget - PART_BYTES_OVERHEAD)
        delivery = _PartedDelivery(server, number, parts, now_us)
        self._forget_ended()
        self._outgoing[number] = delivery
        self._send_parts(delivery, now_us, 0)
        return delivery

    def _forget_ended(self) -> None:
        for number in [n for n, delivery in self._outgoing.items() if not delivery.is_under_way]:
            del self._outgoing[number]

    def _send_parts(self, delivery: _PartedDelivery, now_us: int, pause_us: int) -> None:
        """Send what the receiver lacks, and wait for word from it."""
        parts = delivery.take_parts(now_us, pause_us)
        self._out.extend(Outgoing(delivery.server, encode_request(part)) for part in parts)
        self._watch(delivery, now_us)

    def _watch(self, delivery: _PartedDelivery, now_us: int) -> None:
        def repeat(now_us: int) -> None:
            delivery.silences += 1
            delivery.timer = None
            if delivery.silences <= SILENCES_MAXIMUM:
                self._send_parts(delivery, now_us, 0)

        delivery.cancel()
        wait_us = retry_us(delivery.silences, self._random)
        delivery.timer = self._timers.schedule(now_us + wait_us, repeat)

    def acknowledge(self, answer: PartsReceived, now_us: int) -> None:
        """A replica told what it has of a request of ours."""
        delivery = self._outgoing.get(answer.transfer)
        if delivery is None or not delivery.is_under_way:
            return
        delivery.progress_us = now_us
        delivery.silences = 0
        delivery.received = answer
        if answer.received_below >= delivery.parts.count:
            delivery.cancel()
        else:
            self._send_parts(delivery, now_us, RESEND_US)

    def receive_part(self, server: str, process: bytes, part: Part, now_us: int) -> bytes | None:
        """Take in a part of an answer; returns the whole once it is complete.

        Raises DecodeError for a part that contradicts the others.
        """
        key = (process, part.transfer)
        if key in self._completed:
            self._to_tell[key] = server
            return None
        incoming = self._incoming.get(key)
        if incoming is None:
            incoming = self._begin(key, _Incoming(server, part, now_us))
        incoming.parts.add(part)
        incoming.progress_us = now_us
        incoming.silences = 0
        if not incoming.parts.complete:
            received = incoming.parts.received()
            is_news = received.received_below > incoming.below
            incoming.below = received.received_below
            if is_news and not received.missing:
                self._to_tell[key] = server
                self._expect_more(key, incoming, now_us)
            elif not incoming.is_pausing:
                incoming.is_pausing = True
                self._tell_again_at(now_us + GAP_PAUSE_US, key, incoming)
            return None
        self._to_tell[key] = server
        self._completed[key] = incoming.parts.received()
        if len(self._completed) > COMPLETED_REMEMBERED:
            self._completed.popitem(last=False)
        self._drop(key)
        return incoming.parts.body()

    def is_receiving_from(self, server: str, since_us: int) -> bool:
        """Whether a large answer of this server has come nearer to its end since then."""
        return any(
            incoming.server == server and incoming.progress_us >= since_us
            for incoming in self._incoming.values()
        )

    def _begin(self, key: tuple[bytes, int], incoming: _Incoming) -> _Incoming:
        self._incoming[key] = incoming
        self._incoming_bytes += incoming.total_bytes
        while (
            len(self._incoming) > TRANSFERS_MAXIMUM or self._incoming_bytes > TRANSFER_BYTES_MAXIMUM
        ):
            self._drop(next(iter(self._incoming)))
        return incoming

    def _drop(self, key: tuple[bytes, int]) -> None:
        incoming = self._incoming.pop(key)
        self._incoming_bytes -= incoming.total_bytes
        if incoming.timer is not None:
            incoming.timer.cancel()

    def _expect_more(self, key: tuple[bytes, int], incoming: _Incoming, now_us: int) -> None:
        """Tell again what was received when nothing more comes."""
        incoming.is_pausing = False
        wait_us = retry_us(incoming.silences, self._random)
        self._tell_again_at(now_us + wait_us, key, incoming)

    def _tell_again_at(self, when_us: int, key: tuple[bytes, int], incoming: _Incoming) -> None:
        """Tell what was received, again and again, and give up in the end."""

        def tell_again(now_us: int) -> None:
            incoming.silences += 1
            if incoming.silences > SILENCES_MAXIMUM:
                self._drop(key)
                return
            self._to_tell[key] = incoming.server
            self._expect_more(key, incoming, now_us)

        if incoming.timer is not None:
            incoming.timer.cancel()
        incoming.timer = self._timers.schedule(when_us, tell_again)

    def _tell(self, key: tuple[bytes, int], server: str) -> None:
        incoming = self._incoming.get(key)
        received = self._completed.get(key) if incoming is None else incoming.parts.received()
        if received is not None:
            self._out.append(Outgoing(server, encode_request(received)))
