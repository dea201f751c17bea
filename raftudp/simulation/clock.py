"""A process's own idea of time: started somewhere, running at its own rate, jumping ahead at times,
never back.
"""

from __future__ import annotations

from typing import Final

MILLION: Final = 1_000_000


class SimulatedClock:
    """Reads microseconds from the world's. Integer arithmetic, so that every machine agrees."""

    __slots__ = ("_base_us", "_rate_ppm", "_since_us")

    def __init__(self, world_us: int, base_us: int, rate_ppm: int = MILLION) -> None:
        """`rate_ppm`: own microseconds in a million of the world's."""
        assert rate_ppm > 0
        self._since_us, self._base_us, self._rate_ppm = world_us, base_us, rate_ppm

    def read(self, world_us: int) -> int:
        """What this clock shows."""
        return self._base_us + (world_us - self._since_us) * self._rate_ppm // MILLION

    def when(self, own_us: int) -> int:
        """The world's time at which this clock shows `own_us` or more."""
        ahead = own_us - self._base_us
        return self._since_us - (-ahead * MILLION // self._rate_ppm)

    def jump(self, ahead_us: int) -> None:
        """Show so much more from now on."""
        assert ahead_us >= 0, "a monotonic clock never goes back"
        self._base_us += ahead_us
