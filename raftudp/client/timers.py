"""What a session wants to do later; the time comes from whoever runs it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Final, TypeAlias

RETRY_US_MINIMUM: Final = 100_000
"""The first repetition of an unanswered message; each later one waits twice as long as the last."""
RETRY_US_MAXIMUM: Final = 1_000_000

Action: TypeAlias = Callable[[int], None]
"""Takes the time at which it is run, in microseconds."""


def retry_us(tries: int, random: Random, maximum_us: int = RETRY_US_MAXIMUM) -> int:
    """How long to wait for an answer after so many vain tries.

    Exponential, and spread by a quarter to both sides, so that many clients that lost the same
    leader don't come back in step.
    """
    interval_us = min(RETRY_US_MINIMUM << min(tries, 10), maximum_us)
    return int(interval_us * (0.75 + random.random() / 2))


class Timer:
    """One thing to do later, unless it is cancelled before."""

    __slots__ = ("action",)

    def __init__(self, action: Action) -> None:
        self.action: Action | None = action

    def cancel(self) -> None:
        """Never run it."""
        self.action = None


class Timers:
    """All things to do later, earliest first; those of one time in the order of their making."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._numbers = count()

    def schedule(self, when_us: int, action: Action) -> Timer:
        """Run `action` at `when_us`."""
        timer = Timer(action)
        heapq.heappush(self._heap, (when_us, next(self._numbers), timer))
        return timer

    def next_us(self) -> int | None:
        """When the earliest is due; None if there is none."""
        while self._heap and self._heap[0][2].action is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def fire(self, now_us: int) -> None:
        """Run what is due."""
        while (due_us := self.next_us()) is not None and due_us <= now_us:
            _, _, timer = heapq.heappop(self._heap)
            action, timer.action = timer.action, None
            assert action is not None, "next_us leaves a live timer in front"
            action(now_us)
