"""How a blank server comes to belong to a cluster (section 2 of `raftudp/DESIGN.md`, "Founding").

A blank server greets the names that it expects. A member answers that a cluster exists, or, to an
incarnation that its own founding membership names, passes the founding on. Any other incarnation
under a known name is a stranger: it is told so and gets nothing.
"""

from __future__ import annotations

from raftudp.consensus.log import entry_bytes
from raftudp.consensus.messages import Found, Greeting, GreetingResponse
from raftudp.consensus.outputs import Refusal
from raftudp.consensus.state import State
from raftudp.consensus.trace import Action
from raftudp.consensus.vocabulary import (
    ANY_INCARNATION,
    FOUNDING_TERM,
    Cluster,
    Entry,
    EntryKind,
    Membership,
    Role,
    ServerId,
)
from raftudp.limits import APPEND_ENTRIES_OVERHEAD_BYTES

GREETING_INTERVAL_HEARTBEATS = 5


def greetings(state: State, now_us: int) -> list[tuple[ServerId, Greeting]]:
    """A blank server's greetings to all names that it expects, at intervals."""
    interval_us = GREETING_INTERVAL_HEARTBEATS * state.configuration.heartbeat_us
    state.greeting_deadline_us = now_us + interval_us
    return [
        (ServerId(name, ANY_INCARNATION), Greeting())
        for name, _address in state.configuration.peers
        if name != state.identity.name
    ]


def answer_greeting(state: State, stranger: ServerId) -> Found | GreetingResponse | None:
    """A member's answer to a blank server."""
    if state.role is Role.BLANK:
        return None
    if state.membership.is_filled_by(stranger):
        return founding_of(state)
    has_slot = state.membership.slot(stranger.name) is not None
    if has_slot and state.greeted.get(stranger.name) != stranger:
        state.greeted[stranger.name] = stranger
        state.note(Action.GREETING_REFUSED, stranger)
    return GreetingResponse(state.leader, has_slot)


def take_greeting_response(state: State, member: ServerId, cluster: Cluster) -> None:
    """A blank server learns that a cluster exists."""
    if state.role is not Role.BLANK or state.cluster_seen == cluster:
        return
    state.cluster_seen = cluster
    state.note(Action.GREETING_ANSWERED, member)


def founding_of(state: State) -> Found | None:
    """The founding membership, for members that may not have been told."""
    first = state.log.between(1, 1)
    if not first or first[0].kind is not EntryKind.MEMBERSHIP:
        return None
    assert isinstance(first[0].data, Membership)
    return Found(first[0].data)


def binding_refusal(state: State, cluster: Cluster, membership: Membership) -> Refusal | None:
    """Why this founding can't bind this server; None if it may, or has done so already.

    A membership is one entry, and must fit a datagram of every path.
    """
    if state.cluster is not None:
        return None if state.cluster == cluster else Refusal.ALREADY_BOUND
    entry = Entry(FOUNDING_TERM, EntryKind.MEMBERSHIP, membership)
    if entry_bytes(entry) + APPEND_ENTRIES_OVERHEAD_BYTES > state.configuration.body_bytes:
        return Refusal.TOO_LARGE
    if len({slot.name for slot in membership.slots}) < len(membership.slots):
        return Refusal.ALREADY_BOUND
    return None if membership.is_filled_by(state.identity) else Refusal.ALREADY_BOUND


def unheard(state: State) -> list[ServerId]:
    """Members that have not shown that they are bound: the founding is passed on to them."""
    return [other for other in state.others() if other not in state.heard_of]
