"""The parts of the simulated world: clock, schedule, network, and what a seed draws."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftudp.simulation import schedule as schedules
from raftudp.simulation.clock import SimulatedClock
from raftudp.simulation.network import BAG_MAXIMUM, Network
from raftudp.simulation.schedule import Schedule
from raftudp.simulation.settings import FAULTS, Settings, Weather, draw_weather
from raftudp.simulation.violations import Stuck

CALM = Weather((), 0.0, 0.0, 0.0, 2_000, 1_000_000, 0, False, False)


@given(
    st.integers(0, 10**12),
    st.integers(0, 10**12),
    st.integers(900_000, 1_100_000),
    st.integers(0, 10**9),
)
def test_a_clock_shows_what_is_due_when_it_says_so_and_not_before(
    world_us: int, base_us: int, rate_ppm: int, ahead_us: int
) -> None:
    """`when` is the first moment at which `read` shows the time or more."""
    clock = SimulatedClock(world_us, base_us, rate_ppm)
    due_us = base_us + ahead_us
    when_us = clock.when(due_us)
    assert clock.read(when_us) >= due_us
    assert clock.read(when_us - 1) < due_us


def test_events_happen_in_order_of_time_then_of_booking() -> None:
    """And what an event books for a time that has passed happens now."""
    schedule = Schedule()
    seen: list[str] = []
    schedule.at(20, seen.append, "c")
    schedule.at(10, seen.append, "a")
    schedule.at(10, seen.append, "b")
    schedule.at(15, lambda: schedule.at(3, seen.append, "late"))
    assert schedule.run_until(19) == 4
    assert seen == ["a", "b", "late"]
    assert schedule.now_us == 19
    schedule.run_until(20)
    assert seen[-1] == "c"


def test_a_storm_of_events_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that answer each other for ever don't hang the simulator."""
    monkeypatch.setattr(schedules, "EVENTS_MAXIMUM", 100)
    schedule = Schedule()

    def again() -> None:
        schedule.at(schedule.now_us, again)

    again()
    with pytest.raises(Stuck, match="storm"):
        schedule.run_until(1)


def network(weather: Weather) -> tuple[Schedule, Network, list[tuple[str, object]]]:
    schedule = Schedule()
    arrived: list[tuple[str, object]] = []
    made = Network(schedule, Random(1), weather, lambda to, what: arrived.append((to, what)))
    return schedule, made, arrived


def test_a_calm_network_delivers_everything_once() -> None:
    """Nothing is lost without a fault."""
    schedule, calm, arrived = network(CALM)
    for number in range(100):
        calm.send("a", "b", number)
    schedule.run_until(10_000)
    assert sorted(what for _, what in arrived) == list(range(100))
    assert calm.lost == 0


def test_a_cut_is_one_way_until_it_is_mended() -> None:
    """The other direction carries, and so does the first once mended."""
    schedule, cut, arrived = network(CALM)
    cut.cut("a", "b")
    cut.send("a", "b", 1)
    cut.send("b", "a", 2)
    schedule.run_until(10_000)
    assert arrived == [("a", 2)]
    cut.mend()
    cut.send("a", "b", 3)
    schedule.run_until(20_000)
    assert arrived == [("a", 2), ("b", 3)]


def test_a_clogged_link_delivers_all_at_its_end() -> None:
    """Late, and nothing lost."""
    schedule, clogged, arrived = network(CALM)
    clogged.clog("a", "b", 500_000)
    clogged.send("a", "b", 1)
    schedule.run_until(499_999)
    assert arrived == []
    schedule.run_until(500_000)
    assert arrived == [("b", 1)]


def test_held_mail_outlives_its_sender() -> None:
    """It is delivered after `release`, which the sender's death brings about."""
    schedule, holding, arrived = network(CALM._replace(holding=1.0))
    for number in range(10):
        holding.send("a", "b", number)
    schedule.run_until(1_000_000)
    assert arrived == []
    holding.release("someone else")
    schedule.run_until(10_000_000)
    assert arrived == []
    holding.release("a")
    schedule.run_until(20_000_000)
    assert len(arrived) == 10


def test_the_bag_is_bounded() -> None:
    """Beyond its bound something is let go for each that comes."""
    schedule, holding, arrived = network(CALM._replace(holding=1.0))
    for number in range(BAG_MAXIMUM + 5):
        holding.send("a", "b", number)
    schedule.run_until(100_000_000)
    assert len(arrived) == 5


def test_loss_and_doubling_are_about_as_drawn() -> None:
    """A fault that the seed drew does happen."""
    schedule, lossy, arrived = network(CALM._replace(loss=0.2, doubling=0.1))
    for number in range(5_000):
        lossy.send("a", "b", number)
    schedule.run_until(100_000)
    assert 800 < lossy.lost < 1_200
    assert 1.05 < len(arrived) / (5_000 - lossy.lost) < 1.15


def test_every_fault_is_drawn_by_some_seed_and_left_out_by_another() -> None:
    """A random subset each, so that each fault also occurs without the others."""
    drawn = [draw_weather(Settings(), seed, Random(seed)).faults for seed in range(200)]
    for fault in FAULTS:
        assert 50 < sum(fault in faults for faults in drawn) < 150
