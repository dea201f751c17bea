"""Runs seeds, in as many processes as asked for, and adds up what happened; the same for every
number of processes.
"""

from __future__ import annotations

import gc
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from enum import IntEnum
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from typing import NamedTuple

from raftudp.simulation.plants import Caught, Missed, Plant, find_plant, run_plant
from raftudp.simulation.settings import Settings
from raftudp.simulation.story import line
from raftudp.simulation.violations import Stuck, Violation
from raftudp.simulation.world import Outcome, World

SEEDS_AHEAD = 2
"""Runs handed out for each process, so that none waits while another is slow."""


class Failure(IntEnum):
    """How a run can go wrong; the values are the exit statuses of `raftudp simulate`."""

    VIOLATION = 1
    STUCK = 2
    CRASH = 3


class Failed(NamedTuple):
    """A run that did not end well."""

    seed: int
    failure: Failure
    check: str
    message: str
    story: tuple[str, ...]
    """The last events, as lines."""


class Total(NamedTuple):
    """What happened in all runs together."""

    seeds: int = 0
    leaders: int = 0
    commits: int = 0
    crashes: int = 0
    returns: int = 0
    messages: int = 0
    messages_lost: int = 0
    operations: int = 0
    unknown: int = 0
    simulated_us: int = 0
    searched: int = 0
    undecided: int = 0

    def plus(self, outcome: Outcome) -> Total:
        """With one run more."""
        return Total(
            self.seeds + 1,
            self.leaders + outcome.leaders,
            self.commits + outcome.commits,
            self.crashes + outcome.crashes,
            self.returns + outcome.returns,
            self.messages + outcome.messages,
            self.messages_lost + outcome.messages_lost,
            self.operations + outcome.operations,
            self.unknown + outcome.unknown,
            self.simulated_us + outcome.simulated_us,
            self.searched + outcome.searched,
            self.undecided + outcome.undecided,
        )


def run_seed(settings: Settings, seed: int) -> Outcome | Failed:
    """One run, to whatever end."""
    world = World(settings, seed)
    # A run keeps nearly all that it makes: looking for garbage meanwhile takes a tenth of the time.
    gc.disable()
    try:
        return world.run()
    except Exception as error:  # any end of a run is a result here
        failure, check, message = describe(error)
        return Failed(seed, failure, check, message, tuple(line(event) for event in world.story))
    finally:
        gc.enable()


def describe(error: Exception) -> tuple[Failure, str, str]:
    """How an exception counts: the core's assertions are checks like those between servers."""
    if isinstance(error, Violation):
        return Failure.VIOLATION, error.check, str(error)
    if isinstance(error, Stuck):
        return Failure.STUCK, "progress", str(error)
    where = "".join(traceback.format_exception(error)[-4:])
    if isinstance(error, AssertionError):
        return Failure.VIOLATION, "assertion", where
    return Failure.CRASH, type(error).__name__, where


def run_seeds(settings: Settings, first: int, seeds: int, jobs: int) -> Iterator[Outcome | Failed]:
    """The runs of consecutive seeds, in their order."""
    numbers = range(first, first + seeds)
    if jobs <= 1 or seeds == 1:
        yield from (run_seed(settings, seed) for seed in numbers)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        running: deque[Future[Outcome | Failed]] = deque()
        try:
            for seed in numbers:
                running.append(pool.submit(run_seed, settings, seed))
                if len(running) > SEEDS_AHEAD * jobs:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def run_plants(
    plants: Sequence[Plant], first_seed: int, jobs: int
) -> Iterator[tuple[Plant, Caught | Missed]]:
    """Each bug's end, in the order of the list; with several jobs in processes of their own."""
    if jobs <= 1:
        for plant in plants:
            yield plant, run_plant(plant, first_seed)
        return
    names = [plant.name for plant in plants]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        outcomes = pool.map(partial(_run_plant_named, first_seed), names)
        yield from zip(plants, outcomes, strict=True)


def _run_plant_named(first_seed: int, name: str) -> Caught | Missed:
    plant = find_plant(name)
    assert plant is not None
    return run_plant(plant, first_seed)


class Report:
    """Adds up outcomes as they come."""

    def __init__(self) -> None:
        self.total = Total()
        self.failed: list[Failed] = []
        self._digest = sha256()

    def add(self, outcome: Outcome | Failed) -> None:
        """One run more."""
        if isinstance(outcome, Failed):
            self.failed.append(outcome)
            self._digest.update(f"{outcome.seed} {outcome.check}".encode())
            self.total = self.total._replace(seeds=self.total.seeds + 1)
            return
        self._digest.update(outcome.digest.encode())
        self.total = self.total.plus(outcome)

    @property
    def digest(self) -> str:
        """32 hexadecimal digits that stand for everything that happened in all runs."""
        return self._digest.hexdigest()[:32]

    @property
    def status(self) -> int:
        """The exit status: 0 clean, else that of the gravest failure."""
        kinds = {failed.failure for failed in self.failed}
        for failure in (Failure.VIOLATION, Failure.CRASH, Failure.STUCK):
            if failure in kinds:
                return failure
        return 0
