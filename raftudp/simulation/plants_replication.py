"""Planted bugs of replication: what followers keep, leaders count, and must be durable first."""

from __future__ import annotations

from typing import Final

from raftudp.consensus import founding, quorum, replication, transitions
from raftudp.consensus.inputs import EntriesPersisted
from raftudp.consensus.messages import AppendEntries, AppendEntriesResponse
from raftudp.consensus.outputs import Outputs
from raftudp.consensus.progress import Mode, Progress
from raftudp.consensus.state import State
from raftudp.consensus.trace import Action
from raftudp.consensus.vocabulary import Index
from raftudp.runtime import replica
from raftudp.runtime.replica import Replica
from raftudp.simulation import scripts
from raftudp.simulation.planting import ASSERTION, SHORT, STUCK, UNGUARDED, Change, Plant

_follow = replication.follow
_matched = Progress.matched
_become_leader = transitions.become_leader
_make_durable = Replica._make_durable


# ---- followers


def _follow_with_whole_log(state: State, message: AppendEntries) -> AppendEntriesResponse:
    answer = _follow(state, message)
    return answer._replace(match_index=state.log.last_index) if answer.success else answer


def _follow_and_commit_all(state: State, message: AppendEntries) -> AppendEntriesResponse:
    answer = _follow(state, message)
    if answer.success:
        committed = min(message.leader_commit, state.log.last_index)
        state.commit_index = max(state.commit_index, committed)
    return answer


def _follow_and_commit_less(state: State, message: AppendEntries) -> AppendEntriesResponse:
    answer = _follow(state, message)
    if answer.success:
        state.commit_index = min(message.leader_commit, answer.match_index)
    return answer


def _cut_and_follow(state: State, message: AppendEntries) -> AppendEntriesResponse:
    previous, log = message.previous_log_index, state.log
    if log.matches(previous, message.previous_log_term) and previous < log.last_index:
        if message.entries:
            state.note(Action.TRUNCATE, state.leader, index=previous)
            log.truncate_after(previous)
    return _follow(state, message)


def _follow_blindly(state: State, message: AppendEntries) -> AppendEntriesResponse:
    log = state.log
    previous = message.previous_log_index
    if 0 < previous <= log.last_index and state.commit_index < previous:
        message = message._replace(previous_log_term=log.term_at(previous))
    return _follow(state, message)


def _follow_keeping_conflicts(state: State, message: AppendEntries) -> AppendEntriesResponse:
    log, previous, entries = state.log, message.previous_log_index, message.entries
    if log.matches(previous, message.previous_log_term):
        held = log.between(previous + 1, min(previous + len(entries), log.last_index))
        message = message._replace(entries=(*held, *entries[len(held) :]))
    return _follow(state, message)


# ---- leaders


def _advance_by_count(state: State) -> bool:
    matched = {identity: p.match_index for identity, p in state.progress.items()}
    matched[state.identity] = state.persisted_index
    index = quorum.quorum_value(state.membership, matched, absent=0)
    state.commit_index = max(state.commit_index, index)
    return True


def _matched_anything(progress: Progress, index: Index) -> bool:
    is_news = _matched(progress, index)
    progress.match_index = index
    return is_news


def _rewound(
    progress: Progress,
    previous_log_index: Index,
    resume_after: Index,
    agreed: bool,  # noqa: ARG001  # the original's
    round_: int,  # noqa: ARG001  # the original's
) -> bool:
    progress.mode, progress.probe_sent = Mode.PROBE, False
    progress.next_index = min(resume_after, previous_log_index - 1) + 1
    progress.in_flight.clear()
    progress.in_flight_bytes = 0
    return True


def _not_rewound(*_: object) -> bool:
    return False


def _lead_without_noop(state: State, now_us: int) -> None:
    _become_leader(state, now_us)
    state.log.truncate_after(state.log.last_index - 1)
    for progress in state.progress.values():
        progress.next_index = state.log.last_index + 1


def _nothing_found(_: State) -> None:
    """No founding to pass on."""


# ---- durability


def _count_before_write(self: Replica, outputs: Outputs) -> EntriesPersisted | None:
    persisted = _make_durable(self, outputs)
    if persisted is None and outputs.entries:
        last = outputs.first_index + len(outputs.entries) - 1
        return EntriesPersisted(last, outputs.entries[-1].term)
    return persisted


REPLICATION: Final = (
    Plant(
        "prior-term-commit",
        "an entry of an older term is committed because a quorum holds it",
        ("commitment",),
        (Change(replication, "advance_commit_index", _advance_by_count),),
    ),
    Plant(
        "match-index-from-whole-log",
        "a follower acknowledges all of its log, not what the message verified",
        ("commitment",),
        (Change(replication, "follow", _follow_with_whole_log),),
        script=scripts.a_tail_that_nobody_verified,
    ),
    Plant(
        "match-index-moves-back",
        "a leader takes a late acknowledgement for the latest",
        ("monotonic",),
        (*UNGUARDED, Change(Progress, "matched", _matched_anything)),
    ),
    Plant(
        "late-rejection-rewinds",
        "a late rejection moves the next index back to what is known to match",
        (ASSERTION,),
        (Change(Progress, "rejected", _rewound),),
        script=scripts.a_rejection_that_arrives_again,
    ),
    Plant(
        "rejection-not-heeded",
        "a leader goes on where it was though the follower lacks what comes before",
        (STUCK,),
        (Change(Progress, "rejected", _not_rewound),),
    ),
    Plant(
        "commit-index-moves-back",
        "a follower takes a late message's commit index",
        ("monotonic",),
        (*UNGUARDED, Change(replication, "follow", _follow_and_commit_less)),
    ),
    Plant(
        "commit-beyond-verified",
        "a follower commits what it holds up to the leader's commit index, verified or not",
        ("state machine safety", "commitment"),
        (Change(replication, "follow", _follow_and_commit_all),),
    ),
    Plant(
        "truncation-on-any-overlap",
        "a follower cuts its log where a message's entries begin, though it holds the same ones",
        ("committed truncated", "commitment", "leader completeness"),
        (*UNGUARDED, Change(replication, "follow", _cut_and_follow)),
        script=scripts.a_message_that_arrives_again,
    ),
    Plant(
        "consistency-unchecked",
        "a follower appends wherever it has an entry before, whatever that entry's term",
        ("log matching", "commitment"),
        (Change(replication, "follow", _follow_blindly),),
    ),
    Plant(
        "conflict-kept",
        "a follower keeps its own entries where the leader has others, and acknowledges them",
        ("log matching", "commitment"),
        (*UNGUARDED, Change(replication, "follow", _follow_keeping_conflicts)),
    ),
    Plant(
        "noop-skipped",
        "a new leader appends nothing of its own term",
        (ASSERTION,),
        (Change(transitions, "become_leader", _lead_without_noop),),
    ),
    Plant(
        "founding-not-passed-on",
        "members that the founder did not reach are never told of the founding",
        (STUCK,),
        (Change(founding, "founding_of", _nothing_found),),
    ),
    Plant(
        "acknowledged-before-durable",
        "votes and acknowledgements leave while what they promise is still being written",
        ("durability",),
        (Change(replica, "AppendEntries", object),),
        SHORT._replace(faults=("slow-storage",)),
    ),
    Plant(
        "leader-counts-itself-before-durable",
        "a leader counts itself while its own write is under way",
        ("commitment",),
        (Change(Replica, "_make_durable", _count_before_write),),
        SHORT._replace(faults=("slow-storage",)),
    ),
)
