"""The simulated world's agenda: what happens when, in microseconds; ties go by booking."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, Final

from raftudp.simulation.violations import Stuck

EVENTS_MAXIMUM: Final = 3_000_000
"""In one call: far more than any run needs at a rate that a machine bears."""


class Schedule:
    """Events by time. Deterministic: no two compare equal, and callbacks are never compared."""

    __slots__ = ("_booked", "_events", "now_us")

    def __init__(self) -> None:
        self.now_us = 0
        self._booked = 0
        self._events: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []

    def at(self, when_us: int, action: Callable[..., None], *arguments: Any) -> None:
        """Book a call; a time that has passed means now."""
        self._booked += 1
        when_us = max(when_us, self.now_us)
        heapq.heappush(self._events, (when_us, self._booked, action, arguments))

    def run_until(self, end_us: int) -> int:
        """Make all calls that are due up to `end_us`, which is then the time. Returns how many."""
        events, made = self._events, 0
        while events and events[0][0] <= end_us:
            self.now_us, _, action, arguments = heapq.heappop(events)
            action(*arguments)
            made += 1
            if made > EVENTS_MAXIMUM:
                raise Stuck(f"{made} events up to {self.now_us / 1e6:.3f} s: a storm of messages")
        self.now_us = end_us
        return made
