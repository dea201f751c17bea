"""One run: a cluster, its clients and its bad luck, in one process, from one seed.

First everything may go wrong and nothing unsafe may happen (the safety phase); then all faults end,
and what must happen has to (the healed phase): a leader, an outcome for every request,
a last write of every client that is done, and equal replicas.
"""

from __future__ import annotations

import zlib
from collections import deque
from hashlib import sha256
from random import Random
from typing import Final, NamedTuple

from raftudp.consensus.trace import TraceEvent
from raftudp.consensus.vocabulary import Cluster, EntryKind, Membership, Slot
from raftudp.runtime.requests import Origin, ReceivedRequest
from raftudp.simulation.checks import Checks
from raftudp.simulation.clients import Client, Done
from raftudp.simulation.clock import MILLION, SimulatedClock
from raftudp.simulation.linearizability import Answer, check
from raftudp.simulation.nemesis import Nemesis
from raftudp.simulation.network import Network
from raftudp.simulation.post import PlainPost, SealedPost
from raftudp.simulation.process import Process, Surroundings
from raftudp.simulation.recording import recorded
from raftudp.simulation.schedule import Schedule
from raftudp.simulation.settings import Settings, draw_weather
from raftudp.simulation.story import Event
from raftudp.simulation.violations import Stuck, Violation
from raftudp.simulation.witness import check_history
from raftudp.wire.client_messages import (
    Admin,
    ChallengeAnswer,
    ChallengeRequest,
    FoundCluster,
    OpenCluster,
)
from raftudp.wire.envelope import KeyRing

CLIENTS: Final = 4
FOUNDING_US: Final = 10_000_000
"""The longest that founding may take, before any fault."""
HEALED_US: Final = 15_000_000
"""The longest that a healed cluster may take to serve again and end every request."""
SLICE_US: Final = 100_000
RETURN_US_MAXIMUM: Final = 2_000_000
BODY_BYTES: Final = 944
LAST_EVENTS: Final = 60


class Outcome(NamedTuple):
    """What happened in a run."""

    seed: int
    digest: str
    leaders: int
    commits: int
    crashes: int
    returns: int
    messages: int
    messages_lost: int
    operations: int
    unknown: int
    simulated_us: int
    searched: int
    """1 where the history went through the full linearizability search."""
    undecided: int
    """1 where that ended at its bound."""


