"""Handing leadership over (dissertation, section 3.10).

The leader takes no new commands, waits until the target holds its whole log, and sends TimeoutNow.
"""

from __future__ import annotations

from raftudp.consensus.messages import TimeoutNow
from raftudp.consensus.outputs import Refusal
from raftudp.consensus.state import LeadershipTransfer, State
from raftudp.consensus.trace import Action
from raftudp.consensus.vocabulary import Role, ServerId


def begin(state: State, target: str | None, now_us: int) -> Refusal | None:
    """Starts handing over to the named server, or to the furthest of those heard from lately.

    Asked again while it is under way, it changes nothing: nobody can keep a leader from serving for
    longer.
    """
    if state.role is not Role.LEADER:
        return Refusal.BLANK if state.role is Role.BLANK else Refusal.NOT_LEADER
    if state.transfer is not None:
        same = target in (None, state.transfer.target.name)
        return None if same else Refusal.TRANSFERRING
    chosen = _named(state, target) if target is not None else _furthest(state, now_us)
    if chosen is None:
        return Refusal.NO_TARGET
    deadline_us = now_us + state.configuration.election_timeout_us_maximum
    state.transfer = LeadershipTransfer(chosen, deadline_us)
    state.note(Action.TRANSFER, chosen)
    return None


def message(state: State) -> tuple[ServerId, TimeoutNow] | None:
    """TimeoutNow for the target once it holds the whole log; sent again at each heartbeat."""
    transfer = state.transfer
    if transfer is None:
        return None
    progress = state.progress.get(transfer.target)
    if progress is None or progress.match_index < state.log.last_index:
        return None
    return transfer.target, TimeoutNow(state.current_term)


def give_up_if_due(state: State, now_us: int) -> None:
    """Ends a hand-over that did not come about within an election timeout."""
    if state.transfer is not None and now_us >= state.transfer.deadline_us:
        state.note(Action.TRANSFER_ENDED, state.transfer.target)
        state.transfer = None


def _named(state: State, name: str) -> ServerId | None:
    return next((other for other in state.progress if other.name == name), None)


def _furthest(state: State, now_us: int) -> ServerId | None:
    horizon_us = now_us - state.configuration.election_timeout_us_maximum
    heard = [
        (progress.match_index, other)
        for other, progress in state.progress.items()
        if progress.last_heard_us is not None and progress.last_heard_us >= horizon_us
    ]
    return max(heard)[1] if heard else None
