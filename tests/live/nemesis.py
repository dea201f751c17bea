"""What is done to a live cluster: faults drawn from a shuffled deck, one after another, each undone
again.

One seed gives one sequence of faults; whom they strike also depends on who leads by then.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable

from tests.integration.relay import Weather
from tests.live.lab import Lab
from tests.live.replicas import LiveCluster

HELD_S = (0.6, 2.2)
"""How long a fault lasts."""
CALM_S = (0.1, 0.9)
STORM_SHARE = 0.3
"""Of the other faults, so many come with bad weather."""
SLOWEST = 2
"""A run is at most so many times longer than was asked."""
BLANK_RETURN_SHARE = 0.5
"""Of those killed, so many come back without memory, to be refused."""


class Nemesis:
    """Torments a cluster for a while."""

    def __init__(self, lab: Lab, cluster: LiveCluster, clients: list[str], seed: int) -> None:
        self._lab = lab
        self._cluster = cluster
        self._clients = clients
        self._random = random.Random(seed)
        self._faults: dict[str, Callable[[], Callable[[], None] | None]] = {
            "pause": self._pause,
            "pause the leader": self._pause_leader,
            "cut off": self._cut_off,
            "split in two": self._split,
            "bridge": self._bridge,
            "deafen the leader": self._deafen_leader,
            "mute the leader": self._mute_leader,
            "lose": self._lose,
            "storm": self._storm,
        }
        self._deck: list[str] = []
        self.struck: Counter[str] = Counter()
        """By fault, how often."""

    @property
    def names(self) -> list[str]:
        """All faults that a run is long enough for."""
        return ["kill", *self._faults]

    def torment(self, duration_s: float) -> None:
        """Strike until the time is up, longer on a machine so slow that not every fault had its
        turn; whole again afterwards, but for the dead.

        In all a minority is killed, each in the middle part of the run.
        """
        began = time.monotonic()
        minority = (len(self._cluster.names) - 1) // 2
        kills = sorted(self._random.uniform(0.3, 0.8) * duration_s for _ in range(minority))
        while (elapsed_s := time.monotonic() - began) < duration_s or (
            elapsed_s < SLOWEST * duration_s and set(self.struck) != set(self.names)
        ):
            time.sleep(self._random.uniform(*CALM_S))
            undo: Callable[[], None] | None = None
            if kills and elapsed_s >= kills[0]:
                kills.pop(0)
                self._kill()
            else:
                undo = self._strike()
            time.sleep(self._random.uniform(*HELD_S))
            if undo is not None:
                undo()
            self._lab.heal()

    def _strike(self) -> Callable[[], None] | None:
        if not self._deck:
            self._deck = self._random.sample(sorted(self._faults), len(self._faults))
        name = self._deck.pop()
        self.struck[name] += 1
        if name != "storm" and self._random.random() < STORM_SHARE:
            self._storm()
        return self._faults[name]()

    # ---- processes

    def _kill(self) -> None:
        self.struck["kill"] += 1
        leader = self._cluster.leader()
        victim = leader if self._random.random() < 0.5 else self._random.choice(self._living())
        self._cluster.kill(victim)
        if self._random.random() < BLANK_RETURN_SHARE:
            self._cluster.start(victim)

    def _pause(self) -> Callable[[], None]:
        return self._pause_one(self._random.choice(self._living()))

    def _pause_leader(self) -> Callable[[], None]:
        return self._pause_one(self._cluster.leader())

    def _pause_one(self, victim: str) -> Callable[[], None]:
        self._cluster.pause(victim)
        return lambda: self._cluster.resume(victim)

    # ---- the network

    def _cut_off(self) -> None:
        """One server and all others no longer hear each other; clients may hear both."""
        self._part([self._random.choice(self._living())], self._cluster.names)

    def _split(self) -> None:
        """Two groups, the leader in the smaller one, and some clients with each: who is left with
        a deposed leader must not be told old news.
        """
        leader = self._cluster.leader()
        others = [name for name in self._cluster.names if name != leader]
        some = self._random.sample(self._clients, len(self._clients) // 2)
        with_leader = self._random.sample(others, len(self._cluster.names) // 2 - 1)
        self._part([leader, *with_leader, *some], [*self._cluster.names, *self._clients])

    def _bridge(self) -> None:
        """Two groups that one server still hears both of; clients hear one group only."""
        names = self._random.sample(self._cluster.names, len(self._cluster.names))
        half = len(names) // 2
        self._cut_both(names[1 : half + 1], names[half + 1 :])
        self._cut_both(self._clients, names[half + 1 :])

    def _deafen_leader(self) -> None:
        """The leader hears no server, and all hear it."""
        leader = self._cluster.leader()
        self._lab.cut(leader, [name for name in self._cluster.names if name != leader])

    def _mute_leader(self) -> None:
        """No server hears the leader, and it hears all."""
        leader = self._cluster.leader()
        for name in self._cluster.names:
            if name != leader:
                self._lab.cut(name, [leader])

    def _lose(self) -> None:
        """Everybody loses some."""
        share = round(self._random.uniform(0.1, 0.4), 2)
        for host in [*self._cluster.names, *self._clients]:
            self._lab.lose(host, share)

    def _storm(self) -> None:
        """Datagrams are delayed, so that they overtake each other, doubled and lost."""
        delay_ms = self._random.choice([5.0, 30.0, 150.0])
        doubling, loss = self._random.uniform(0.05, 0.5), self._random.uniform(0, 0.1)
        self._lab.blow(Weather(loss, doubling, delay_ms))

    def _part(self, group: list[str], hosts: list[str]) -> None:
        self._cut_both(group, [host for host in hosts if host not in group])

    def _cut_both(self, one: list[str], other: list[str]) -> None:
        for receivers, senders in ((one, other), (other, one)):
            for receiver in receivers:
                self._lab.cut(receiver, senders)

    def _living(self) -> list[str]:
        return [name for name in self._cluster.names if name in self._cluster.alive]
