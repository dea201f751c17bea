"""A stage for scripted schedules: real servers and stores, judged like any run, where nothing
happens that the script does not say.

Mail lies in a bag until it is delivered, lost or left there, whoever has died meanwhile. Each
server has a clock that only the script moves. Writes are durable at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

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
    AppendEntriesResponse,
    Mail,
    Message,
    RequestPreVote,
    RequestPreVoteResponse,
    RequestVote,
    RequestVoteResponse,
)
from raftudp.consensus.outputs import Outputs, Refusal
from raftudp.consensus.server import ServerConfiguration
from raftudp.consensus.vocabulary import Cluster, EntryKind, Index, Membership, Role, ServerId, Slot
from raftudp.simulation.checks import Checks, WatchedServer
from raftudp.simulation.process import WatchedStateMachine
from raftudp.simulation.violations import Violation
from raftudp.simulation.witness import Model

BODY_BYTES: Final = 944
LEADER_FORGOTTEN_US: Final = 300_000
"""After so long without its leader a server answers those who would campaign."""
PRE_VOTES: Final = (RequestPreVote, RequestPreVoteResponse)
VOTES: Final = (RequestVote, RequestVoteResponse)
APPENDS: Final = (AppendEntries, AppendEntriesResponse)

Kinds = tuple[type[Message], ...]


class Actor:
    """One incarnation on the stage."""

    def __init__(self, identity: ServerId, server: WatchedServer, store: WatchedStateMachine):
        self.identity = identity
        self.server = server
        self.store = store
        self.clock_us = 0
        self.granted: dict[int, Index] = {}
        """Reads that may be answered, with their indexes."""
        self.refused: list[Refusal] = []


class Stage:
    """Servers by name. Elections and entries up to the opening are behind it when it is made."""

    def __init__(self, names: str, seed: int) -> None:
        """A cluster of servers with one-letter names; the first leads term 2."""
        self._seed = seed
        self._lives = 0
        self._names = names
        self._tokens = 0
        self.checks = Checks()
        self.bag: list[Mail] = []
        self.actors: dict[str, Actor] = {}
        for name in names:
            self.start(name)
        identities = [actor.identity for actor in self.actors.values()]
        slots = tuple(Slot(i.name, f"{i.name}:1", i.incarnation) for i in identities)
        self.cluster = Cluster(b"a stage's cluster"[:16], 1, b"its first epoch."[:16])
        for name in names:
            self.step(name, FoundRequested("found", self.cluster, Membership(slots)))
        self.elect(names[0], names[1:])
        self.settle()
        self.step(names[0], OpenRequested("open"))
        self.settle()
        self.beat(names[0])
        self.settle()

    # ---- life and death

    def start(self, name: str) -> None:
        """A blank replica of that name: a new incarnation, with a draw of its own."""
        self._lives += 1
        random = Random(f"{self._seed} {self._lives}")
        identity = ServerId(name, random.randbytes(16))
        peers = tuple((peer, f"{peer}:1") for peer in self._names)
        server = WatchedServer(ServerConfiguration(identity, peers, BODY_BYTES), random, 0)
        server.checks = self.checks
        self.checks.watch(identity, server.state)
        self.actors[name] = Actor(identity, server, WatchedStateMachine(identity, self.checks))

    def crash(self, name: str) -> None:
        """It is gone with its memory; its mail is not."""
        del self.actors[name]

    # ---- steps

    def step(self, name: str, *inputs: Input) -> None:
        """One step at the server's own time, judged, and everything that it asks for done."""
        actor = self.actors[name]
        outputs = actor.server.step(inputs, actor.clock_us)
        self.checks.after_write(actor.identity, outputs)
        for mail in outputs.messages:
            self.checks.before_mail(mail)
            self.bag.append(mail)
        self._apply(actor, outputs)
        for grant in outputs.reads:
            assert isinstance(grant.token, int)
            if grant.refusal is None:
                actor.granted[grant.token] = grant.read_index
            else:
                actor.refused.append(grant.refusal)
        if outputs.entries and actor.server.state.role is Role.LEADER:
            last = outputs.first_index + len(outputs.entries) - 1
            self.step(name, EntriesPersisted(last, outputs.entries[-1].term))

    def _apply(self, actor: Actor, outputs: Outputs) -> None:
        for index, (term, kind, data) in enumerate(outputs.committed, outputs.first_committed):
            if kind is EntryKind.COMMAND and isinstance(data, bytes):
                actor.store.apply_command(index, term, data)
            elif kind is EntryKind.COMMAND_PART and isinstance(data, bytes):
                actor.store.apply_part(index, term, data)
            else:
                actor.store.apply_other(index, term)

    def wait(self, name: str, wait_us: int) -> None:
        """Time passes for one server, and what is due happens."""
        self.actors[name].clock_us += wait_us
        self.step(name)

    # ---- mail

    def take(self, source: str, destination: str, kinds: Kinds | None = None) -> list[Mail]:
        """Takes mail out of the bag: to be delivered, kept for later, or never seen again."""
        taken = [
            mail
            for mail in self.bag
            if mail.sender.name in source
            and mail.receiver.name in destination
            and (kinds is None or isinstance(mail.message, kinds))
        ]
        self.bag = [mail for mail in self.bag if not any(mail is one for one in taken)]
        return taken

    def hand_over(self, mails: Sequence[Mail]) -> None:
        """Each arrives by itself at whoever has the name now; the dead get nothing."""
        for mail in mails:
            if mail.receiver.name in self.actors:
                self.step(mail.receiver.name, MailReceived(mail))

    def deliver(self, source: str, destination: str, kinds: Kinds | None = None) -> None:
        """What lies in the bag from and to these, oldest first; answers stay in the bag."""
        self.hand_over(self.take(source, destination, kinds))

    def lose(self, source: str = "", destination: str = "") -> None:
        """Mail from and to these (to say nothing is to say all) is gone."""
        self.take(source or self._names, destination or self._names)

    def settle(self, among: str = "") -> None:
        """Everything among these is delivered until nothing is left."""
        among = among or self._names
        while mails := self.take(among, among):
            self.hand_over(mails)

    # ---- what scripts are made of

    def beat(self, leader: str) -> None:
        """A heartbeat is due at the leader."""
        self.wait(leader, 50_000)

    def campaign(self, candidate: str, voters: str) -> None:
        """The candidate misses its leader, as the voters do, who would vote for it: it asks for
        votes in a new term. Its requests lie in the bag.
        """
        actor = self.actors[candidate]
        for voter in voters:
            self.actors[voter].clock_us += LEADER_FORGOTTEN_US
        state = actor.server.state
        assert state.role is not Role.LEADER, f"{candidate} leads"
        ballot = state.ballot
        while state.ballot == ballot:
            actor.clock_us = max(actor.clock_us, state.election_deadline_us)
            self.step(candidate)
        self.deliver(candidate, voters, PRE_VOTES)
        self.deliver(voters, candidate, PRE_VOTES)
        self.take(self._names, self._names, PRE_VOTES)

    def elect(self, candidate: str, voters: str) -> None:
        """A whole election; the new leader's first entry lies in the bag."""
        self.campaign(candidate, voters)
        self.deliver(candidate, voters, VOTES)
        self.deliver(voters, candidate, VOTES)
        self.take(self._names, self._names, VOTES)

    def propose(self, leader: str, command: bytes = b"X") -> None:
        """A client's command for whoever leads; messages with it lie in the bag."""
        self._tokens += 1
        self.step(leader, CommandProposed(self._tokens, command))

    def read(self, leader: str) -> int:
        """A linearizable read is asked for; returns its token."""
        self._tokens += 1
        self.step(leader, ReadRequested(self._tokens))
        return self._tokens

    # ---- what is seen

    def leads(self, name: str) -> bool:
        """Whether it takes itself for the leader."""
        return name in self.actors and self.actors[name].server.state.role is Role.LEADER

    def committed(self, name: str) -> Index:
        """Its commit index."""
        return self.actors[name].server.state.commit_index

    def compare_stores(self) -> None:
        """Every store holds what a plain replay of the committed log holds; raises Violation."""
        for name, actor in self.actors.items():
            store = actor.store
            self.checks.compare_digest(actor.identity, store)
            model = Model(self.checks.committed[: store.last_applied])
            for key, held in sorted(model.contents().items()):
                item = store.get(key)
                if item is None or (item.revision, item.value) != held:
                    raise Violation("store", f"{name} holds {item} under {key!r}, not {held}")
