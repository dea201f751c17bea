"""All mutable state of a server, named as in figure 2 of the paper.

Only `transitions` assigns `role`, `current_term`, `voted_for` and `cluster`; each concern changes
the fields of its own section. Invariants are written on the fields that they bind and checked in
`invariants`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from raftudp.consensus.early import EarlyMessages
from raftudp.consensus.log import Log
from raftudp.consensus.progress import Progress
from raftudp.consensus.trace import Action, TraceEvent
from raftudp.consensus.vocabulary import Cluster, Index, Membership, Role, ServerId, Term

NEVER = 2**62
"""A deadline that does not pass."""


class ServerConfiguration(NamedTuple):
    """What a server is told at its start."""

    identity: ServerId
    peers: tuple[tuple[str, str], ...]
    """Name and `host:port` of every replica that is expected, itself included."""
    body_bytes: int
    """The largest encoded message that a datagram carries to every peer."""
    heartbeat_ms: int = 50
    election_timeout_ms_minimum: int = 300
    election_timeout_ms_maximum: int = 600

    @property
    def heartbeat_us(self) -> int:
        """The heartbeat interval in microseconds."""
        return self.heartbeat_ms * 1_000

    @property
    def election_timeout_us_minimum(self) -> int:
        """The shortest election timeout in microseconds."""
        return self.election_timeout_ms_minimum * 1_000

    @property
    def election_timeout_us_maximum(self) -> int:
        """The longest election timeout in microseconds."""
        return self.election_timeout_ms_maximum * 1_000


class WaitingRead(NamedTuple):
    """A read that waits for a quorum to answer `round` (dissertation, section 6.4)."""

    token: Hashable
    read_index: Index
    round: int


class LeadershipTransfer(NamedTuple):
    """A hand-over under way; the leader takes no commands meanwhile."""

    target: ServerId
    deadline_us: int


@dataclass(slots=True)
class State:
    """One server. Times are microseconds of the clock that `Server.step` is given."""

    configuration: ServerConfiguration
    random: Random

    # Persistent (with the log, never forgotten within an incarnation)
    cluster: Cluster | None = None
    """None exactly while the role is BLANK."""
    current_term: Term = 0
    voted_for: ServerId | None = None
    """Set at most once in a term."""
    log: Log = field(default_factory=Log)

    # Volatile, on all servers
    role: Role = Role.BLANK
    leader: ServerId | None = None
    """Who leads `current_term`, as far as known."""
    commit_index: Index = 0
    """Never decreases; at most the last index of the log."""
    delivered_index: Index = 0
    """Committed entries up to here were handed to the runtime."""
    is_open: bool = False
    """A committed OPEN entry names this epoch."""
    election_timeout_us: int = 0
    """The draw that is in force: chosen anew with each ballot and each change of role."""
    election_deadline_us: int = NEVER
    heard_from_leader_us: int = -NEVER
    """When a message of the current term's leader arrived last."""

    # Volatile, on followers
    early: EarlyMessages = field(default_factory=EarlyMessages)

    # Volatile, on candidates and those who ask whether to become one
    ballot: int = 0
    """Counts this server's elections and pre-elections."""
    votes_granted: set[ServerId] = field(default_factory=set)
    """Only identities that fill slots of the latest membership, each for this ballot or term."""
    votes_answered: set[ServerId] = field(default_factory=set)
    resend_deadline_us: int = NEVER

    # Volatile, on leaders
    progress: dict[ServerId, Progress] = field(default_factory=dict)
    """One for each other identity of the latest membership, in its order."""
    round: int = 0
    """Counts the flushes that sent something; never decreases within an incarnation."""
    rounds_sent_us: deque[int] = field(default_factory=deque)
    """When the latest rounds were sent, the last entry for `round`."""
    heartbeat_deadline_us: int = NEVER
    leading_since_us: int = 0
    first_index_of_term: Index = 0
    """The NOOP that began this leader's term; nothing is counted for commitment before it."""
    persisted_index: Index = 0
    """A leader counts itself up to here."""
    may_commit: bool = False
    """Somebody has come to hold more of the log since the commit index was last looked at."""
    uncommitted_bytes: int = 0
    unindexed_reads: list[Hashable] = field(default_factory=list)
    """Reads that came before this leader committed an entry of its own term."""
    waiting_reads: deque[WaitingRead] = field(default_factory=deque)
    transfer: LeadershipTransfer | None = None

    # Volatile, on blank servers and those that hear their greetings
    greeting_deadline_us: int = NEVER
    cluster_seen: Cluster | None = None
    greeted: dict[str, ServerId] = field(default_factory=dict)
    """By name, the last stranger that greeted under it: each is traced once."""
    heard_of: set[ServerId] = field(default_factory=set)
    """Members that have shown in this cluster that they are bound to it."""

    trace: list[TraceEvent] = field(default_factory=list)

    @property
    def identity(self) -> ServerId:
        """Who this server is."""
        return self.configuration.identity

    @property
    def membership(self) -> Membership:
        """The latest membership in the log: in force from the moment it is appended."""
        return self.log.membership

    def others(self) -> tuple[ServerId, ...]:
        """The identities that fill the other slots of the latest membership, in order."""
        return self.log.membership.others(self.configuration.identity)

    def draw_election_timeout(self) -> None:
        """Chooses a fresh election timeout (section 5.2)."""
        configuration = self.configuration
        self.election_timeout_us = self.random.randint(
            configuration.election_timeout_us_minimum, configuration.election_timeout_us_maximum
        )

    def note(
        self,
        action: Action,
        other: ServerId | None = None,
        detail: str = "",
        index: Index | None = None,
    ) -> None:
        """Adds a trace event."""
        where = self.log.last_index if index is None else index
        self.trace.append(TraceEvent(action, self.current_term, where, other, detail))
