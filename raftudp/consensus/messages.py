"""Server-to-server messages, one class each.

The codec knows their form on the wire, the core what they mean.

Sender, receiver and cluster travel in the envelope (`Mail`), sealed with the message. An answer
carries what it answers: a term, a ballot or a round. Every message stands alone, and may be lost,
doubled, reordered or held for ever.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from raftudp.consensus.vocabulary import Cluster, Entry, Index, Membership, ServerId, Term


class RequestPreVote(NamedTuple):
    """Would you vote for me? (Dissertation, section 9.6.) Changes nothing at the one asked."""

    term: Term
    """The term that the sender would campaign in."""
    ballot: int
    """Tells this attempt of the sender from its others."""
    last_log_index: Index
    last_log_term: Term


class RequestPreVoteResponse(NamedTuple):
    """Answers one ballot; never taken for a vote."""

    term: Term
    """The answering server's current term."""
    ballot: int
    vote_granted: bool


class RequestVote(NamedTuple):
    """Figure 2, "RequestVote RPC". Sent again within its term until answered."""

    term: Term
    last_log_index: Index
    last_log_term: Term


class RequestVoteResponse(NamedTuple):
    """Counted only in the term that it names, and once for each identity."""

    term: Term
    vote_granted: bool


class AppendEntries(NamedTuple):
    """Figure 2, "AppendEntries RPC"; without entries, a heartbeat that checks consistency all the
    same.
    """

    term: Term
    round: int
    """Counts the leader's wake-ups that sent something; its answer confirms reads and freshness of
    that round.
    """
    previous_log_index: Index
    previous_log_term: Term
    leader_commit: Index
    entries: tuple[Entry, ...]


class AppendEntriesResponse(NamedTuple):
    """Answers one AppendEntries."""

    term: Term
    round: int
    success: bool
    match_index: Index
    """With success: the last index that the answered message verified, which need not be the log's
    last.
    """
    previous_log_index: Index
    """Without success: the index at which the answered message did not match."""
    hint_index: Index
    """Without success: the greatest index whose term is not above the one asked for (section 5.3,
    the optimisation).
    """
    hint_term: Term


class TimeoutNow(NamedTuple):
    """Campaign at once (dissertation, section 3.10)."""

    term: Term


class Found(NamedTuple):
    """The founding membership; one whose incarnation it names binds to the envelope's cluster by
    it.
    """

    membership: Membership


class Greeting(NamedTuple):
    """A blank replica tells the members that it is there."""


class GreetingResponse(NamedTuple):
    """A member's answer to a blank replica: a cluster exists, and what it holds under the asking
    name.
    """

    leader: ServerId | None
    has_slot: bool
    """Whether the membership has a slot of the asking name (filled by another incarnation, or
    vacant).
    """


Message: TypeAlias = (
    AppendEntries
    | AppendEntriesResponse
    | RequestVote
    | RequestVoteResponse
    | RequestPreVote
    | RequestPreVoteResponse
    | TimeoutNow
    | Found
    | Greeting
    | GreetingResponse
)


class Mail(NamedTuple):
    """A message with its envelope's facts, authenticated by the time the core sees them."""

    sender: ServerId
    receiver: ServerId
    """`ANY_INCARNATION` where the sender can't know it: Greeting alone."""
    cluster: Cluster | None
    """None: the sender is bound to no cluster (Greeting alone)."""
    message: Message
