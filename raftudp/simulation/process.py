"""A simulated replica's process: the real `Replica`, and a life that can pause, or end between any
two lines.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import Final, NamedTuple, Protocol

from raftudp.consensus.messages import Mail
from raftudp.consensus.outputs import Outputs
from raftudp.consensus.server import ServerConfiguration
from raftudp.consensus.state import State
from raftudp.consensus.trace import TraceEvent
from raftudp.consensus.vocabulary import ServerId
from raftudp.encoding.records import decode_command
from raftudp.runtime.replica import Identity, Replica, Storage
from raftudp.runtime.requests import AnswerTo, ReceivedRequest, RequestReport
from raftudp.simulation.checks import Checks, WatchedServer
from raftudp.simulation.clock import SimulatedClock
from raftudp.simulation.schedule import Schedule
from raftudp.store.commands import Command, Result
from raftudp.store.state_machine import StateMachine

RECEIVE_BUFFER_PACKETS: Final = 512
"""What a paused process's socket keeps; the rest is lost."""
SLOW_STORAGE_US_MAXIMUM: Final = 30_000


class Crash(Exception):
    """The process ends here."""


class Post(Protocol):
    """The process's way in and out: what its mailroom is on a real machine."""

    def send_mail(self, mails: Sequence[Mail]) -> None:
        """To servers."""

    def send_answers(self, answers: Sequence[AnswerTo]) -> None:
        """To clients."""

    def open(self, packets: Sequence[object]) -> tuple[list[Mail], list[ReceivedRequest]]:
        """What packets hold for this process."""


class Surroundings(NamedTuple):
    """What all processes of a run share."""

    schedule: Schedule
    random: Random
    checks: Checks
    note: Callable[[str, TraceEvent], None]
    """Hears every trace event, with the name of the process."""
    crashed: Callable[[Process], None]
    """Hears of every death."""
    peers: tuple[tuple[str, str], ...]
    body_bytes: int
    is_storage_slow: bool


class WatchedStateMachine(StateMachine):
    """The real state machine, compared with the others' as it goes."""

    def __init__(self, identity: ServerId, checks: Checks) -> None:
        super().__init__(decode_command)
        self._identity = identity
        self._checks = checks

    def apply_command(self, index: int, term: int, data: bytes) -> tuple[Command | None, Result]:
        """Apply, then compare."""
        applied = super().apply_command(index, term, data)
        self._checks.after_apply(self._identity, self)
        return applied


