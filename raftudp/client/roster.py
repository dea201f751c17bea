"""What a session knows of the servers: who they are, which cluster they are of, who is silent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from raftudp.consensus.vocabulary import Cluster, ServerId
from raftudp.errors import NoAnswer
from raftudp.limits import SLOTS_MAXIMUM
from raftudp.wire.client_messages import HelloAnswer, LeaderHint, RefusalReason

FURTHER_SILENCES_MAXIMUM: Final = 8
"""Vain questions after which a server is dropped that only a hint named."""


class Source(NamedTuple):
    """Where an answer came from, as its envelope authenticates it."""

    server: str
    """The server's address as the session knows it, judged by the datagram's; '' if by none."""
    identity: ServerId
    process: bytes
    cluster: Cluster | None


class Condition(Enum):
    """What a server's latest answer says of it, from the least to the most promising."""

    SILENT = 0
    OTHER_CLUSTER = 1
    OLD_EPOCH = 2
    BLANK = 3
    NOT_OPEN = 4
    NO_LEADER = 5
    SERVING = 6


_CONDITIONS_OF_REFUSALS: Final = {
    RefusalReason.BLANK: Condition.BLANK,
    RefusalReason.NOT_OPEN: Condition.NOT_OPEN,
    RefusalReason.NOT_LEADER: Condition.NO_LEADER,
}


@dataclass(slots=True, eq=False)
class Server:
    """One server, known by the address that it is asked at."""

    address: str
    configured: bool
    """Whether the user named it, or a hint did."""
    name: str | None = None
    process: bytes | None = None
    is_open: bool = False
    condition: Condition = Condition.SILENT
    answered_us: int | None = None
    silences: int = 0
    """Questions in a row that got no answer."""
    told_cluster: Cluster | None = None
    """The cluster of its latest answer."""


