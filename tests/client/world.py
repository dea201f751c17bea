"""A session among scripted replicas: a real state machine behind them, a network that loses, and
time that jumps from one event to the next.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random

from raftudp.client.requests import Operation
from raftudp.client.results import Value
from raftudp.client.roster import Source
from raftudp.client.session import Session
from raftudp.consensus.vocabulary import Cluster, Membership, ServerId
from raftudp.encoding.records import decode_command
from raftudp.errors import ClientError
from raftudp.limits import BODY_BYTES_MINIMUM, PART_BYTES_OVERHEAD, PARTS_PER_WINDOW
from raftudp.store.commands import Command
from raftudp.store.state_machine import StateMachine
from raftudp.wire.client_messages import (
    Admin,
    AdminAnswer,
    Answer,
    ChallengeAnswer,
    ChallengeRequest,
    GetResult,
    Hello,
    HelloAnswer,
    LeaderHint,
    List,
    ListAnswer,
    Part,
    PartsReceived,
    Read,
    ReadAnswer,
    RefusalReason,
    Request,
    RequestRefused,
    Status,
    StatusAnswer,
    Write,
    WriteRefused,
    WriteResult,
    Written,
)
from raftudp.wire.codec import decode_request, encode_answer
from raftudp.wire.parts import IncomingParts, OutgoingParts

MS = 1_000
SECOND = 1_000_000
CLUSTER = Cluster(b"c" * 16, 1, b"e" * 16)
NOBODY = LeaderHint("", "")

Script = Callable[[Request], list[Answer] | None]
"""What a replica answers instead of its own; None for its own."""


@dataclass
class State:
    """What the replicas agree on."""

    machine: StateMachine = field(default_factory=lambda: StateMachine(decode_command))
    applied: list[Command] = field(default_factory=list)
    """Every command in the log, repetitions included."""
    leader: str | None = "ss-0"

    def commit(self, data: bytes) -> WriteResult:
        """Append, commit and apply a command."""
        index = self.machine.last_applied + 1
        command, result = self.machine.apply_command(index, 1, data)
        assert command is not None
        self.applied.append(command)
        return WriteResult(command.sequence, *result)


class Replica:
    """One scripted replica; it answers as the real ones do, unless its script says otherwise."""

    def __init__(self, name: str, address: str, state: State, replicas: dict[str, Replica]) -> None:
        self.name = name
        self.address = address
        self.state = state
        self.replicas = replicas
        self.is_up = True
        self.is_open = True
        self.cluster: Cluster | None = CLUSTER
        self.script: Script = lambda _: None
        self.body_bytes = BODY_BYTES_MINIMUM
        self.received: list[Request] = []
        """All requests, large ones joined."""
        self.actions: list[Admin] = []
        self._restarts = count()
        self.restart()

    def restart(self) -> None:
        """Become another process, with no memory of transfers and datagrams."""
        self.process = f"{self.name} {next(self._restarts)}".encode().ljust(16, b".")
        self.seen: set[int] = set()
        self._incoming: dict[int, IncomingParts] = {}
        self._outgoing: dict[int, OutgoingParts] = {}
        self._transfers = count(1)

    @property
    def identity(self) -> ServerId:
        return ServerId(self.name, self.name.encode().ljust(16, b"."))

    def source(self) -> Source:
        return Source(self.address, self.identity, self.process, self.cluster)

    @property
    def leads(self) -> bool:
        return self.state.leader == self.name

    @property
    def hint(self) -> LeaderHint:
        leader = self.state.leader
        return NOBODY if leader is None else LeaderHint(leader, self.replicas[leader].address)

    def take(self, body: bytes) -> list[bytes]:
        """Answer a request's body with answers' bodies."""
        return [encode_answer(answer) for answer in self._take(decode_request(body))]

    def _take(self, request: Request) -> list[Answer]:
        match request:
            case Part():
                incoming = self._incoming.setdefault(request.transfer, IncomingParts(request))
                was_complete = incoming.complete
                incoming.add(request)
                answers: list[Answer] = [incoming.received()]
                if incoming.complete and not was_complete:
                    answers += self._take(decode_request(incoming.body()))
                return answers
            case PartsReceived(transfer, below, missing):
                outgoing = self._outgoing.get(transfer)
                if outgoing is None:
                    return []
                return list(outgoing.parts(below, missing, PARTS_PER_WINDOW))
        self.received.append(request)
        scripted = self.script(request)
        answers = self._answer(request) if scripted is None else scripted
        return [piece for answer in answers for piece in self._cut(answer)]

    def _cut(self, answer: Answer) -> list[Answer]:
        body = encode_answer(answer)
        if len(body) <= self.body_bytes:
            return [answer]
        transfer = next(self._transfers)
        outgoing = OutgoingParts(transfer, body, self.body_bytes - PART_BYTES_OVERHEAD)
        self._outgoing[transfer] = outgoing
        return list(outgoing.parts(0, (), PARTS_PER_WINDOW))

    def _answer(self, request: Request) -> list[Answer]:
        match request:
            case Hello(number):
                return [HelloAnswer(number, self.process, self.hint, self.is_open)]
            case Write():
                return [self._write(request)]
            case Read(stale, gets):
                if not stale and not self.leads:
                    numbers = tuple(get.request for get in gets)
                    return [RequestRefused(numbers, RefusalReason.NOT_LEADER, self.hint)]
                return [ReadAnswer(self.applied, (self._get(*get),)) for get in gets]
            case List(number, stale, prefix, after, limit):
                if not stale and not self.leads:
                    return [RequestRefused((number,), RefusalReason.NOT_LEADER, self.hint)]
                items, more = self.state.machine.list(prefix, after, limit)
                return [ListAnswer(number, self.applied, items, more)]
            case _:
                return [self._answer_administrator(request)]

    def _answer_administrator(self, request: Request) -> Answer:
        match request:
            case Status(number):
                return self.status(number)
            case ChallengeRequest(number):
                return ChallengeAnswer(number, self.process)
            case Admin(number):
                self.actions.append(request)
                return AdminAnswer(number)
            case _:
                raise AssertionError(request)

    @property
    def applied(self) -> int:
        return self.state.machine.last_applied

    def _write(self, write: Write) -> Answer:
        commands = [decode_command(data) for data in write.commands]
        client_id = commands[0].client_id
        reason = None
        if write.process != self.process:
            reason = RefusalReason.OTHER_PROCESS
        elif not self.leads:
            reason = RefusalReason.NOT_LEADER
        if reason is not None:
            sequences = tuple(command.sequence for command in commands)
            return WriteRefused(client_id, write.attempt, reason, self.hint, sequences)
        return Written(client_id, tuple(self.state.commit(data) for data in write.commands))

    def _get(self, number: int, key: bytes) -> GetResult:
        item = self.state.machine.get(key)
        return GetResult(number, None, 0) if item is None else GetResult(number, *item[1:])

    def status(self, number: int) -> StatusAnswer:
        return StatusAnswer(
            number, self.name, self.identity.incarnation, "follower", "ready", "memory", 1,
            self.hint, self.applied, self.applied, self.applied, self.cluster, 1, "1",
            Membership(()), (),
        )  # fmt: skip


class World:
    """A session, replicas and the network between them."""

    def __init__(
        self,
        count_of_replicas: int = 3,
        *,
        configured: tuple[str, ...] | None = None,
        seed: int = 1,
        loss: float = 0.0,
        doubling: float = 0.0,
        delay_us: tuple[int, int] = (200, 400),
    ) -> None:
        self.state = State()
        self.replicas: dict[str, Replica] = {}
        for number in range(count_of_replicas):
            name = f"ss-{number}"
            self.replicas[name] = Replica(name, f"host-{number}:6000", self.state, self.replicas)
        self.by_address = {replica.address: replica for replica in self.replicas.values()}
        self.now_us = 5 * SECOND
        self.loss = loss
        self.doubling = doubling
        self.delay_us = delay_us
        self.random = Random(seed)
        self.completed: dict[int, Value | ClientError] = {}
        self.datagrams = 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self.session = Session(
            configured or tuple(self.by_address),
            client_id=b"client-id-000000",
            random=Random(seed),
            body_bytes=lambda _: BODY_BYTES_MINIMUM,
        )

    def __getitem__(self, name: str) -> Replica:
        return self.replicas[name]

    def submit(self, operation: Operation, timeout_us: int = 10 * SECOND) -> int:
        return self.session.submit(operation, self.now_us, self.now_us + timeout_us)

    def ask(self, operation: Operation, timeout_us: int = 10 * SECOND) -> Value | ClientError:
        """Submit an operation and run until it has ended."""
        handle = self.submit(operation, timeout_us)
        self.run(lambda: handle in self.completed)
        return self.completed[handle]

    def run_for(self, duration_us: int) -> None:
        """Let time pass."""
        end_us = self.now_us + duration_us
        self._at(end_us, lambda: None)
        self.run(lambda: self.now_us >= end_us)

    def run(self, is_done: Callable[[], bool]) -> None:
        """Jump from event to event until `is_done`."""
        for _ in range(200_000):
            self._settle()
            if is_done():
                return
            times = [self._events[0][0]] if self._events else []
            deadline_us = self.session.next_deadline()
            if deadline_us is not None:
                times.append(deadline_us)
            assert times, "nothing is under way, and it is not done"
            self.now_us = max(self.now_us, min(times))
            while self._events and self._events[0][0] <= self.now_us:
                heapq.heappop(self._events)[2]()
        raise AssertionError("it doesn't end")

    def _settle(self) -> None:
        self.session.handle_timer(self.now_us)
        for server, body in self.session.take_outgoing(self.now_us):
            assert len(body) <= BODY_BYTES_MINIMUM
            self._send(server, body)
        for handle, value in self.session.take_completions():
            assert handle not in self.completed
            self.completed[handle] = value

    def _at(self, when_us: int, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when_us, next(self._order), action))

    def _travel(self, action: Callable[[], None]) -> None:
        """Lose it, or let it arrive after a while, perhaps twice."""
        times = 2 if self.random.random() < self.doubling else 1
        for _ in range(times):
            if self.random.random() >= self.loss:
                self._at(self.now_us + self.random.randint(*self.delay_us), action)

    def _send(self, server: str, body: bytes) -> None:
        self.datagrams += 1
        number = self.datagrams
        self._travel(lambda: self._arrive(server, number, body))

    def _arrive(self, server: str, number: int, body: bytes) -> None:
        replica = self.by_address.get(server)
        if replica is None or not replica.is_up or number in replica.seen:
            return
        replica.seen.add(number)
        source = replica.source()
        for answer in replica.take(body):
            self._travel_back(source, answer)

    def _travel_back(self, source: Source, answer: bytes) -> None:
        arrived: list[bool] = []

        def arrive() -> None:
            if not arrived:  # the client's replay window
                arrived.append(True)
                self.session.receive(source, answer, self.now_us)

        self._travel(arrive)
