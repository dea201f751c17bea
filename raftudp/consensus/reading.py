"""Linearizable reads by read index (dissertation, section 6.4): no entry in the log, one round to a
quorum.

A read's index is the leader's commit index at the time it came, once the leader has committed an
entry of its own term; it may be answered when a quorum has answered a round that was *sent after*
it came. All reads of a step share one round.
"""

from __future__ import annotations

from collections.abc import Hashable

from raftudp.consensus.outputs import ReadGrant, Refusal
from raftudp.consensus.quorum import quorum_value
from raftudp.consensus.state import State, WaitingRead


def refusal(state: State) -> Refusal | None:
    """Why this leader can't take a read now; None if it can."""
    return None if state.is_open else Refusal.NOT_OPEN


def take(state: State, token: Hashable) -> None:
    """Notes a read; it gets its index and round at the end of the step."""
    state.unindexed_reads.append(token)


def index(state: State) -> bool:
    """Gives new reads their index and the next round. Returns whether that round must be sent."""
    if not state.unindexed_reads or state.commit_index < state.first_index_of_term:
        return False
    for token in state.unindexed_reads:
        state.waiting_reads.append(WaitingRead(token, state.commit_index, state.round + 1))
    state.unindexed_reads.clear()
    return True


def confirmed(state: State) -> list[ReadGrant]:
    """The reads whose round a quorum has answered."""
    if not state.waiting_reads:
        return []
    rounds = {identity: p.acknowledged_round for identity, p in state.progress.items()}
    rounds[state.identity] = state.round
    answered = quorum_value(state.membership, rounds, absent=0)
    grants = []
    while state.waiting_reads and state.waiting_reads[0].round <= answered:
        read = state.waiting_reads.popleft()
        grants.append(ReadGrant(read.token, None, read.read_index))
    return grants


def abandon(state: State) -> list[ReadGrant]:
    """Refuses all waiting reads: leadership is lost."""
    tokens = [read.token for read in state.waiting_reads] + state.unindexed_reads
    state.waiting_reads.clear()
    state.unindexed_reads.clear()
    return [ReadGrant(token, Refusal.NOT_LEADER) for token in tokens]
