"""The words of the protocol: who a server is, what the log holds, what must survive.

Names are those of the Raft paper (Ongaro and Ousterhout, "In Search of an Understandable Consensus
Algorithm", 2014, figure 2). What the paper calls a server is here one *incarnation*: one life of a
replica's memory (section 2 of `raftudp/DESIGN.md`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NamedTuple, TypeAlias

from raftudp.limits import IDENTIFIER_BYTES

Term: TypeAlias = int
Index: TypeAlias = int
Incarnation: TypeAlias = bytes

FOUNDING_TERM: Final[Term] = 1
"""Of the founding membership, entry 1 of every log."""
ANY_INCARNATION: Final[Incarnation] = bytes(IDENTIFIER_BYTES)
"""Names nobody: mail to it is for whoever answers to the name."""


class ServerId(NamedTuple):
    """A participant of Raft: a name, and the one life of the replica's memory that fills it now."""

    name: str
    incarnation: Incarnation


class Cluster(NamedTuple):
    """Which cluster, and which epoch of it: a recovery after a lost majority starts a new epoch."""

    cluster_id: bytes
    epoch: int
    epoch_id: bytes


class Role(IntEnum):
    """What a server is doing; assigned in `transitions` alone."""

    BLANK = 0
    """Bound to no cluster: it knows nothing, answers nothing and never campaigns."""
    LEARNER = 1
    """Bound, but it fills no slot of its latest membership: it follows and never campaigns."""
    FOLLOWER = 2
    PRE_CANDIDATE = 3
    """Asks whether it could win (dissertation, section 9.6), without raising its term."""
    CANDIDATE = 4
    LEADER = 5


class EntryKind(IntEnum):
    """What an entry of the log is for."""

    NOOP = 0
    """Appended by a new leader, so that it commits something of its own term (dissertation, section
    6.4).
    """
    COMMAND = 1
    """A whole command, or the last part of one."""
    COMMAND_PART = 2
    """A part of a large command; the next entry of the same term goes on."""
    MEMBERSHIP = 3
    OPEN = 4
    """From here on clients are served in the epoch that the entry names."""


class Slot(NamedTuple):
    """A place in the cluster: a name, where it listens, and the incarnation that fills it."""

    name: str
    address: str
    """`host:port`, a name to resolve and never an address that was resolved."""
    incarnation: Incarnation | None
    """None while vacant."""
    vacated: Incarnation | None = None
    """The incarnation that a vacant slot held last; it is never filled with it again."""


@dataclass(frozen=True, slots=True)
class Membership:
    """Who belongs: an ordered set of slots.

    A quorum is a majority of *all* slots, and only filled ones can be part of it.
    """

    slots: tuple[Slot, ...]
    _identities: tuple[ServerId, ...] = field(init=False, repr=False, compare=False)
    _others: dict[ServerId, tuple[ServerId, ...]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )
    """Derived from the slots, and asked for at every step."""

    def __post_init__(self) -> None:
        filled = (s for s in self.slots if s.incarnation is not None)
        identities = tuple(ServerId(s.name, s.incarnation or b"") for s in filled)
        object.__setattr__(self, "_identities", identities)

    def identities(self) -> tuple[ServerId, ...]:
        """The servers that fill slots, in order."""
        return self._identities

    def others(self, identity: ServerId) -> tuple[ServerId, ...]:
        """The servers that fill slots beside this one, in order."""
        known = self._others.get(identity)
        if known is None:
            known = self._others[identity] = tuple(i for i in self._identities if i != identity)
        return known

    def is_filled_by(self, identity: ServerId) -> bool:
        """Whether this full identity, and not only its name, fills a slot."""
        return identity in self._identities

    def slot(self, name: str) -> Slot | None:
        """The slot of that name, if there is one."""
        return next((slot for slot in self.slots if slot.name == name), None)


class Entry(NamedTuple):
    """One entry of the replicated log; its index is its place."""

    term: Term
    kind: EntryKind
    data: bytes | Membership | Cluster
    """Opaque bytes of a command; a membership; the cluster that an OPEN entry opens; empty for a
    NOOP.
    """


class HardState(NamedTuple):
    """What a server must never forget, beside its log, in one life of its memory (figure 2,
    "persistent state").
    """

    current_term: Term
    voted_for: ServerId | None
