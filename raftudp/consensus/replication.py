"""Log replication: what a follower does with AppendEntries, what a leader sends and counts (paper,
sections 5.3, 5.4.2).

There is no layer that acknowledges datagrams. Each AppendEntries stands alone; a lost one shows as
a mismatch at the next, which may be a heartbeat, and the follower's hint tells where to go on.
"""

from __future__ import annotations

from raftudp.consensus.log import entry_bytes
from raftudp.consensus.messages import AppendEntries, AppendEntriesResponse
from raftudp.consensus.progress import Mode, Progress
from raftudp.consensus.quorum import quorum_value
from raftudp.consensus.state import NEVER, State
from raftudp.consensus.trace import Action
from raftudp.consensus.vocabulary import Entry, EntryKind, Index, Role, ServerId
from raftudp.limits import (
    APPEND_ENTRIES_OVERHEAD_BYTES,
    ENTRIES_PER_MESSAGE_MAXIMUM,
    ENTRY_DATA_BYTES_MAXIMUM,
)


def split_command(term: int, command: bytes) -> list[Entry]:
    """A command as entries: whole if it fits, else in parts that each fit the smallest datagram."""
    if len(command) <= ENTRY_DATA_BYTES_MAXIMUM:
        return [Entry(term, EntryKind.COMMAND, command)]
    step = ENTRY_DATA_BYTES_MAXIMUM
    parts = [command[i : i + step] for i in range(0, len(command), step)]
    entries = [Entry(term, EntryKind.COMMAND_PART, part) for part in parts[:-1]]
    entries.append(Entry(term, EntryKind.COMMAND, parts[-1]))
    return entries


# ---- the follower's side


def follow(state: State, message: AppendEntries) -> AppendEntriesResponse:
    """Figure 2, "AppendEntries RPC", receiver rules 2 to 5; the sender leads the current term.

    Truncates only where terms differ, and commits only up to what this message verified.
    """
    log = state.log
    previous = message.previous_log_index
    if not log.matches(previous, message.previous_log_term):
        hint = log.greatest_index_not_above(previous, message.previous_log_term)
        return AppendEntriesResponse(
            state.current_term, message.round, False, 0, previous, hint, log.term_at(hint)
        )
    entries = message.entries
    last = previous + len(entries)
    known = 0
    while known < len(entries) and log.matches(previous + known + 1, entries[known].term):
        known += 1
    if known < len(entries):
        if previous + known < log.last_index:
            _truncate_after(state, previous + known)
        log.append(entries[known:])
    state.commit_index = max(state.commit_index, min(message.leader_commit, last))
    return AppendEntriesResponse(state.current_term, message.round, True, last, 0, 0, 0)


def follow_in_order(state: State, message: AppendEntries) -> AppendEntriesResponse:
    """Follows, and keeps what came too early until the gap before it is closed.

    The answer is to `message`, whose round it names, and tells how far the log is verified with
    what was waiting.
    """
    early, last_index = state.early, state.log.last_index
    answer = follow(state, message)
    if not answer.success:
        if message.previous_log_index > last_index:
            early.keep(message)
        return answer
    if early:
        while (waiting := early.take(state.current_term, answer.match_index)) is not None:
            answer = follow(state, waiting)._replace(round=message.round)
            assert answer.success, "it follows on what was just verified, in the same term"
        early.drop_before(answer.match_index)
    return answer


def reject(state: State, message: AppendEntries) -> AppendEntriesResponse:
    """The answer to a leader of a bygone term: it carries the term that will depose it."""
    return AppendEntriesResponse(
        state.current_term, message.round, False, 0, message.previous_log_index, 0, 0
    )


def _truncate_after(state: State, index: Index) -> None:
    assert index >= state.commit_index, "what is committed is never truncated"
    assert state.role is not Role.LEADER, "a leader only appends"
    state.note(Action.TRUNCATE, state.leader, index=index)
    state.log.truncate_after(index)


# ---- the leader's side


def append(state: State, entries: list[Entry]) -> Index:
    """Adds a leader's own entries; returns the last one's index."""
    assert state.role is Role.LEADER
    state.log.append(entries)
    state.uncommitted_bytes += sum(entry_bytes(entry) for entry in entries)
    return state.log.last_index


