"""Planted bugs of linearizable reads."""

from __future__ import annotations

from typing import Final

from raftudp.consensus import reading, replication
from raftudp.consensus.messages import AppendEntriesResponse
from raftudp.consensus.outputs import ReadGrant
from raftudp.consensus.quorum import quorum_value
from raftudp.consensus.server import Server
from raftudp.consensus.state import NEVER, State, WaitingRead
from raftudp.consensus.vocabulary import Role, ServerId
from raftudp.runtime.reads import Reads
from raftudp.runtime.requests import Origin
from raftudp.simulation import scripts
from raftudp.simulation.planting import SHORT, Change, Plant
from raftudp.wire.client_messages import List, Read

_confirmed = reading.confirmed
_take_response = replication.take_response
_is_current = Server._is_current
_take = Reads.take

LEADERSHIP: Final = SHORT._replace(
    faults=("clocks", "delay", "holding", "loss", "partitions", "pauses", "transfers")
)


def _index_at_once(state: State) -> bool:
    for token in state.unindexed_reads:
        state.waiting_reads.append(WaitingRead(token, state.commit_index, state.round + 1))
    is_news = bool(state.unindexed_reads)
    state.unindexed_reads.clear()
    return is_news


def _grant_all(state: State) -> list[ReadGrant]:
    grants = [ReadGrant(read.token, None, read.read_index) for read in state.waiting_reads]
    state.waiting_reads.clear()
    return grants


def _grant_under_lease(state: State) -> list[ReadGrant]:
    if state.waiting_reads:
        heard = {
            identity: -NEVER if p.last_heard_us is None else p.last_heard_us
            for identity, p in state.progress.items()
        }
        now_us = heard[state.identity] = state.rounds_sent_us[-1]
        since_us = now_us - quorum_value(state.membership, heard, absent=-NEVER)
        if since_us < state.configuration.election_timeout_us_minimum:
            return _grant_all(state)
    return _confirmed(state)


def _take_for_latest_round(
    state: State, follower: ServerId, message: AppendEntriesResponse, now_us: int
) -> None:
    _take_response(state, follower, message._replace(round=state.round), now_us)


def _is_current_to_a_leader(self: Server, term: int, now_us: int, or_lower: bool = False) -> bool:
    if self._state.role is Role.LEADER and term > self._state.current_term:
        return True
    return _is_current(self, term, now_us, or_lower)


def _take_as_stale(
    self: Reads, origin: Origin, request: Read | List, is_blank: bool, now_us: int
) -> None:
    _take(self, origin, request._replace(stale=True), is_blank, now_us)


READING: Final = (
    Plant(
        "read-before-own-term-commit",
        "a new leader reads at the commit index that it had as a follower",
        ("read index", "stale read"),
        (Change(reading, "index", _index_at_once),),
        LEADERSHIP,
    ),
    Plant(
        "read-acknowledged-by-another-round",
        "an answer to an earlier round confirms that the leader still leads now",
        ("read index", "stale read"),
        (Change(replication, "take_response", _take_for_latest_round),),
        LEADERSHIP,
        script=scripts.a_read_of_a_leader_that_was,
    ),
    Plant(
        "read-unconfirmed",
        "a leader reads without asking anyone whether it still leads",
        ("read index", "stale read"),
        (Change(reading, "confirmed", _grant_all),),
        LEADERSHIP,
    ),
    Plant(
        "lease-on-any-clock",
        "a leader heard within an election timeout reads at once, though clocks differ and"
        " leadership is handed over",
        ("read index", "stale read"),
        (Change(reading, "confirmed", _grant_under_lease),),
        LEADERSHIP,
        script=scripts.a_read_of_a_leader_that_was,
    ),
    Plant(
        "higher-term-unheeded",
        "a leader takes answers from a higher term for its own",
        ("read index", "stale read"),
        (Change(Server, "_is_current", _is_current_to_a_leader),),
        LEADERSHIP,
    ),
    Plant(
        "stale-answer",
        "a replica answers linearizable reads from its own store at once",
        ("stale read",),
        (Change(Reads, "take", _take_as_stale),),
    ),
)