class Roster:
    """The servers, configured and hinted, and the cluster that they are of."""

    def __init__(self, addresses: tuple[str, ...]) -> None:
        self.servers = {address: Server(address, configured=True) for address in addresses}
        self.cluster: Cluster | None = None
        """The one that was seen open first, in the latest epoch seen open."""
        self._by_process: dict[bytes, Server] = {}
        self._turn = 0
        self._newly_silent: set[str] = set()

    def server_of(self, source: Source) -> Server | None:
        """Which of the servers answered; by its process first, for addresses may be translated."""
        return self._by_process.get(source.process) or self.servers.get(source.server)

    def admit(self, source: Source, server: Server | None, now_us: int) -> bool:
        """Note that a server answered, and say whether this session may listen to it.

        Epochs of another cluster, or older than one seen open, are refused: what they say was
        superseded (`raftudp/DESIGN.md`, section 2, "Recover").
        """
        refusal = self._refusal_of(source.cluster)
        if server is not None:
            server.answered_us = now_us
            server.silences = 0
            server.told_cluster = source.cluster
            server.name = source.identity.name
            if refusal is not None:
                server.condition = refusal
        return refusal is None

    def _refusal_of(self, cluster: Cluster | None) -> Condition | None:
        ours = self.cluster
        if cluster is None or ours is None or cluster == ours:
            return None
        if cluster.cluster_id != ours.cluster_id:
            return Condition.OTHER_CLUSTER
        # Two different epochs of one number can't both be open; the one seen first is kept.
        return Condition.OLD_EPOCH if cluster.epoch <= ours.epoch else None

    def remember_open(self, cluster: Cluster | None) -> bool:
        """A server of this admitted cluster serves clients; True if its epoch replaces another."""
        if cluster is None or cluster == self.cluster:
            return False
        is_new_epoch = self.cluster is not None
        self.cluster = cluster
        return is_new_epoch

    def introduce(self, server: Server, source: Source, answer: HelloAnswer) -> bool:
        """Take in a Hello's answer; True if another process answers now than before."""
        changed = server.process != source.process
        if changed:
            if server.process is not None:
                self._by_process.pop(server.process, None)
            server.process = source.process
            self._by_process[source.process] = server
        server.is_open = answer.is_open
        if source.cluster is None:
            server.condition = Condition.BLANK
        elif not answer.is_open:
            server.condition = Condition.NOT_OPEN
        else:
            server.condition = Condition.SERVING if answer.leader.name else Condition.NO_LEADER
        return changed

    def note_refusal(self, server: Server, reason: RefusalReason, hint: LeaderHint) -> None:
        """A server refused something; keep what that says of it for `explain`."""
        if reason is RefusalReason.NOT_LEADER and hint.name:
            server.condition = Condition.SERVING
        else:
            server.condition = _CONDITIONS_OF_REFUSALS.get(reason, server.condition)

    def forget_process(self, server: Server) -> None:
        """Another process answers at this server's address now; who it is must be asked."""
        if server.process is not None:
            self._by_process.pop(server.process, None)
            server.process = None

    def locate(self, hint: LeaderHint) -> Server:
        """The server that a hint names, which is added if it is unknown."""
        named = (known for known in self.servers.values() if known.name == hint.name)
        return self.servers.get(hint.address) or next(named, None) or self.server_at(hint.address)

    def server_at(self, address: str) -> Server:
        """The server at an address, which is added if it is unknown."""
        server = self.servers.get(address)
        if server is None:
            server = Server(address, configured=False)
            self.servers[address] = server
            further = [known for known in self.servers.values() if not known.configured]
            if len(further) > SLOTS_MAXIMUM:
                self._drop(further[0])
        return server

    def went_unanswered(self, server: Server) -> None:
        """A question to this server was not answered in time."""
        server.silences += 1
        self._newly_silent.add(server.address)
        if not server.configured and server.silences >= FURTHER_SILENCES_MAXIMUM:
            self._drop(server)

    def _drop(self, server: Server) -> None:
        self.forget_process(server)
        self.servers.pop(server.address, None)

    def take_newly_silent(self) -> set[str]:
        """Addresses that went unanswered since the last call; their names may have moved."""
        newly_silent, self._newly_silent = self._newly_silent, set()
        return newly_silent

    def take_turns(self, count: int) -> list[Server]:
        """The next so many servers, each in its turn."""
        servers = list(self.servers.values())
        start = self._turn % len(servers)
        self._turn = start + count
        return (servers[start:] + servers[:start])[:count]

    def likeliest(self) -> Server:
        """A server that will answer, as far as is known: the one that did last."""
        answered = [server for server in self.servers.values() if server.silences == 0]
        ready = [server for server in answered if server.condition is Condition.SERVING]
        if ready:
            return max(ready, key=lambda server: server.answered_us or 0)
        return self.take_turns(1)[0]

    def explain(self, since_us: int) -> NoAnswer:
        """Why nothing came of a question that was asked at `since_us`."""
        answered = [
            server
            for server in self.servers.values()
            if server.answered_us is not None and server.answered_us >= since_us
        ]
        best = max(answered, key=lambda server: server.condition.value, default=None)
        condition = Condition.SILENT if best is None else best.condition
        names = ", ".join(server.name or server.address for server in answered)
        told = None if best is None else best.told_cluster
        return NoAnswer(*self._explanation(condition, names, told))

    def _explanation(
        self, condition: Condition, names: str, told: Cluster | None
    ) -> tuple[str, str]:
        """A sentence and its short name."""
        match condition:
            case Condition.SILENT:
                asked = ", ".join(self.servers)
                text = (
                    f"no server answered at all (asked {asked}): check the addresses, that the"
                    " servers run, and that this key is theirs"
                )
                return text, "silent"
            case Condition.OTHER_CLUSTER:
                text = (
                    f"{names} answered for the cluster {_cluster_text(told)},"
                    f" and this client spoke with {_cluster_text(self.cluster)} before: check the"
                    " addresses, or start a new client if the cluster was replaced"
                )
                return text, "other-cluster"
            case Condition.OLD_EPOCH:
                text = (
                    f"{names} answered from before a recovery of the cluster"
                    f" {_cluster_text(self.cluster)}: wait until they have joined it"
                )
                return text, "other-cluster"
            case Condition.BLANK:
                text = (
                    f"{names} answered, and are blank: no cluster was founded yet (raftudp init),"
                    " or they lost their memory and wait to return"
                )
                return text, "blank"
            case Condition.NOT_OPEN:
                text = (
                    f"{names} answered, but the cluster is not open to clients yet: its founding"
                    " has not ended (run raftudp init again to finish it)"
                )
                return text, "not-open"
            case Condition.NO_LEADER:
                text = (
                    f"{names} answered, but there is no leader: is a majority of the servers up?"
                    " Ask for the status"
                )
                return text, "no-leader"
            case Condition.SERVING:
                return f"{names} answered, but the leader did not in time", "slow"


def _cluster_text(cluster: Cluster | None) -> str:
    return "(none)" if cluster is None else cluster.cluster_id.hex()