class Process:
    """One process, from its start to its crash; one that comes back is another."""

    def __init__(self, name: str, serial: int, clock: SimulatedClock, around: Surroundings) -> None:
        self.name = name
        self.around = around
        self._clock = clock
        random = Random(around.random.getrandbits(64))
        self.process_id = random.randbytes(16)
        self.identity = ServerId(name, random.randbytes(16))
        self.serial = serial
        """Counts the processes that the run has started."""
        self.is_alive = True
        self.is_paused = False
        self.crash_after: int | None = None
        """Boundaries left before the crash that the nemesis has in store."""
        self._inbox: deque[object] = deque()
        self._timer_us = -1
        self.post: Post
        now_us = clock.read(around.schedule.now_us)
        server = WatchedServer(
            ServerConfiguration(self.identity, around.peers, around.body_bytes), random, now_us
        )
        server.checks = around.checks
        self.state: State = server.state
        around.checks.watch(self.identity, self.state)
        self.state_machine = WatchedStateMachine(self.identity, around.checks)
        storage: Storage = _SlowStorage(self) if around.is_storage_slow else _Storage(self)
        self.replica = Replica(
            server=server,
            state_machine=self.state_machine,
            storage=storage,
            transport=_Transport(self),
            observer=self,
            identity=Identity(self.process_id, "simulated", now_us),
            random_bytes=random.randbytes,
            body_bytes=around.body_bytes,
        )

    # ---- what happens to it

    def receive(self, packet: object) -> None:
        """A packet reaches its socket."""
        if not self.is_alive:
            return
        if self.is_paused:
            if len(self._inbox) < RECEIVE_BUFFER_PACKETS:
                self._inbox.append(packet)
            return
        self._wake((packet,))

    def resume(self) -> None:
        """A pause ends: everything that came meanwhile is one wake-up."""
        if self.is_alive and self.is_paused:
            self.is_paused = False
            packets = tuple(self._inbox)
            self._inbox.clear()
            self._wake(packets)

    def jump_clock(self, ahead_us: int) -> None:
        """Its clock shows more, all at once."""
        self._clock.jump(ahead_us)
        self.act(lambda now_us: self.replica.handle((), (), now_us))

    def act(self, action: Callable[[int], None]) -> None:
        """Let the process do something at its own time; it may die of it."""
        if not self.is_alive or self.is_paused:
            return
        try:
            action(self.now_us())
        except Crash:
            self.crash()
            return
        self._set_timer()

    def crash(self) -> None:
        """The process and its memory are gone."""
        if self.is_alive:
            self.is_alive = False
            self.around.crashed(self)

    def now_us(self) -> int:
        """Its own time."""
        return self._clock.read(self.around.schedule.now_us)

    def _wake(self, packets: Sequence[object]) -> None:
        mails, requests = self.post.open(packets)
        self.act(lambda now_us: self.replica.handle(mails, requests, now_us))

    def _set_timer(self) -> None:
        """Sees that it wakes when something is due; most deadlines only move away, so a timer that
        is set too early stays, and is set again when it rings.
        """
        when_us = self._clock.when(self.replica.next_deadline())
        if 0 <= self._timer_us <= when_us:
            return
        self._timer_us = when_us
        self.around.schedule.at(when_us, self._ring, when_us)

    def _ring(self, when_us: int) -> None:
        """A timer fires, unless another took its place."""
        if when_us != self._timer_us:
            return
        self._timer_us = -1
        if self.is_paused:
            return
        if self.is_alive and self.now_us() < self.replica.next_deadline():
            self._set_timer()
            return
        self.act(lambda now_us: self.replica.handle((), (), now_us))

    # ---- what it does

    def cross(self) -> None:
        """A boundary between two lines of what a step asks for: a place to die."""
        if self.crash_after is not None:
            if self.crash_after == 0:
                raise Crash
            self.crash_after -= 1

    def handle_trace(self, event: TraceEvent, now_us: int) -> None:  # noqa: ARG002  # the protocol's argument
        """The replica tells what its core did."""
        self.around.note(self.name, event)

    def handle_request(self, report: RequestReport, now_us: int) -> None:
        """Failed and slow requests are the clients' to notice here."""


class _Transport:
    """Hands out one message at a time, with a place to die after each."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def send_mail(self, mails: Sequence[Mail]) -> None:
        for mail in mails:
            self._process.cross()
            self._process.around.checks.before_mail(mail)
            self._process.post.send_mail((mail,))
        self._process.cross()

    def send_answers(self, answers: Sequence[AnswerTo]) -> None:
        self._process.cross()
        self._process.post.send_answers(answers)


class _Storage:
    """In memory, and durable at once."""

    durability = "memory"

    def __init__(self, process: Process) -> None:
        self._process = process

    def write(self, outputs: Outputs) -> bool:
        self._process.cross()
        self._process.around.checks.after_write(self._process.identity, outputs)
        return True


class _SlowStorage:
    """Durable some time later, in order."""

    durability = "memory"

    def __init__(self, process: Process) -> None:
        self._process = process
        self._free_us = 0
        self._writing: deque[Outputs] = deque()

    def write(self, outputs: Outputs) -> bool:
        process = self._process
        process.cross()
        around = process.around
        takes_us = around.random.randrange(SLOW_STORAGE_US_MAXIMUM)
        self._free_us = max(self._free_us, around.schedule.now_us) + takes_us
        self._writing.append(outputs)
        around.schedule.at(self._free_us, self._durable)
        return False

    def _durable(self) -> None:
        process = self._process
        if process.is_paused:
            schedule = process.around.schedule
            schedule.at(schedule.now_us + SLOW_STORAGE_US_MAXIMUM, self._durable)
            return
        process.around.checks.after_write(process.identity, self._writing.popleft())
        process.act(lambda now_us: process.replica.handle_durable(1, now_us))
