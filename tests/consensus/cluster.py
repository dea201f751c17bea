"""A small deterministic cluster in memory, around real `Server`s.

Nothing happens by itself. A test delivers, drops, doubles, holds and reorders mails by choice,
moves time, and decides when writes are done; after each step the whole cluster is judged
(`safety`). Time is simulated microseconds; each machine has a clock of its own, which a test may
let run ahead, so that one server times out and the others don't.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from types import UnionType
from typing import NamedTuple

from raftudp.consensus.inputs import (
    CommandProposed,
    EntriesPersisted,
    FoundRequested,
    Input,
    MailReceived,
    OpenRequested,
    ReadRequested,
)
from raftudp.consensus.messages import (
    AppendEntries,
    Mail,
    RequestPreVote,
    RequestPreVoteResponse,
    RequestVote,
    RequestVoteResponse,
)
from raftudp.consensus.outputs import Outputs, Proposal, ReadGrant, ServerStatus
from raftudp.consensus.server import Server, ServerConfiguration
from raftudp.consensus.trace import TraceEvent
from raftudp.consensus.vocabulary import Cluster, HardState, Membership, Role, ServerId, Slot
from tests.consensus.safety import Memory, Safety, written

CLUSTER = Cluster(b"the-one-cluster!", 1, b"the-first-epoch!")
BODY_BYTES = 944
Election = RequestPreVote | RequestPreVoteResponse | RequestVote | RequestVoteResponse


class Letter(NamedTuple):
    """A mail under way; the number tells it from its doubles and counts in order of sending."""

    number: int
    mail: Mail


@dataclass
class Machine:
    """One incarnation, with its storage and clock."""

    server: Server
    memory: Memory
    clock_ahead_us: int = 0
    persists_at_once: bool = True
    unwritten: list[tuple[Outputs, list[Mail]]] = field(default_factory=list)
    """Each with the messages that wait for the write."""
    hard_state: HardState | None = None
    """As written."""
    proposals: dict[Hashable, Proposal] = field(default_factory=dict)
    reads: dict[Hashable, ReadGrant] = field(default_factory=dict)
    trace: list[TraceEvent] = field(default_factory=list)
    misaddressed: int = 0

    @property
    def identity(self) -> ServerId:
        """Who it is."""
        return self.memory.identity


class SimulatedCluster:
    """Servers by name, the mails between them, and time."""

    def __init__(self, names: Sequence[str] = ("a", "b", "c"), seed: int = 0, **settings: int):
        self.names = tuple(names)
        self.now_us = 0
        self.machines: dict[str, Machine] = {}
        """The running ones, by name."""
        self.mailbag: list[Letter] = []
        self.lost = 0
        self.cut_links: set[tuple[str, str]] = set()
        """Sender and receiver between which every mail is lost."""
        self.history: list[tuple[str, Outputs]] = []
        """Each step's outputs with the name of the server that took it."""
        self._seed = seed
        self._settings = {"body_bytes": BODY_BYTES, **settings}
        self._incarnations: dict[str, int] = {}
        self._letters = 0
        self.safety = Safety(self._settings["body_bytes"])
        for name in self.names:
            self.start(name)

    # ---- life and death

    def start(self, name: str) -> Machine:
        """A blank replica starts under this name: a new incarnation."""
        life = self._incarnations[name] = self._incarnations.get(name, 0) + 1
        identity = ServerId(name, f"{name}{life}".encode().ljust(16, b"."))
        peers = tuple((peer, f"{peer}:6000") for peer in self.names)
        configuration = ServerConfiguration(identity, peers, **self._settings)
        random = Random(f"{self._seed} {name} {life}")
        server = Server(configuration, random, self.now_us)
        machine = Machine(server, self.safety.memories.setdefault(identity, Memory(identity)))
        self.machines[name] = machine
        return machine

    def crash(self, name: str) -> None:
        """It is gone with its memory; what it has sent is still under way."""
        del self.machines[name]

    def membership(self, names: Sequence[str] | None = None) -> Membership:
        """One slot for each name, filled by the incarnation that runs now."""
        chosen = [self.machines[name].identity for name in names or self.names]
        return Membership(tuple(Slot(i.name, f"{i.name}:6000", i.incarnation) for i in chosen))

    def found(self, told: Sequence[str] | None = None) -> None:
        """The founder tells these servers (all, if not said) the founding membership."""
        membership = self.membership()
        for name in told or self.names:
            self.step(name, FoundRequested("found", CLUSTER, membership))

    # ---- steps

    def clock_us(self, name: str) -> int:
        """What this server's own clock shows."""
        return self.now_us + self.machines[name].clock_ahead_us

    def step(self, name: str, *inputs: Input) -> Outputs:
        """One step of one server, judged, and its outputs obeyed."""
        machine = self.machines[name]
        for happened in inputs:
            if isinstance(happened, ReadRequested):
                self.safety.read_requested(happened.token)
        outputs = machine.server.step(inputs, self.clock_us(name))
        self.history.append((name, outputs))
        self.safety.observe(machine.memory, outputs, self.status(name))
        machine.memory.log = written(machine.memory.log, outputs)
        machine.memory.committed.extend(outputs.committed)
        machine.proposals.update((proposal.token, proposal) for proposal in outputs.proposals)
        machine.reads.update((grant.token, grant) for grant in outputs.reads)
        machine.trace.extend(outputs.trace)
        machine.misaddressed += outputs.misaddressed
        early: list[Mail] = []
        if not machine.persists_at_once and self.role(name) is Role.LEADER:
            early = [m for m in outputs.messages if isinstance(m.message, AppendEntries)]
            self._post(early)
        machine.unwritten.append((outputs, [m for m in outputs.messages if m not in early]))
        if machine.persists_at_once:
            self.persist(name)
        return outputs

    def persist(self, name: str) -> None:
        """What the server has asked to be written is written; then its messages leave."""
        machine = self.machines[name]
        waiting, machine.unwritten = machine.unwritten, []
        memory = machine.memory
        has_entries = False
        for outputs, messages in waiting:
            machine.hard_state = outputs.hard_state or machine.hard_state
            memory.durable_log = written(memory.durable_log, outputs)
            has_entries = has_entries or bool(outputs.entries)
            self._post(messages)
        if has_entries:
            log = memory.durable_log
            self.step(name, EntriesPersisted(len(log), log[-1].term))

    def _post(self, mails: Sequence[Mail]) -> None:
        for mail in mails:
            self._letters += 1
            self.mailbag.append(Letter(self._letters, mail))

    # ---- mail

    def letters(
        self, sender: str = "", receiver: str = "", kind: type[object] | UnionType = object
    ) -> list[Letter]:
        """The letters in the bag from, to and of this; what is not said matches any."""
        return [
            letter
            for letter in self.mailbag
            if sender in ("", letter.mail.sender.name)
            and receiver in ("", letter.mail.receiver.name)
            and isinstance(letter.mail.message, kind)
        ]

    def take(
        self, sender: str = "", receiver: str = "", kind: type[object] | UnionType = object
    ) -> list[Letter]:
        """Takes such letters out of the bag, for the test to hold, hand over or lose."""
        taken = self.letters(sender, receiver, kind)
        self.mailbag = [letter for letter in self.mailbag if letter not in taken]
        return taken

    def deliver(
        self,
        sender: str = "",
        receiver: str = "",
        kind: type[object] | UnionType = object,
        keep: bool = False,
    ) -> int:
        """Hands over such letters as are in the bag now; with `keep`, doubles of them stay."""
        chosen = self.letters(sender, receiver, kind)
        if not keep:
            self.mailbag = [letter for letter in self.mailbag if letter not in chosen]
        self.hand_over(chosen)
        return len(chosen)

    def hand_over(self, letters: Sequence[Letter]) -> None:
        """Each arrives in a step of its own, unless its way is cut or nobody is there."""
        for letter in letters:
            sender, receiver = letter.mail.sender.name, letter.mail.receiver.name
            if (sender, receiver) in self.cut_links or receiver not in self.machines:
                self.lost += 1
                continue
            self.step(receiver, MailReceived(letter.mail))

    def settle(self) -> None:
        """Delivers all that is in the bag, and all that comes of it."""
        for _ in range(10_000):
            if not self.mailbag:
                return
            self.deliver()
        raise AssertionError("the servers never stop talking")

    def cut_off(self, *names: str) -> None:
        """Nothing passes between these and the others."""
        for name in names:
            for other in self.names:
                if other not in names:
                    self.cut_links |= {(name, other), (other, name)}

    def heal(self) -> None:
        """All links work again."""
        self.cut_links.clear()

    # ---- time

    def next_deadline(self) -> tuple[int, str]:
        """The earliest deadline of all, in the time of the cluster, and whose it is."""
        return min(
            (machine.server.next_deadline() - machine.clock_ahead_us, name)
            for name, machine in self.machines.items()
        )

    def advance(self, duration_ms: int) -> None:
        """Lets time pass, from deadline to deadline; mails arrive at once."""
        end_us = self.now_us + duration_ms * 1_000
        while True:
            deadline_us, name = self.next_deadline()
            if deadline_us > end_us:
                break
            self.now_us = max(self.now_us, deadline_us)
            self.step(name)
            self.settle()
        self.now_us = end_us

    def time_out(self, name: str) -> Outputs:
        """This server's clock alone jumps to its next deadline."""
        machine = self.machines[name]
        ahead_us = machine.server.next_deadline() - self.clock_us(name)
        machine.clock_ahead_us += max(0, ahead_us)
        return self.step(name)

    def lose_patience(self, *names: str) -> None:
        """These followers' clocks jump to just before they would campaign: the leader that they
        heard last protects nobody from their votes any more.
        """
        for name in names:
            if self.role(name) is Role.FOLLOWER:
                machine = self.machines[name]
                ahead_us = machine.server.next_deadline() - self.clock_us(name) - 1
                machine.clock_ahead_us += max(0, ahead_us)

    # ---- common wishes

    def win(self, name: str) -> None:
        """This server campaigns until those whom it reaches elect it, in a new term; only their
        votes and the questions for them are delivered.
        """
        term = self.status(name).term
        for _ in range(100):
            self.lose_patience(*(other for other in self.machines if other != name))
            self.time_out(name)
            while self.deliver(kind=Election):
                pass
            if self.role(name) is Role.LEADER and self.status(name).term > term:
                return
        raise AssertionError(f"{name} never wins")

    def elect(self, name: str) -> None:
        """This server wins, and all hear of it whom it reaches."""
        self.win(name)
        self.settle()

    def open(self) -> None:
        """The leader lets clients in."""
        self.step(self.leader(), OpenRequested("open"))
        self.settle()
        self.beat()

    def beat(self) -> None:
        """The leader's next heartbeat, and its answers."""
        self.time_out(self.leader())
        self.settle()

    def propose(self, name: str, *commands: bytes | str) -> Outputs:
        """Proposes commands to one server; each is its own token."""
        encoded = [c.encode() if isinstance(c, str) else c for c in commands]
        return self.step(name, *(CommandProposed(command, command) for command in encoded))

    # ---- what is seen

    def status(self, name: str) -> ServerStatus:
        """The server's own picture of itself."""
        return self.machines[name].server.status(self.clock_us(name))

    def role(self, name: str) -> Role:
        """What the server is doing."""
        return self.status(name).role

    def leader(self) -> str:
        """The leader of the highest term that there is."""
        leading = [n for n in self.machines if self.role(n) is Role.LEADER]
        return max(leading, key=lambda name: self.status(name).term)

    def drop_early(self, name: str) -> None:
        """Empties the follower's store of messages that came too early, as if it had no room."""
        self.machines[name].server._state.early.clear()

    def terms(self, name: str) -> list[int]:
        """The terms of the server's log, as in the figures of the paper."""
        return [entry.term for entry in self.machines[name].memory.log]

    def commands(self, name: str) -> list[object]:
        """What the server has committed of clients' commands, in order."""
        committed = self.machines[name].memory.committed
        return [entry.data for entry in committed if isinstance(entry.data, bytes) and entry.data]

    def memories(self) -> Iterator[Memory]:
        """Of the running servers, in order of their names."""
        return (self.machines[name].memory for name in sorted(self.machines))


def opened(
    names: Sequence[str] = ("a", "b", "c"), seed: int = 0, **settings: int
) -> SimulatedCluster:
    """A cluster that is founded, led by its first server, and open to clients."""
    cluster = SimulatedCluster(names, seed, **settings)
    cluster.found()
    cluster.settle()
    cluster.elect(names[0])
    cluster.open()
    return cluster
