"""What a server's runtime must do after a step, obeyed top to bottom.

`hard_state`, `truncate_after` and `entries` are made durable first, in that order; only then leave
`messages`. The one exception: a leader's AppendEntries may leave while its own write is under way,
because it counts itself only after `EntriesPersisted`. Then `committed` goes to the store, in index
order, and from there to the clients.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from raftudp.consensus.messages import Mail
from raftudp.consensus.trace import TraceEvent
from raftudp.consensus.vocabulary import (
    Cluster,
    Entry,
    HardState,
    Index,
    Membership,
    Role,
    ServerId,
    Term,
)


class Refusal(IntEnum):
    """Why a request was not taken; it left no trace in the log, it may be asked again."""

    NOT_LEADER = 1
    NOT_OPEN = 2
    """Founded or recovered, but clients are not yet let in."""
    TRANSFERRING = 3
    """Leadership is being handed over."""
    NO_TARGET = 4
    """Nobody is there to hand leadership over to, or the name is unknown."""
    BLANK = 5
    """This replica belongs to no cluster."""
    ALREADY_BOUND = 6
    """A founding for a replica that belongs to another cluster, or one that does not name this
    replica, or names another twice.
    """
    TOO_LARGE = 7
    NOT_READY = 8
    """A new leader has not yet committed an entry of its own term."""
    OVERLOADED = 9


@dataclass(frozen=True, slots=True)
class Proposal:
    """What became of a CommandProposed, OpenRequested, FoundRequested or TransferRequested."""

    token: Hashable
    refusal: Refusal | None
    index: Index = 0
    """Where the command's last entry lies, if it was taken."""
    term: Term = 0


class ReadGrant(NamedTuple):
    """A read may be answered once the store has applied `read_index`; or it was refused."""

    token: Hashable
    refusal: Refusal | None
    read_index: Index = 0


@dataclass(slots=True)
class Outputs:
    """One step's outputs."""

    hard_state: HardState | None = None
    truncate_after: Index | None = None
    """Durable entries beyond this index are to be cut before `entries` are appended."""
    first_index: Index = 0
    """The index of the first of `entries`."""
    entries: list[Entry] = field(default_factory=list)
    messages: list[Mail] = field(default_factory=list)
    first_committed: Index = 0
    """The index of the first of `committed`."""
    committed: list[Entry] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)
    reads: list[ReadGrant] = field(default_factory=list)
    trace: list[TraceEvent] = field(default_factory=list)
    misaddressed: int = 0
    """Mails of another cluster, to another incarnation, or of a kind that this server does not
    listen to.
    """


class FollowerStatus(NamedTuple):
    """What a leader knows of a follower."""

    name: str
    match_index: Index
    lag_entries: int
    rtt_us: int | None
    """None until an answer came."""
    last_heard_us: int | None
    """How long ago the latest answered round was sent."""


class ServerStatus(NamedTuple):
    """An immutable picture of a server."""

    identity: ServerId
    cluster: Cluster | None
    role: Role
    term: Term
    leader: ServerId | None
    commit_index: Index
    last_log_index: Index
    membership: Membership
    membership_committed: bool
    is_open: bool
    is_transferring: bool
    followers: tuple[FollowerStatus, ...]
    """Of a leader; empty elsewhere."""
    cluster_seen: Cluster | None
    """Of a blank server: the cluster whose member answered its greeting."""
