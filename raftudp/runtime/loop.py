"""The loop of a real replica: one thread, one socket, one wake-up for all that has arrived."""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
from collections import Counter
from collections.abc import Callable
from typing import Final

from raftudp.limits import DATAGRAMS_PER_WAKEUP
from raftudp.network.addresses import AddressBook
from raftudp.network.udp import UdpSocket
from raftudp.runtime.departure import Departure
from raftudp.runtime.health import Board, Picture
from raftudp.runtime.mailroom import Mailroom
from raftudp.runtime.replica import ROLE_NAMES, Replica
from raftudp.runtime.telemetry import Telemetry

SLEEP_US_MAXIMUM: Final = 1_000_000
"""The loop turns at least this often, so that it is seen to be alive."""
PICTURE_INTERVAL_US: Final = 200_000
HOUSEKEEPING_INTERVAL_US: Final = 2_000_000
REFUSALS_INTERVAL_US: Final = 10_000_000
"""Between two lines about refused datagrams; who floods a port should not flood the log."""


class Loop:
    """Drains the socket, reads the clock, steps the replica once for the whole batch, and again."""

    def __init__(
        self,
        *,
        replica: Replica,
        udp_socket: UdpSocket,
        mailroom: Mailroom,
        addresses: AddressBook,
        telemetry: Telemetry,
        board: Board,
        clock: Callable[[], int],
        stop_timeout_us: int,
        keep_house: Callable[[], None],
    ) -> None:
        """`keep_house` is called every two seconds and after `request_housekeeping`."""
        self._replica = replica
        self._socket = udp_socket
        self._mailroom = mailroom
        self._addresses = addresses
        self._telemetry = telemetry
        self._board = board
        self._clock = clock
        self._stop_timeout_us = stop_timeout_us
        self._keep_house = keep_house
        self._departure: Departure | None = None
        self._stops_wanted = 0
        self._housekeeping_wanted = False
        self._ended = False
        self._membership = replica.transition.membership
        self._pictured_us = self._kept_house_us = clock() - HOUSEKEEPING_INTERVAL_US
        self._refused_told: Counter[str] = Counter()
        self._refusals_told_us = clock() - REFUSALS_INTERVAL_US
        self._wakeups = 0
        self._datagrams_received = 0
        self._wake_reader, self._wake_writer = socket.socketpair()
        for end in (self._wake_reader, self._wake_writer):
            end.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(udp_socket, selectors.EVENT_READ)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)

    # ---- from other threads, and from signal handlers

    def request_stop(self) -> None:
        """Leave gracefully; asked a second time, leave at once."""
        self._stops_wanted += 1
        self._wake()

    def request_housekeeping(self) -> None:
        """Keep house now."""
        self._housekeeping_wanted = True
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full of wake-ups already, or the loop has ended
            self._wake_writer.send(b"\0")

    # ---- the loop

    def run(self) -> None:
        """Turn until told to stop."""
        try:
            while not self._ended:
                self._turn()
        finally:
            self._selector.close()
            self._wake_reader.close()
            self._wake_writer.close()

    def _turn(self) -> None:
        """One wake-up."""
        for key, _ in self._selector.select(self._sleep_s()):
            if key.fileobj is self._wake_reader:
                self._wake_reader.recv(4_096)
        datagrams = self._socket.receive_batch(DATAGRAMS_PER_WAKEUP)
        now_us = self._clock()
        if datagrams or now_us >= self._replica.next_deadline():
            self._wakeups += 1
            self._datagrams_received += len(datagrams)
            arrivals = self._mailroom.open_batch(datagrams, now_us)
            for answer in arrivals.statuses:
                if self._departure is not None:
                    self._departure.take_answer(self._replica.transition, answer)
            self._replica.handle(arrivals.mails, arrivals.requests, now_us)
            self._take_transition(now_us)
        self._addresses.refresh(now_us)
        if self._stops_wanted or self._replica.service.stop_requested:
            self._depart(now_us)
        if now_us - self._pictured_us >= PICTURE_INTERVAL_US:
            self._publish(now_us)
        if self._housekeeping_wanted or now_us - self._kept_house_us >= HOUSEKEEPING_INTERVAL_US:
            self._housekeeping_wanted = False
            self._kept_house_us = now_us
            self._keep_house()

    def _sleep_s(self) -> float:
        """Until the next thing to do, unless something arrives."""
        now_us = self._clock()
        sleep_us = min(self._replica.next_deadline() - now_us, SLEEP_US_MAXIMUM)
        if self._departure is not None:
            sleep_us = min(sleep_us, self._departure.next_turn_us)
        elif self._stops_wanted:
            return 0
        return max(sleep_us, 0) / 1_000_000

    def _take_transition(self, now_us: int) -> None:
        """Let the others know what the core's latest event changed."""
        transition = self._replica.transition
        self._mailroom.cluster = transition.cluster
        if transition.membership is not self._membership:
            self._membership = transition.membership
            slots = transition.membership.slots
            self._addresses.learn([(slot.name, slot.address) for slot in slots], now_us)
            self._telemetry.handle_membership(transition.membership, now_us)

    def _depart(self, now_us: int) -> None:
        """Told to stop: do what a departure takes, and end when it may."""
        if self._departure is None:
            self._telemetry.say(logging.INFO, "stopping", state=self._replica.state())
            self._departure = Departure(now_us, self._stop_timeout_us)
        status = self._replica.status(now_us)
        if self._stops_wanted > 1 or self._departure.may_end(status, now_us):
            self._ended = True
            return
        if self._departure.hands_over(status, now_us):
            self._replica.hand_leadership_over(now_us)
        question = self._departure.question(status, now_us)
        if question is not None:
            self._mailroom.ask(*question)

    # ---- what is seen from outside

    def _publish(self, now_us: int) -> None:
        """Leave a picture for the HTTP threads, and a line if datagrams were refused."""
        self._pictured_us = now_us
        replica, service = self._replica, self._replica.service
        status = replica.status(now_us)
        refused = self._mailroom.refused + service.refusals
        refused["misaddressed"] += replica.misaddressed
        self._board.picture = Picture(
            turned_us=now_us,
            role=ROLE_NAMES[status.role],
            state=replica.state(),
            gauges={
                "term": status.term,
                "commit_index": status.commit_index,
                "applied_index": replica.last_applied,
                "last_log_index": status.last_log_index,
                "pending_writes": len(service.writes),
                "pending_reads": len(service.reads),
                "receive_buffer_bytes": self._socket.receive_buffer_bytes,
            },
            counters={
                "wakeups": self._wakeups,
                "datagrams_received": self._datagrams_received,
                "leader_changes": self._telemetry.leader_changes,
                "mails_without_address": self._mailroom.without_address,
                "kernel_drops": self._socket.kernel_drops,
                "writes_served": service.writes.served,
                "reads_served": service.reads.served,
            },
            received=_by_name(self._mailroom.received),
            sent=_by_name(self._mailroom.sent),
            refused=dict(refused),
            socket_errors=dict(self._socket.errors),
        )
        self._tell_refusals(refused, now_us)

    def _tell_refusals(self, refused: Counter[str], now_us: int) -> None:
        """A line about what was refused since the last one, if it is time for one."""
        news = refused - self._refused_told
        if news and now_us - self._refusals_told_us >= REFUSALS_INTERVAL_US:
            self._refused_told, self._refusals_told_us = refused, now_us
            self._telemetry.handle_refusals(news, now_us)


def _by_name(counts: Counter[type]) -> dict[str, int]:
    return {kind.__name__: count for kind, count in counts.items()}
