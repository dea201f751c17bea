"""The one clock of a replica: monotonic, in integer microseconds."""

from __future__ import annotations

import time


def monotonic_us() -> int:
    """Microseconds since some moment before the process began; never goes back, knows no time of
    day.
    """
    return time.monotonic_ns() // 1_000