def take_response(
    state: State, follower: ServerId, message: AppendEntriesResponse, now_us: int
) -> None:
    """Notes a follower's answer; one that does not fill a slot of the latest membership is not
    counted.
    """
    progress = state.progress.get(follower)
    if progress is None or message.round > state.round:
        return
    oldest = state.round - len(state.rounds_sent_us) + 1
    if message.round >= oldest:
        progress.heard(message.round, state.rounds_sent_us[message.round - oldest], now_us)
    log = state.log
    if message.success:
        if message.match_index <= log.last_index:
            state.may_commit |= progress.matched(message.match_index)
        return
    hint = min(message.hint_index, log.last_index)
    resume_after = log.greatest_index_not_above(hint, message.hint_term)
    agreed = resume_after == message.hint_index and log.term_at(hint) == message.hint_term
    if progress.rejected(message.previous_log_index, resume_after, agreed, message.round):
        progress.rewound_at_round = state.round + 1


def advance_commit_index(state: State) -> bool:
    """Figure 2, "Rules for Servers", leaders: commits what a quorum holds, if it is of the leader's
    own term.
    """
    if not state.may_commit:
        return False
    state.may_commit = False
    match_indexes = {identity: p.match_index for identity, p in state.progress.items()}
    match_indexes[state.identity] = state.persisted_index
    index = quorum_value(state.membership, match_indexes, absent=0)
    if index <= state.commit_index or index < state.first_index_of_term:
        return False
    assert state.log.term_at(index) == state.current_term
    if state.uncommitted_bytes:
        first = max(state.commit_index, state.first_index_of_term) + 1
        state.uncommitted_bytes -= sum(
            entry_bytes(entry) for entry in state.log.between(first, index)
        )
    state.commit_index = index
    return True


def flush(
    state: State, heartbeat: bool, confirm: bool, now_us: int
) -> list[tuple[ServerId, AppendEntries]]:
    """What a leader sends at the end of a step: new entries, within each follower's window.

    With `heartbeat` every follower gets something, a lost probe again; with `confirm`, for reads,
    every follower gets something. Followers at the same index get the very same message, which is
    therefore encoded once.
    """
    round_ = state.round + 1
    built: dict[tuple[Index, bool], tuple[AppendEntries, int]] = {}
    sent: list[tuple[ServerId, AppendEntries]] = []
    for follower, progress in state.progress.items():
        before = len(sent)
        if heartbeat:
            progress.probe_sent = False
        while progress.next_index <= state.log.last_index and progress.may_send():
            message, size = _build(state, progress, round_, built)
            progress.sent(progress.next_index + len(message.entries) - 1, size)
            sent.append((follower, message))
        if (heartbeat or confirm) and len(sent) == before:
            sent.append((follower, _build(state, progress, round_, built, empty=True)[0]))
    if sent or confirm:
        state.round = round_
        state.rounds_sent_us.append(now_us)
        horizon_us = now_us - 4 * state.configuration.election_timeout_us_maximum
        while state.rounds_sent_us[0] < horizon_us:
            state.rounds_sent_us.popleft()
    if heartbeat:
        state.heartbeat_deadline_us = now_us + state.configuration.heartbeat_us
    return sent


def heard_from_quorum_us(state: State, now_us: int) -> int:
    """The time since which a quorum, itself included, was heard from."""
    heard = {
        identity: state.leading_since_us if p.last_heard_us is None else p.last_heard_us
        for identity, p in state.progress.items()
    }
    heard[state.identity] = now_us
    return quorum_value(state.membership, heard, absent=-NEVER)


def _build(
    state: State,
    progress: Progress,
    round_: int,
    built: dict[tuple[Index, bool], tuple[AppendEntries, int]],
    empty: bool = False,
) -> tuple[AppendEntries, int]:
    previous = progress.next_index - 1
    known = built.get((previous, empty))
    if known is not None:
        return known
    log = state.log
    entries: tuple[Entry, ...] = ()
    size = 0
    if not empty:
        budget = state.configuration.body_bytes - APPEND_ENTRIES_OVERHEAD_BYTES
        entries, size = log.batch(progress.next_index, budget, ENTRIES_PER_MESSAGE_MAXIMUM)
    message = AppendEntries(
        state.current_term, round_, previous, log.term_at(previous), state.commit_index, entries
    )
    built[previous, empty] = (message, size)
    return message, size


def is_caught_up(state: State, follower: ServerId) -> bool:
    """Whether the follower is known to hold the whole log."""
    progress = state.progress.get(follower)
    return (
        progress is not None
        and progress.mode is Mode.REPLICATE
        and progress.match_index == state.log.last_index
    )
