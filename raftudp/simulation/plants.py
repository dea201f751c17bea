"""All planted bugs, by name: what `raftudp simulate --plant` offers."""

from __future__ import annotations

from typing import Final

from raftudp.simulation.planting import Caught, Missed, Plant, planted, run_plant
from raftudp.simulation.plants_clients import CLIENTS
from raftudp.simulation.plants_election import ELECTION
from raftudp.simulation.plants_reading import READING
from raftudp.simulation.plants_replication import REPLICATION

__all__ = ["Caught", "Missed", "Plant", "all_plants", "find_plant", "planted", "run_plant"]

_PLANTS: Final = (*ELECTION, *REPLICATION, *READING, *CLIENTS)


def all_plants() -> tuple[Plant, ...]:
    """Every bug that can be planted, related ones together."""
    return _PLANTS


def find_plant(name: str) -> Plant | None:
    """The bug of that name, if there is one."""
    return next((plant for plant in _PLANTS if plant.name == name), None)
