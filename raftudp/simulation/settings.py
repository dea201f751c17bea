"""What one simulated run is made of: its size, its load, and which faults its seed draws from those
allowed.
"""

from __future__ import annotations

from random import Random
from typing import Final, NamedTuple

FAULTS: Final = (
    "clocks",
    "clogs",
    "crashes",
    "delay",
    "doubling",
    "holding",
    "loss",
    "partitions",
    "pauses",
    "slow-storage",
    "transfers",
    "twins",
)
"""By name, in order.

clocks: each process's clock runs at its own rate and jumps ahead. clogs: a link delivers nothing
for a while, then all at once. crashes: a process dies, between any two lines of what a step asks
for, and comes back with its memory gone. delay: mail takes long and overtakes. doubling, loss: so.
holding: mail is kept back and delivered much later, even after its sender's death. partitions:
links are cut, both ways or one way, halves, single servers, or with a bridge. pauses: a process
stands still. slow-storage: writes become durable later than they were asked for. transfers:
leadership is handed over. twins: a second, blank pod answers under a living one's name.
"""


class Settings(NamedTuple):
    """One run's settings, beside its seed."""

    servers: int = 3
    seconds: int = 20
    """The length of the faulty phase, in simulated seconds."""
    rate: int = 50
    """Operations a simulated second, of all clients together."""
    faults: tuple[str, ...] = FAULTS
    """Those that a seed may draw from."""
    is_exhaustive: bool | None = None
    """Seal, encode and search for linearizability: by seed (None), always or never."""


class Weather(NamedTuple):
    """What a seed drew: a random subset of the faults, so that each also occurs by itself."""

    faults: tuple[str, ...]
    loss: float
    doubling: float
    holding: float
    delay_us: int
    """Most mail takes much less than this, little takes as long."""
    interval_us: int
    """Between two strokes of the nemesis, on average."""
    crashes: int
    """Processes that may lose their memory: never a majority, for then the cluster is lost."""
    wants_sealing: bool
    wants_search: bool


def draw_weather(settings: Settings, seed: int, random: Random) -> Weather:
    """The faults of one seed."""
    faults = tuple(fault for fault in settings.faults if random.random() < 0.5)
    exhaustive = settings.is_exhaustive
    return Weather(
        faults=faults,
        loss=random.choice((0.01, 0.05, 0.2)) if "loss" in faults else 0.0,
        doubling=random.choice((0.01, 0.1)) if "doubling" in faults else 0.0,
        holding=random.choice((0.002, 0.02, 0.1)) if "holding" in faults else 0.0,
        delay_us=random.choice((20_000, 120_000)) if "delay" in faults else 2_000,
        interval_us=random.choice((300_000, 1_000_000, 3_000_000)),
        crashes=(settings.servers - 1) // 2 if "crashes" in faults else 0,
        wants_sealing=seed % 16 == 0 if exhaustive is None else exhaustive,
        wants_search=seed % 8 == 0 if exhaustive is None else exhaustive,
    )
