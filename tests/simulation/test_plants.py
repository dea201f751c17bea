"""Planted bugs: they are gone when a run is over, and only the check meant for one catches it."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from raftudp.simulation.planting import SHORT, Change
from raftudp.simulation.plants import (
    Caught,
    Missed,
    Plant,
    all_plants,
    find_plant,
    planted,
    run_plant,
)
from raftudp.simulation.violations import Violation


class Victim:
    @staticmethod
    def answer() -> str:
        return "sound"


SPOILT = Plant("spoilt", "for tests", ("one vote",), (Change(Victim, "answer", "spoilt"),))


@pytest.mark.parametrize(
    "plant", [p for p in all_plants() if p.script is not None], ids=lambda plant: plant.name
)
def test_bugs_with_a_schedule_are_caught_at_once(plant: Plant) -> None:
    """A schedule shows its bug at the first seed, by the check that is meant for it."""
    outcome = run_plant(plant, 0)
    assert isinstance(outcome, Caught)
    assert outcome.check in plant.caught_by and outcome.seeds == 1


@pytest.mark.parametrize("name", ["term-not-raised", "half-is-a-quorum", "incarnation-reused"])
def test_random_runs_catch_bugs(name: str) -> None:
    """Bugs that show everywhere are caught by a random run, the same way each time."""
    plant = find_plant(name)
    assert plant is not None and plant.script is None
    outcome = run_plant(plant, 0, 3)
    assert isinstance(outcome, Caught)
    assert run_plant(plant, outcome.seed, 1) == outcome._replace(seeds=1)


def test_every_bug_has_a_name_of_its_own() -> None:
    """Each is found by its name; other names find nothing."""
    plants = all_plants()
    assert [find_plant(plant.name) for plant in plants] == list(plants)
    assert len({plant.name for plant in plants}) == len(plants) >= 40
    assert find_plant("no-such-bug") is None


@pytest.mark.parametrize("plant", all_plants(), ids=lambda plant: plant.name)
def test_bugs_are_gone_afterwards(plant: Plant) -> None:
    """What a bug replaced is back after it, the very same objects, even if a run failed."""
    before = [vars(change.owner)[change.name] for change in plant.changes]
    with ExitStack() as stack:
        stack.enter_context(pytest.raises(Violation))
        stack.enter_context(planted(plant))
        inside = [vars(change.owner)[change.name] for change in plant.changes]
        assert all(a is not b for a, b in zip(before, inside, strict=True))
        raise Violation("one vote", "a run failed")
    after = [vars(change.owner)[change.name] for change in plant.changes]
    assert all(a is b for a, b in zip(before, after, strict=True))


def test_static_methods_come_back_as_such() -> None:
    """A class gets back what its dictionary held, not what an attribute look-up gives."""
    with planted(SPOILT):
        assert Victim().answer == "spoilt"
    assert Victim().answer() == "sound"


def test_a_harmless_change_is_missed() -> None:
    """Where no check sees anything, the bug is missed, and nothing is said to have seen it."""
    quiet = SPOILT._replace(settings=SHORT._replace(seconds=1, faults=()))
    assert run_plant(quiet, 0, 2) == Missed(2, ())


def test_another_check_does_not_count() -> None:
    """A bug that only an unmeant check sees is missed, and the outcome names that check."""

    def script(seed: int) -> None:
        raise Violation("log matching", "seen")

    outcome = run_plant(SPOILT._replace(script=script), 5, 3)
    assert outcome == Missed(3, (("log matching", 3),))


@pytest.mark.parametrize(
    ("error", "check"),
    [
        (Violation("one vote", "twice"), "one vote"),
        (AssertionError("never"), "assertion"),
        (KeyError("lost"), "crash"),
    ],
)
def test_whatever_stops_a_run_has_a_name(error: Exception, check: str) -> None:
    """Violations go by their check, the core's invariants and other errors by a name of theirs."""

    def script(seed: int) -> None:
        raise error

    outcome = run_plant(SPOILT._replace(script=script, caught_by=(check,)), 7, 1)
    assert isinstance(outcome, Caught)
    assert (outcome.check, outcome.seed, outcome.seeds) == (check, 7, 1)
