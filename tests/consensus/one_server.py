"""One real server whose peers are the test itself: it says exactly what they send."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import TypeVar

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
    RequestPreVoteResponse,
    RequestVoteResponse,
)
from raftudp.consensus.outputs import Outputs
from raftudp.consensus.server import Server, ServerConfiguration
from raftudp.consensus.state import State
from raftudp.consensus.vocabulary import (
    Cluster,
    Entry,
    EntryKind,
    Membership,
    Role,
    ServerId,
    Slot,
)
from tests.consensus.cluster import BODY_BYTES, CLUSTER

M = TypeVar("M")


def identity(name: str, life: int = 1) -> ServerId:
    """The identity of this name's first incarnation, or another."""
    return ServerId(name, f"{name}{life}".encode().ljust(16, b"."))


def membership_of(names: Iterable[str]) -> Membership:
    """Slots of these names, filled by their first incarnations; an upper-case name is vacant."""
    return Membership(
        tuple(
            Slot(n.lower(), f"{n}:6000", None if n.isupper() else identity(n).incarnation)
            for n in names
        )
    )


def command(term: int, data: bytes = b"x") -> Entry:
    """An entry with a client's command."""
    return Entry(term, EntryKind.COMMAND, data)


class OneServer:
    """Server "a" of a cluster, founded unless said otherwise."""

    def __init__(self, names: str = "abc", founded: bool = True, **settings: int) -> None:
        self.names = names
        self.now_us = 0
        self.identity = identity("a")
        peers = tuple((name.lower(), f"{name}:6000") for name in names)
        settings = {"body_bytes": BODY_BYTES, **settings}
        configuration = ServerConfiguration(self.identity, peers, **settings)
        self.server = Server(configuration, Random(0), 0)
        self.last = Outputs()
        """The outputs of the latest step."""
        if founded:
            self.give(FoundRequested("found", CLUSTER, membership_of(names)))

    @property
    def state(self) -> State:
        """All that the server knows; for looking at, and for breaking on purpose."""
        return self.server._state

    # ---- what happens

    def give(self, *inputs: Input) -> Outputs:
        """One step."""
        self.last = self.server.step(inputs, self.now_us)
        return self.last

    def receive(
        self,
        sender: str | ServerId,
        *messages: Message,
        receiver: ServerId | None = None,
        cluster: Cluster | None = CLUSTER,
    ) -> Outputs:
        """One step in which these arrive, from the first incarnation of a name if not said else."""
        origin = identity(sender) if isinstance(sender, str) else sender
        target = self.identity if receiver is None else receiver
        mails = [Mail(origin, target, cluster, message) for message in messages]
        return self.give(*(MailReceived(mail) for mail in mails))

    def wait(self, duration_ms: int) -> Outputs:
        """Time passes, and the server is called once, at its end."""
        self.now_us += duration_ms * 1_000
        return self.give()

    def time_out(self) -> Outputs:
        """The next deadline passes."""
        self.now_us = max(self.now_us, self.server.next_deadline())
        return self.give()

    def persist(self) -> Outputs:
        """All that was handed out has been written."""
        log = self.state.log
        return self.give(EntriesPersisted(log.last_index, log.last_term))

    # ---- roles

    def follow(self, leader: str = "b", term: int = 2, terms: Iterable[int] = ()) -> Outputs:
        """`leader` leads `term` and replicates entries of these terms behind the founding."""
        entries = tuple(command(entry_term) for entry_term in terms)
        return self.receive(leader, AppendEntries(term, 1, 1, 1, 1, entries))

    def pre_campaign(self) -> Outputs:
        """The election timeout passes."""
        while self.state.role is not Role.PRE_CANDIDATE:
            self.time_out()
        return self.last

    def campaign(self) -> Outputs:
        """It asks, a majority would vote, and so it asks for votes."""
        self.pre_campaign()
        granted = RequestPreVoteResponse(self.state.current_term, self.state.ballot, True)
        for name in self._majority():
            self.receive(name, granted)
        assert self.state.role is Role.CANDIDATE
        return self.last

    def win(self) -> Outputs:
        """It campaigns and a majority votes; nothing of its term is written or acknowledged yet."""
        self.campaign()
        granted = RequestVoteResponse(self.state.current_term, True)
        for name in self._majority():
            self.receive(name, granted)
        assert self.state.role is Role.LEADER
        return self.last

    def lead(self) -> None:
        """It wins, its term's first entry and the opening of the cluster are committed by all."""
        self.win()
        self.persist()
        for name in self._others():
            self.acknowledge(name)
        self.give(OpenRequested("open"))
        self.persist()
        for name in self._others():
            self.acknowledge(name)
        assert self.state.is_open and self.state.commit_index == self.state.log.last_index

    def _others(self) -> list[str]:
        return [name for name in self.names if name != "a" and name.islower()]

    def _majority(self) -> list[str]:
        return self._others()[: len(self.names) // 2]

    # ---- answers and questions

    def answer(self, match_index: int | None = None, round_: int | None = None) -> Message:
        """A follower's success in the current term, up to the log's end and for the latest round if
        not said otherwise.
        """
        state = self.state
        match = state.log.last_index if match_index is None else match_index
        answered = state.round if round_ is None else round_
        return AppendEntriesResponse(state.current_term, answered, True, match, 0, 0, 0)

    def acknowledge(
        self, name: str | ServerId, match_index: int | None = None, round_: int | None = None
    ) -> Outputs:
        """A follower's success arrives."""
        return self.receive(name, self.answer(match_index, round_))

    def propose(self, *commands: bytes) -> Outputs:
        """Commands of clients; each is its own token."""
        return self.give(*(CommandProposed(data, data) for data in commands))

    def read(self, *tokens: str) -> Outputs:
        """Linearizable reads."""
        return self.give(*(ReadRequested(token) for token in tokens))

    def sent(self, kind: type[M], to: str = "") -> list[M]:
        """The messages of this kind that the latest step sent (to this name)."""
        return [
            mail.message
            for mail in self.last.messages
            if isinstance(mail.message, kind) and to in ("", mail.receiver.name)
        ]
