"""Messages between a client and a replica, one class each. The codec knows their form on the wire.

A client's message names the receiving *process* where it matters (`Write`): such a datagram can be
taken by that one process only, and by it only once (replay window), so a refusal of it is final and
the client can tell *not done* from *unknown*. Replicas never send to a client of their own accord:
the client repeats what is not answered.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, TypeAlias

from raftudp.consensus.vocabulary import Cluster, Membership
from raftudp.store.commands import Item, Outcome


class RefusalReason(IntEnum):
    """Why a replica did not take a request; numbers 1 to 9 are those of
    `consensus.outputs.Refusal`.
    """

    NOT_LEADER = 1
    NOT_OPEN = 2
    TRANSFERRING = 3
    NO_TARGET = 4
    BLANK = 5
    ALREADY_BOUND = 6
    TOO_LARGE = 7
    NOT_READY = 8
    OVERLOADED = 9
    OTHER_PROCESS = 10
    """The Write named another process than the one that answers: ask Hello again."""
    INVALID = 11
    """The request breaks a limit or is malformed inside."""
    CHALLENGE = 12
    """The administrative request's challenge is unknown, used or too old."""
    PENDING_LOST = 13
    """Leadership was lost while the write was under way: it may or may not come to pass. Ask the
    new leader.
    """
    UNKNOWN_SERVER = 14


class LeaderHint(NamedTuple):
    """Who leads, as far as the answering replica knows."""

    name: str
    address: str
    """`host:port`; empty with an empty name where nobody is known to lead."""


class Hello(NamedTuple):
    """Who are you, and who leads?"""

    request: int
    """Chosen by the client, echoed in the answer; so for all messages here."""


class HelloAnswer(NamedTuple):
    """Sender, cluster and epoch are in the envelope; `process` is what a Write must name."""

    request: int
    process: bytes
    leader: LeaderHint
    is_open: bool


class Write(NamedTuple):
    """Commands of one client, encoded (`encoding.records.encode_command`); each becomes entries of
    the log.
    """

    process: bytes
    attempt: int
    """Counts the client's Writes, so that a refusal says which one it refuses."""
    commands: tuple[bytes, ...]


class WriteResult(NamedTuple):
    """What one command did, once it was committed and applied."""

    sequence: int
    outcome: Outcome
    revision: int


class Written(NamedTuple):
    """Results of commands of one client, in any order."""

    client_id: bytes
    results: tuple[WriteResult, ...]


class WriteRefused(NamedTuple):
    """These sequences of that attempt were not taken (but see PENDING_LOST)."""

    client_id: bytes
    attempt: int
    """0 with PENDING_LOST: whichever attempt brought it."""
    reason: RefusalReason
    leader: LeaderHint
    sequences: tuple[int, ...]


class GetRequest(NamedTuple):
    """One key wanted."""

    request: int
    key: bytes


class Read(NamedTuple):
    """Keys wanted, each with a request number of its own."""

    stale: bool
    """True: answer from what this replica holds now; else linearizable, by the leader."""
    gets: tuple[GetRequest, ...]


class GetResult(NamedTuple):
    """One key's state; `value` is None where it is absent."""

    request: int
    value: bytes | None
    revision: int
    """0 where absent."""


class ReadAnswer(NamedTuple):
    """Results of gets, in any order."""

    applied_index: int
    results: tuple[GetResult, ...]


class List(NamedTuple):
    """A page of the keys that begin with `prefix`, in order, after the key `after` (None: from the
    first).
    """

    request: int
    stale: bool
    prefix: bytes
    after: bytes | None
    limit: int


class ListAnswer(NamedTuple):
    """A page."""

    request: int
    applied_index: int
    items: tuple[Item, ...]
    more: bool
    """Whether keys follow after the last of `items`."""


class RequestRefused(NamedTuple):
    """Gets, lists or an administrative request, by their numbers, were not taken."""

    requests: tuple[int, ...]
    reason: RefusalReason
    leader: LeaderHint


class Status(NamedTuple):
    """How are you?"""

    request: int


class Follower(NamedTuple):
    """What a leader knows of a follower."""

    name: str
    match_index: int
    lag_entries: int
    rtt_us: int | None
    last_heard_us: int | None


class StatusAnswer(NamedTuple):
    """A replica's picture of itself; sender, incarnation, cluster and epoch are in the envelope
    too.
    """

    request: int
    name: str
    incarnation: bytes
    role: str
    """leader, candidate, follower, learner or blank."""
    state: str
    """unformed, returning, ready, no-quorum, quorum-lost or total-loss."""
    durability: str
    """memory or disk."""
    term: int
    leader: LeaderHint
    commit_index: int
    last_applied: int
    last_log_index: int
    cluster: Cluster | None
    uptime_s: int
    version: str
    membership: Membership
    followers: tuple[Follower, ...]


class ChallengeRequest(NamedTuple):
    """Before an administrative request: 16 bytes that are good for one, for a short while."""

    request: int


class ChallengeAnswer(NamedTuple):
    """The challenge."""

    request: int
    challenge: bytes


class Stop(NamedTuple):
    """End this replica's process, gracefully."""


class Transfer(NamedTuple):
    """Hand leadership over to `target` ('' for the follower that is furthest)."""

    target: str


class FoundCluster(NamedTuple):
    """Bind to this cluster with this membership; only a blank server that it names does."""

    cluster: Cluster
    membership: Membership


class OpenCluster(NamedTuple):
    """The marker has its last state: let clients in."""

    cluster: Cluster


Action: TypeAlias = Stop | Transfer | FoundCluster | OpenCluster


class Admin(NamedTuple):
    """An administrative request under a challenge; a repetition gets the first one's answer."""

    request: int
    challenge: bytes
    action: Action


class AdminAnswer(NamedTuple):
    """Taken; for OpenCluster: committed."""

    request: int


class Part(NamedTuple):
    """A piece of a message too large for one datagram; `number` counts from 0."""

    transfer: int
    """Chosen by the sender of the large message, unique within its process."""
    number: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody asks of a message
    total_bytes: int
    data: bytes


class PartsReceived(NamedTuple):
    """The receiver of a large message has all parts below `received_below`, and of the later ones
    lacks `missing`.

    Sent by a replica for each wake-up that brought parts, and by a client likewise and again when
    nothing more comes; the sender of the parts answers with the next window. `missing` lists gaps
    among the parts seen so far.
    """

    transfer: int
    received_below: int
    missing: tuple[int, ...]


Request: TypeAlias = (
    Hello | Write | Read | List | Status | ChallengeRequest | Admin | Part | PartsReceived
)
Answer: TypeAlias = (
    HelloAnswer
    | Written
    | WriteRefused
    | ReadAnswer
    | ListAnswer
    | RequestRefused
    | StatusAnswer
    | ChallengeAnswer
    | AdminAnswer
    | Part
    | PartsReceived
)
