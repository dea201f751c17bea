"""Real replicas on a network and a clock that the test moves: no sockets, no waiting.

Mail and answers lie in the house until delivered; time jumps from deadline to deadline.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

from raftudp.consensus.messages import Mail
from raftudp.consensus.server import Server, ServerConfiguration
from raftudp.consensus.trace import TraceEvent
from raftudp.consensus.vocabulary import Cluster, Membership, Role, ServerId, Slot
from raftudp.encoding.records import decode_command, encode_command
from raftudp.runtime.replica import Identity, MemoryStorage, Replica
from raftudp.runtime.requests import AnswerTo, Origin, ReceivedRequest, RequestReport
from raftudp.store.commands import Command, OpenSession, Operation
from raftudp.store.state_machine import StateMachine
from raftudp.wire.client_messages import (
    Action,
    Admin,
    Answer,
    ChallengeAnswer,
    ChallengeRequest,
    FoundCluster,
    OpenCluster,
    Request,
    Write,
    Written,
)
from raftudp.wire.codec import decode_message, encode_message

CLUSTER = Cluster(b"the-one-cluster!", 1, b"the-first-epoch!")
BODY_BYTES = 944
ELECTION_US = 2_000_000
"""Long enough for any election here."""


class Watcher:
    """An observer that keeps everything."""

    def __init__(self) -> None:
        self.events: list[TraceEvent] = []
        self.reports: list[RequestReport] = []

    def handle_trace(self, event: TraceEvent, now_us: int) -> None:
        self.events.append(event)

    def handle_request(self, report: RequestReport, now_us: int) -> None:
        self.reports.append(report)


class Room:
    """One replica, and what it sent."""

    def __init__(self, name: str, peers: tuple[tuple[str, str], ...]) -> None:
        self.identity = ServerId(name, name.encode().ljust(16, b"."))
        self.process = name.encode().ljust(16, b"p")
        self.watcher = Watcher()
        self.mails: list[Mail] = []
        self.answers: list[AnswerTo] = []
        numbers = itertools.count(1)
        configuration = ServerConfiguration(self.identity, peers, BODY_BYTES)
        self.replica = Replica(
            server=Server(configuration, random.Random(name), 0),
            state_machine=StateMachine(decode_command),
            storage=MemoryStorage(),
            transport=self,
            observer=self.watcher,
            identity=Identity(self.process, "0.0", 0),
            random_bytes=lambda size: next(numbers).to_bytes(size),
            body_bytes=BODY_BYTES,
        )

    def send_mail(self, mails: Sequence[Mail]) -> None:
        self.mails += mails

    def send_answers(self, answers: Sequence[AnswerTo]) -> None:
        self.answers += answers


class House:
    """A cluster of replicas named ss-0, ss-1, ..."""

    def __init__(self, size: int) -> None:
        self.now_us = 0
        peers = tuple((f"ss-{n}", f"127.0.0.1:{6000 + n}") for n in range(size))
        self.rooms = {name: Room(name, peers) for name, _ in peers}
        self.membership = Membership(
            tuple(Slot(name, where, self.rooms[name].identity.incarnation) for name, where in peers)
        )
        self.cut_off: set[str] = set()
        """Replicas that no mail reaches or leaves."""

    def leader(self) -> Room:
        """The leader of the greatest term that can be reached."""
        leaders = [
            room
            for name, room in self.rooms.items()
            if room.replica.transition.role is Role.LEADER and name not in self.cut_off
        ]
        return max(leaders, key=lambda room: room.replica.transition.term)

    def follower(self) -> Room:
        """Some other one."""
        leader = self.leader()
        return next(room for room in self.rooms.values() if room is not leader)

    def deliver(self) -> None:
        """Deliver mail, in the form that the wire gives it, until there is none."""
        while any(room.mails for room in self.rooms.values()):
            for name, room in self.rooms.items():
                mails, room.mails = room.mails, []
                for mail in mails:
                    receiver = self.rooms.get(mail.receiver.name)
                    if receiver and not {name, mail.receiver.name} & self.cut_off:
                        message = decode_message(encode_message(mail.message))
                        receiver.replica.handle([mail._replace(message=message)], [], self.now_us)

    def run(self, duration_us: int) -> None:
        """Let time pass."""
        end_us = self.now_us + duration_us
        self.deliver()
        while True:
            due_us = min(room.replica.next_deadline() for room in self.rooms.values())
            if due_us > end_us:
                self.now_us = end_us
                return
            self.now_us = max(self.now_us, due_us)
            for room in self.rooms.values():
                if room.replica.next_deadline() <= self.now_us:
                    room.replica.handle([], [], self.now_us)
            self.deliver()

    def found(self) -> House:
        """Found the cluster, elect a leader, let clients in."""
        founder = Visitor(self)
        for room in self.rooms.values():
            founder.command(room, FoundCluster(CLUSTER, self.membership))
        self.run(ELECTION_US)
        founder.command(self.leader(), OpenCluster(CLUSTER))
        self.run(ELECTION_US)
        return self


class Visitor:
    """A client process."""

    _numbers = itertools.count(1)

    def __init__(self, house: House) -> None:
        number = next(self._numbers)
        self.house = house
        self.origin = Origin(("10.0.0.9", 50_000 + number), number.to_bytes(16))
        self.client_id = number.to_bytes(16, "little")
        self.opened_at = 0
        self._requests = itertools.count(1)

    def request(self) -> int:
        return next(self._requests)

    def send(self, room: Room, *requests: Request) -> list[Answer]:
        """Requests in one wake-up; what came back, once all mail that this caused was delivered."""
        received = [ReceivedRequest(self.origin, request) for request in requests]
        room.replica.handle([], received, self.house.now_us)
        self.house.deliver()
        return self.take(room)

    def take(self, room: Room) -> list[Answer]:
        """Answers that came for this client."""
        mine = [one for one in room.answers if one.origin == self.origin]
        room.answers = [one for one in room.answers if one.origin != self.origin]
        return [one.answer for one in mine]

    def command(self, room: Room, action: Action) -> Answer:
        """An administrative request under a fresh challenge."""
        (challenge,) = self.send(room, ChallengeRequest(self.request()))
        assert isinstance(challenge, ChallengeAnswer)
        answers = self.send(room, Admin(self.request(), challenge.challenge, action))
        return answers[0]

    def open_session(self, room: Room) -> None:
        """Start a session."""
        opening = Command(self.client_id, 0, 0, 0, OpenSession())
        write = Write(room.process, self.request(), (encode_command(opening),))
        (written,) = self.send(room, write)
        assert isinstance(written, Written)
        self.opened_at = written.results[0].revision

    def encoded(self, sequence: int, operation: Operation) -> bytes:
        """A command under this client's session."""
        command = Command(self.client_id, self.opened_at, sequence, 1, operation)
        return encode_command(command)

    def write(
        self, room: Room, operations: dict[int, Operation], process: bytes | None = None
    ) -> Write:
        """A Write of these operations by sequence."""
        commands = tuple(self.encoded(*one) for one in operations.items())
        return Write(process or room.process, self.request(), commands)
