"""Planting a bug: some functions are replaced while runs are made, and put back after them.

The bugs live here, beside the simulator; production code knows nothing of them. A bug is caught
when one of the checks meant for it stops a run. Being stopped by anything else does not count: then
the check that was meant may be blind, and the other one lucky.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final, NamedTuple

from raftudp.consensus import invariants
from raftudp.consensus.messages import Mail, Message
from raftudp.consensus.server import Server
from raftudp.consensus.state import State
from raftudp.simulation.settings import Settings
from raftudp.simulation.violations import Stuck, Violation
from raftudp.simulation.world import World

SEEDS_MAXIMUM: Final = 400
ASSERTION: Final = "assertion"
"""The name under which one of the core's own invariants counts as a check."""
STUCK: Final = "stuck"
CRASH: Final = "crash"
"""Any other exception; never what is meant."""

SHORT: Final = Settings(seconds=5, is_exhaustive=False)
"""Where nothing else is said: many short runs show more than few long ones."""


class Change(NamedTuple):
    """One function, method or name that is another while the bug is planted."""

    owner: object
    """The module or class that has it."""
    name: str
    replacement: object


class Plant(NamedTuple):
    """A bug that somebody could have made."""

    name: str
    description: str
    caught_by: tuple[str, ...]
    """The checks that are meant to see it; any of them may be the first."""
    changes: tuple[Change, ...]
    settings: Settings = SHORT
    """Of the random runs; the servers and faults that provoke it."""
    script: Callable[[int], None] | None = None
    """A schedule from a seed that always shows it, where random runs rarely would."""


class Caught(NamedTuple):
    """A check that was meant to see the bug saw it."""

    check: str
    seed: int
    seeds: int
    """How many it took."""
    message: str


class Missed(NamedTuple):
    """No run was stopped by a check that was meant for the bug."""

    seeds: int
    otherwise: tuple[tuple[str, int], ...]
    """What else stopped runs, and how many."""


@contextmanager
def planted(plant: Plant) -> Iterator[None]:
    """The bug is there inside, and gone after, whatever happens."""
    with ExitStack() as stack:
        for owner, name, replacement in plant.changes:
            # From the dictionary, for a static method has to go back as one.
            stack.callback(setattr, owner, name, vars(owner)[name])
            setattr(owner, name, replacement)
        yield


def run_plant(
    plant: Plant, first_seed: int = 0, seeds_maximum: int = SEEDS_MAXIMUM
) -> Caught | Missed:
    """Makes runs with the bug, from `first_seed` on, until it is caught."""
    otherwise: Counter[str] = Counter()
    with planted(plant):
        for seeds in range(1, seeds_maximum + 1):
            seed = first_seed + seeds - 1
            check, message = _run(plant, seed)
            if check in plant.caught_by:
                return Caught(check, seed, seeds, message)
            otherwise[check] += check != ""
    return Missed(seeds_maximum, tuple(sorted((+otherwise).items())))


def _run(plant: Plant, seed: int) -> tuple[str, str]:
    """The name of the check that stopped one run, and what it said; empty if none did."""
    try:
        if plant.script is None:
            World(plant.settings, seed).run()
        else:
            plant.script(seed)
    except Violation as violation:
        return violation.check, str(violation)
    except Stuck as stuck:
        return STUCK, str(stuck)
    except AssertionError as error:
        return ASSERTION, str(error)
    except Exception as error:  # a bug may break anything
        return CRASH, repr(error)
    return "", ""


# ---- building blocks


def _nothing(*_: object) -> None:
    """Asserts nothing."""


UNGUARDED: Final = (
    Change(invariants, "check_state", _nothing),
    Change(invariants, "check_step", _nothing),
)
"""The core's own invariants are off, so that the consequence shows and not the cause."""


def rewriting(rewrite: Callable[[State, Message], Message]) -> Change:
    """Every message that a server takes is first made another."""
    take_mail = Server._take_mail

    def take_rewritten(server: Server, mail: Mail, now_us: int) -> None:
        message = rewrite(server._state, mail.message)
        take_mail(server, mail._replace(message=message), now_us)

    return Change(Server, "_take_mail", take_rewritten)
