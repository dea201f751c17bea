"""The simulated network: mail is lost, doubled, delayed, overtaken, cut off, clogged, or held
beyond its sender's death.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final, NamedTuple

from raftudp.simulation.schedule import Schedule
from raftudp.simulation.settings import Weather

DELAY_US_MINIMUM: Final = 100
BAG_MAXIMUM: Final = 64
"""Mail held back at a time; beyond it a random piece is let go."""
HELD_US_MAXIMUM: Final = 5_000_000


class Held(NamedTuple):
    """Mail in the bag."""

    source: str
    destination: str
    packet: object


class Network:
    """Carries packets between names. `deliver(destination, packet)` is called when one arrives."""

    def __init__(
        self,
        schedule: Schedule,
        random: Random,
        weather: Weather,
        deliver: Callable[[str, Any], None],
    ) -> None:
        self._schedule = schedule
        self._random = random
        self._weather = weather
        self._deliver = deliver
        self._cut: set[tuple[str, str]] = set()
        self._clogged: dict[tuple[str, str], int] = {}
        self._bag: list[Held] = []
        self.is_faulty = True
        self.sent = 0
        self.lost = 0

    def send(self, source: str, destination: str, packet: object) -> None:
        """Take a packet; what becomes of it is this seed's luck."""
        self.sent += 1
        if not self.is_faulty:
            self._book(source, destination, packet)
            return
        weather, draw = self._weather, self._random.random
        if (source, destination) in self._cut or (weather.loss and draw() < weather.loss):
            self.lost += 1
            return
        if weather.holding and draw() < weather.holding:
            self._hold(Held(source, destination, packet))
            return
        self._book(source, destination, packet)
        if weather.doubling and draw() < weather.doubling:
            self._book(source, destination, packet)

    def _book(self, source: str, destination: str, packet: object) -> None:
        luck = self._random.random()
        spread = self._weather.delay_us if self.is_faulty else 2_000
        when_us = self._schedule.now_us + DELAY_US_MINIMUM + int(luck * luck * luck * spread)
        if self._clogged:
            when_us = max(when_us, self._clogged.get((source, destination), 0))
        self._schedule.at(when_us, self._deliver, destination, packet)

    # ---- the bag

    def _hold(self, held: Held) -> None:
        self._bag.append(held)
        if len(self._bag) > BAG_MAXIMUM:
            self._let_go(self._bag.pop(self._random.randrange(len(self._bag))))

    def release(self, source: str | None = None) -> None:
        """Let go, at random times from now on, of what is held: of one sender (who has just died),
        or all.
        """
        kept: list[Held] = []
        for held in self._bag:
            if source in (None, held.source):
                self._let_go(held)
            else:
                kept.append(held)
        self._bag = kept

    def _let_go(self, held: Held) -> None:
        luck = self._random.random()
        when_us = self._schedule.now_us + int(luck * luck * HELD_US_MAXIMUM)
        self._schedule.at(when_us, self._deliver, held.destination, held.packet)

    # ---- links

    def cut(self, source: str, destination: str) -> None:
        """Nothing passes from one to the other, in this direction."""
        self._cut.add((source, destination))

    def clog(self, source: str, destination: str, until_us: int) -> None:
        """Nothing arrives before then."""
        self._clogged[source, destination] = until_us

    def mend(self) -> None:
        """All links carry again; what was held or clogged may still come."""
        self._cut.clear()
        self._clogged.clear()

    def heal(self) -> None:
        """The end of all faults."""
        self.mend()
        self.release()
        self.is_faulty = False
