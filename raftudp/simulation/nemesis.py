"""Chooses, at random times, what goes wrong: only among the faults that the seed drew, and within
the fault model.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final, Protocol

from raftudp.simulation.network import Network
from raftudp.simulation.process import Process
from raftudp.simulation.schedule import Schedule
from raftudp.simulation.settings import Weather

RETURN_US_MAXIMUM: Final = 2_000_000
PAUSE_US_MAXIMUM: Final = 1_500_000
CLOG_US_MAXIMUM: Final = 1_000_000
PARTITION_US_MAXIMUM: Final = 3_000_000
JUMP_US_MAXIMUM: Final = 1_000_000
BOUNDARIES_MAXIMUM: Final = 12


class Victims(Protocol):
    """What the nemesis may strike."""

    def processes(self) -> list[Process]:
        """The living processes that fill a place, by name."""

    def start_twin(self, name: str) -> None:
        """A second pod of that name."""


class Nemesis:
    """One seed's bad luck."""

    def __init__(
        self,
        schedule: Schedule,
        random: Random,
        weather: Weather,
        network: Network,
        victims: Victims,
    ) -> None:
        self._schedule = schedule
        self._random = random
        self._weather = weather
        self._network = network
        self._victims = victims
        self._crashes_left = weather.crashes
        self._is_active = True
        strokes: dict[str, Callable[[list[Process]], None]] = {
            "clocks": self._jump,
            "clogs": self._clog,
            "crashes": self._crash,
            "partitions": self._partition,
            "pauses": self._pause,
            "transfers": self._transfer,
            "twins": self._twin,
        }
        self._strokes = [strokes[name] for name in sorted(strokes) if name in weather.faults]
        if self._strokes:
            self._wait()
        if weather.holding:
            self._wait_to_release()

    def stop(self) -> None:
        """No more strokes; the caller heals the network."""
        self._is_active = False

    def _wait(self) -> None:
        wait_us = self._random.randrange(2 * self._weather.interval_us) + 1
        self._schedule.at(self._schedule.now_us + wait_us, self._strike)

    def _strike(self) -> None:
        if not self._is_active:
            return
        processes = self._victims.processes()
        if processes:
            self._random.choice(self._strokes)(processes)
        self._wait()

    def _wait_to_release(self) -> None:
        wait_us = self._random.randrange(4_000_000) + 1
        self._schedule.at(self._schedule.now_us + wait_us, self._release)

    def _release(self) -> None:
        if self._is_active:
            self._network.release()
            self._wait_to_release()

    # ---- strokes

    def _crash(self, processes: list[Process]) -> None:
        if self._crashes_left:
            self._crashes_left -= 1
            victim = self._random.choice(processes)
            victim.crash_after = self._random.randrange(BOUNDARIES_MAXIMUM)

    def _pause(self, processes: list[Process]) -> None:
        victim = self._aim(processes)
        victim.is_paused = True
        length_us = self._random.randrange(PAUSE_US_MAXIMUM)
        self._schedule.at(self._schedule.now_us + length_us, victim.resume)

    def _jump(self, processes: list[Process]) -> None:
        """One clock, or all by as much: then all miss their leader at once, and elections clash."""
        ahead_us = self._random.randrange(JUMP_US_MAXIMUM)
        everyone = self._random.random() < 0.5
        for process in processes if everyone else [self._random.choice(processes)]:
            process.jump_clock(ahead_us)

    def _transfer(self, processes: list[Process]) -> None:
        for process in processes:
            if process.replica.transition.leader == process.identity:
                process.act(process.replica.hand_leadership_over)

    def _twin(self, processes: list[Process]) -> None:
        self._victims.start_twin(self._random.choice(processes).name)

    def _clog(self, processes: list[Process]) -> None:
        source, destination = self._two(processes)
        until_us = self._schedule.now_us + self._random.randrange(CLOG_US_MAXIMUM)
        self._network.clog(source, destination, until_us)

    def _partition(self, processes: list[Process]) -> None:
        """Cuts links in one of four shapes, and mends them after a while."""
        self._network.mend()
        first = self._aim(processes).name
        names = [process.name for process in processes if process.name != first]
        self._random.shuffle(names)
        names.insert(0, first)
        shape = self._random.randrange(4)
        if shape == 0:  # one alone
            self._cut(names[:1], names[1:], both=True)
        elif shape == 1:  # halves
            middle = len(names) // 2
            self._cut(names[:middle], names[middle:], both=True)
        elif shape == 2:  # one way
            self._cut(names[:1], names[1:], both=False)
        else:  # a bridge: the first alone reaches both sides
            middle = (len(names) + 1) // 2
            self._cut(names[1:middle], names[middle:], both=True)
        length_us = self._random.randrange(PARTITION_US_MAXIMUM)
        self._schedule.at(self._schedule.now_us + length_us, self._network.mend)

    def _cut(self, some: list[str], others: list[str], *, both: bool) -> None:
        backwards = not both and self._random.random() < 0.5
        for one in some:
            for other in others:
                if both or not backwards:
                    self._network.cut(one, other)
                if both or backwards:
                    self._network.cut(other, one)

    def _aim(self, processes: list[Process]) -> Process:
        """One of them, as likely as not the leader."""
        leaders = [p for p in processes if p.replica.transition.leader == p.identity]
        return self._random.choice(
            leaders if leaders and self._random.random() < 0.5 else processes
        )

    def _two(self, processes: list[Process]) -> tuple[str, str]:
        source = self._random.choice(processes).name
        destination = self._random.choice(processes).name
        return source, destination
