"""What a server did, as data, named after the actions of the raft.tla specification (dissertation,
appendix B).

The runtime turns these into log lines, the simulator into the events that its checkers and its
readers see. The core itself never logs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from raftudp.consensus.vocabulary import Index, ServerId, Term


class Action(StrEnum):
    """The name of what happened."""

    BIND = "Bind"
    """A blank server took its founding membership."""
    GREETING_REFUSED = "GreetingRefused"
    """A member learned of another incarnation under a name that has a slot."""
    GREETING_ANSWERED = "GreetingAnswered"
    """A blank server learned that a cluster exists."""
    PRE_CAMPAIGN = "PreCampaign"
    TIMEOUT = "Timeout"
    """Became a candidate."""
    BECOME_LEADER = "BecomeLeader"
    STEP_DOWN = "StepDown"
    FOLLOW = "Follow"
    """Learned who leads the current term."""
    UPDATE_TERM = "UpdateTerm"
    GRANT_VOTE = "GrantVote"
    TRUNCATE = "Truncate"
    QUORUM_UNHEARD = "QuorumUnheard"
    """A leader gave up because no quorum answered within an election timeout (dissertation, section
    6.2).
    """
    MEMBERSHIP = "Membership"
    """A membership entry was committed."""
    OPEN = "Open"
    """The cluster lets clients in."""
    TRANSFER = "Transfer"
    """Handing leadership over."""
    TRANSFER_ENDED = "TransferEnded"
    """The hand-over was given up."""


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One event at one server."""

    action: Action
    term: Term
    index: Index
    """The last log index, or the entry's where one entry is meant."""
    other: ServerId | None = None
    """The peer that it concerns."""
    detail: str = ""
