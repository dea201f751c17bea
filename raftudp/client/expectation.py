"""Waiting for the answer to something that was sent, and noticing that it does not come."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from raftudp.client.leadership import LeaderSearch
from raftudp.client.roster import Server
from raftudp.client.timers import Timer, Timers, retry_us
from raftudp.client.transfers import Delivery, Transfers


class Expectation:
    """One answer that is waited for."""

    __slots__ = ("delivery", "server", "timer")

    def __init__(self, server: Server, delivery: Delivery) -> None:
        self.server = server
        self.delivery = delivery
        self.timer: Timer | None = None

    def cancel(self) -> None:
        """The answer came, or is wanted no more; what is unsent of the request stays so."""
        self.delivery.cancel()
        if self.timer is not None:
            self.timer.cancel()


class Expectations:
    """Begins to wait, each time longer than the last."""

    def __init__(
        self, timers: Timers, transfers: Transfers, search: LeaderSearch, random: Random
    ) -> None:
        self._timers = timers
        self._transfers = transfers
        self._search = search
        self._random = random

    def expect(
        self,
        server: Server,
        delivery: Delivery,
        tries: int,
        on_silence: Callable[[], None],
        now_us: int,
    ) -> Expectation:
        """Call `on_silence` if no answer comes; `tries` vain ones came before.

        The time counts from when the last of the request arrived, as far as is known, and stands
        still while a large answer of that server is coming in, which may be this one.
        """
        wait_us = retry_us(tries, self._random)
        expectation = Expectation(server, delivery)

        def look(now_us: int) -> None:
            due_us = delivery.progress_us + wait_us
            if self._transfers.is_receiving_from(server.address, now_us - wait_us):
                due_us = now_us + wait_us
            if due_us > now_us:
                expectation.timer = self._timers.schedule(due_us, look)
                return
            if (server.answered_us or 0) <= delivery.progress_us:
                self._search.doubt(server, now_us)
            if delivery.is_under_way:
                expectation.timer = self._timers.schedule(now_us + wait_us, look)
            else:
                on_silence()

        expectation.timer = self._timers.schedule(now_us + wait_us, look)
        return expectation

    def later(self, action: Callable[[], None], now_us: int) -> None:
        """Do something after a pause, as after a refusal that may soon not hold any more."""
        wait_us = retry_us(1, self._random)
        self._timers.schedule(now_us + wait_us, lambda _: action())
