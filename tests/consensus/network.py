"""A network that loses, doubles, delays and reorders, from one seed; it runs a whole cluster."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random

from raftudp.consensus.messages import Mail
from tests.consensus.cluster import Letter, SimulatedCluster


class RandomNetwork:
    """Carries a cluster's letters. `loss` and `doubling` are fractions of the mails; each copy is
    under way for its own random time, so that mails overtake one another.
    """

    def __init__(
        self,
        cluster: SimulatedCluster,
        seed: int,
        loss: float,
        doubling: float = 0.1,
        delay_us_maximum: int = 20_000,
    ) -> None:
        self._cluster = cluster
        self._random = Random(f"network {seed}")
        self._loss, self._doubling = loss, doubling
        self._delay_us_maximum = delay_us_maximum
        self._due: list[tuple[int, int, Mail]] = []
        self._alarms: list[tuple[int, int, Callable[[], None]]] = []
        self._copies = 0
        self.lost = self.doubled = 0

    def heal(self) -> None:
        """From now on nothing is lost any more."""
        self._loss = 0.0

    def call_at(self, when_us: int, action: Callable[[], None]) -> None:
        """Something that a test's clients do at a time."""
        self._copies += 1
        heapq.heappush(self._alarms, (when_us, self._copies, action))

    def run(self, until_us: int, is_done: Callable[[], bool] = lambda: False) -> bool:
        """Jumps from event to event until it is done or the time has come; tells which."""
        cluster = self._cluster
        while not is_done():
            self._collect()
            deadline_us, name = cluster.next_deadline()
            mail_us = self._due[0][0] if self._due else until_us + 1
            alarm_us = self._alarms[0][0] if self._alarms else until_us + 1
            next_us = min(deadline_us, mail_us, alarm_us)
            if next_us > until_us:
                return False
            cluster.now_us = max(cluster.now_us, next_us)
            if next_us == alarm_us:
                heapq.heappop(self._alarms)[2]()
            elif next_us == mail_us:
                _, number, mail = heapq.heappop(self._due)
                cluster.hand_over([Letter(number, mail)])
            else:
                cluster.step(name)
        return True

    def _collect(self) -> None:
        letters, self._cluster.mailbag = self._cluster.mailbag, []
        for letter in letters:
            copies = 1
            if self._random.random() < self._loss:
                copies = 0
                self.lost += 1
            elif self._random.random() < self._doubling:
                copies = 2
                self.doubled += 1
            for _ in range(copies):
                self._copies += 1
                due_us = self._cluster.now_us + self._random.randint(50, self._delay_us_maximum)
                heapq.heappush(self._due, (due_us, self._copies, letter.mail))