class World:
    """One run of one seed."""

    def __init__(self, settings: Settings, seed: int, *, keep_story: bool = False) -> None:
        self.settings, self.seed = settings, seed
        random = Random(seed * 1_000 + settings.servers)
        self._random = random
        self.weather = draw_weather(settings, seed, random)
        self.schedule = Schedule()
        self.checks = Checks()
        self.network = Network(
            self.schedule, Random(random.getrandbits(64)), self.weather, self._deliver
        )
        self.story: deque[Event] = deque(maxlen=None if keep_story else LAST_EVENTS)
        self._fingerprint = 0
        self._names = tuple(f"ss-{i}" for i in range(settings.servers))
        self._keys = (
            KeyRing.parse(random.randbytes(32).hex()) if self.weather.wants_sealing else None
        )
        self._around = Surroundings(
            schedule=self.schedule,
            random=Random(random.getrandbits(64)),
            checks=self.checks,
            note=self._note,
            crashed=self._crashed,
            peers=tuple((name, f"{name}:6000") for name in self._names),
            body_bytes=BODY_BYTES,
            is_storage_slow="slow-storage" in self.weather.faults,
        )
        self._started = 0
        self._places: dict[str, Process] = {}
        self._twins: dict[str, Process] = {}
        self._clients: dict[str, Client] = {}
        self.crashes = self.returns = 0

    # ---- the run

    def run(self) -> Outcome:
        """Raises Violation or Stuck, or an exception of the program."""
        for name in self._names:
            self._start(name)
        self._found()
        nemesis_random = Random(self._random.getrandbits(64))
        self._start_clients()
        nemesis = Nemesis(self.schedule, nemesis_random, self.weather, self.network, self)
        self.schedule.run_until(self.schedule.now_us + self.settings.seconds * MILLION)
        nemesis.stop()
        self._heal()
        return self._judge()

    def _found(self) -> None:
        """Founding has scenarios of its own; here it happens before the first fault."""
        self.network.is_faulty = False
        identities = [process.identity for process in self._places.values()]
        slots = tuple(Slot(i.name, f"{i.name}:6000", i.incarnation) for i in identities)
        cluster = Cluster(self._random.randbytes(16), 1, self._random.randbytes(16))
        told = self._random.randint(1, len(identities))
        for process in list(self._places.values())[:told]:
            self._administer(process, FoundCluster(cluster, Membership(slots)))
        deadline_us = self.schedule.now_us + FOUNDING_US
        while not all(p.replica.transition.is_open for p in self._places.values()):
            self.schedule.run_until(self.schedule.now_us + SLICE_US)
            for process in self._places.values():
                if process.replica.transition.leader == process.identity:
                    self._administer(process, OpenCluster(cluster))
            if self.schedule.now_us > deadline_us:
                raise Stuck("the founded cluster did not open")
        self.network.is_faulty = True

    def _administer(self, process: Process, action: FoundCluster | OpenCluster) -> None:
        """As an administrator would, under a challenge; the answers reach nobody."""
        origin = Origin(("nobody", 0), bytes(16))

        def ask(now_us: int) -> None:
            service = process.replica.service
            service.receive([ReceivedRequest(origin, ChallengeRequest(1))], now_us)
            for _, answer in service.take_answers():
                if isinstance(answer, ChallengeAnswer):
                    admin = Admin(2, answer.challenge, action)
                    process.replica.handle((), [ReceivedRequest(origin, admin)], now_us)

        process.act(ask)

    def _start_clients(self) -> None:
        settings = self.settings
        for i in range(CLIENTS):
            name = f"client-{i}"
            self._clients[name] = Client(
                name,
                servers=self._names,
                schedule=self.schedule,
                random=Random(self._random.getrandbits(64)),
                send=self.network.send,
                committed=lambda: len(self.checks.committed),
                interval_us=CLIENTS * MILLION // max(1, settings.rate),
                body_bytes=BODY_BYTES,
                keys=self._keys,
            )

    def _heal(self) -> None:
        self.network.heal()
        for twin in self._twins.values():  # they would go on taking half of their names' mail
            twin.crash()
        for process in self._places.values():
            process.crash_after = None
            process.resume()
        for client in self._clients.values():
            client.finish()
        deadline_us = self.schedule.now_us + HEALED_US
        while self.schedule.now_us < deadline_us:
            self.schedule.run_until(self.schedule.now_us + SLICE_US)
            if self._is_settled():
                return
        waiting = sum(client.waiting for client in self._clients.values())
        applied = {p.name: p.replica.last_applied for p in self._places.values()}
        raise Stuck(
            f"after {HEALED_US // MILLION} s without faults {waiting} requests wait; "
            f"applied: {applied}"
        )

    def _is_settled(self) -> bool:
        members = self._members()
        leads = any(p.replica.transition.leader == p.identity for p in members)
        level = {p.replica.last_applied for p in members} == {len(self.checks.committed)}
        return leads and level and all(c.has_finished for c in self._clients.values())

    def _members(self) -> list[Process]:
        return [p for p in self._places.values() if p.is_alive and p.state.cluster is not None]

    # ---- judgement

    def done(self) -> list[Done]:
        """Every operation that ended."""
        return [done for client in self._clients.values() for done in client.done]

    def _judge(self) -> Outcome:
        for process in self._members():
            self.checks.compare_digest(process.identity, process.state_machine)
        done = self.done()
        model = check_history(self.checks.committed, done)
        contents = model.contents()
        for process in self._members():
            for key in sorted(model.changes):
                item = process.state_machine.get(key)
                held = None if item is None else (item.revision, item.value)
                if held != contents.get(key):
                    raise Violation("store", f"{process.name} holds {held} under {key!r}")
        return self._outcome(done, self._search(done))

    def _search(self, done: list[Done]) -> Answer | None:
        """The full linearizability search, on the seeds that drew it."""
        if not self.weather.wants_search:
            return None
        verdict = check(recorded(done))
        if verdict.answer is Answer.VIOLATED:
            raise Violation("linearizability", "\n".join(verdict.explanations))
        return verdict.answer

    def _outcome(self, done: list[Done], searched: Answer | None) -> Outcome:
        digest = sha256(repr((self._fingerprint, self.checks.committed, done)).encode())
        commands = (EntryKind.COMMAND, EntryKind.COMMAND_PART)
        return Outcome(
            seed=self.seed,
            digest=digest.hexdigest(),
            leaders=self.checks.leaders,
            commits=sum(entry.kind in commands for entry in self.checks.committed),
            crashes=self.crashes,
            returns=self.returns,
            messages=self.network.sent,
            messages_lost=self.network.lost,
            operations=len(done),
            unknown=sum(one.outcome == "unknown" for one in done),
            simulated_us=self.schedule.now_us,
            searched=int(searched is not None),
            undecided=int(searched is Answer.UNDECIDED),
        )

    # ---- processes

    def processes(self) -> list[Process]:
        """The living ones that fill a place."""
        return [p for p in self._places.values() if p.is_alive]

    def start_twin(self, name: str) -> None:
        """A second, blank pod of that name, until the next one."""
        self._twins[name] = self._new_process(name)
        self._twins[name].jump_clock(0)

    def _start(self, name: str) -> None:
        self._places[name] = self._new_process(name)
        self._places[name].jump_clock(0)

    def _new_process(self, name: str) -> Process:
        self._started += 1
        random = self._random
        drifts = "clocks" in self.weather.faults
        rate_ppm = random.randint(900_000, 1_100_000) if drifts else MILLION
        clock = SimulatedClock(self.schedule.now_us, random.randrange(10**9), rate_ppm)
        process = Process(name, self._started, clock, self._around)
        if self._keys is None:
            process.post = PlainPost(process, self.network.send)
        else:
            process.post = SealedPost(process, self.network.send, self._keys)
        return process

    def _crashed(self, process: Process) -> None:
        self.network.release(process.name)
        self.story.append(Event(self.schedule.now_us, process.name, "crashes, its memory gone"))
        if self._places.get(process.name) is process:
            self.crashes += 1
            wait_us = self._random.randrange(RETURN_US_MAXIMUM)
            self.schedule.at(self.schedule.now_us + wait_us, self._come_back, process)

    def _come_back(self, process: Process) -> None:
        """Kubernetes starts the pod again: the same name, and nothing else."""
        self._start(process.name)

    # ---- mail and the story

    def _deliver(self, destination: str, packet: object) -> None:
        self._stamp(len(destination) + ord(destination[-1]))
        client = self._clients.get(destination)
        if client is not None:
            client.receive(packet)
            return
        process = self._places.get(destination)
        if process is None:
            return
        twin = self._twins.get(destination)
        if twin is not None and twin.is_alive and self._random.random() < 0.5:
            process = twin
        self.story.append(Event(self.schedule.now_us, destination, packet))
        process.receive(packet)

    def _stamp(self, what: int) -> None:
        """Mixes what happened, and when, into the run's fingerprint."""
        self._fingerprint = (
            self._fingerprint * 1_000_003 ^ self.schedule.now_us << 8 ^ what
        ) % 2**61

    def _note(self, who: str, event: TraceEvent) -> None:
        self._stamp(zlib.crc32(f"{who} {event.action} {event.term} {event.index}".encode()))
        self.story.append(Event(self.schedule.now_us, who, event))
