"""Planted bugs of what clients are told and what the store makes of their commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from raftudp.client import writes as client_writes
from raftudp.client.attempts import PendingWrite
from raftudp.consensus.outputs import Proposal, ReadGrant
from raftudp.errors import ClientError, NotDone
from raftudp.runtime.service import ClientService
from raftudp.simulation import scripts
from raftudp.simulation.planting import SHORT, Change, Plant
from raftudp.simulation.process import WatchedStateMachine
from raftudp.store.commands import Command, CompareAndSet, Delete, Outcome, Put, Result
from raftudp.store.sessions import Sessions
from raftudp.store.state_machine import StateMachine

_settle = ClientService.settle
_check = Sessions.check
_result_of = Sessions.result_of
_execute = StateMachine._execute


def _check_session_alone(self: Sessions, command: Command, index: int) -> Result | None:
    answered = _check(self, command, index)
    known = _result_of(self, command.client_id, command.opened_at, command.sequence)
    return None if answered == known else answered


def _no_result(*_: object) -> Result | None:
    return None


def _gather_everything(self: StateMachine, term: int, data: bytes) -> None:
    self._parts_term = term
    self._parts_bytes += len(data)
    self._parts.append(data)


def _advance_alone(self: StateMachine, index: int, term: int) -> None:  # noqa: ARG001  # the original's
    self._advance(index)


def _answer_on_proposal(
    self: ClientService, proposals: Sequence[Proposal], grants: Sequence[ReadGrant], now_us: int
) -> None:
    for proposal in proposals:
        token = proposal.token
        if proposal.refusal is None and isinstance(token, tuple):
            pending = self.writes._pending.pop(token, None)
            if pending is not None:
                result = Result(Outcome.DONE, proposal.index)
                self.writes._answer(pending.origin, token, result)
    _settle(self, proposals, grants, now_us)


def _failed_for_sure(write: PendingWrite, what: str, why: str) -> ClientError:  # noqa: ARG001  # the original's
    return NotDone(what)


def _execute_unconditionally(
    self: StateMachine, operation: Put | Delete | CompareAndSet, index: int
) -> Outcome:
    if isinstance(operation, CompareAndSet):
        operation = Put(operation.key, operation.value)
    return _execute(self, operation, index)


def _execute_here(
    self: StateMachine, operation: Put | Delete | CompareAndSet, index: int
) -> Outcome:
    assert isinstance(self, WatchedStateMachine)
    if isinstance(operation, Delete) and self._identity.name == "ss-0":
        return Outcome.DONE
    return _execute(self, operation, index)


CLIENTS: Final = (
    Plant(
        "session-forgotten",
        "a command that was applied before is applied again",
        ("exactly once", "lost write", "result", "store"),
        (
            Change(Sessions, "check", _check_session_alone),
            Change(Sessions, "result_of", _no_result),
        ),
        SHORT._replace(faults=("delay", "loss", "pauses", "transfers")),
    ),
    Plant(
        "parts-joined-across-terms",
        "parts of a large command that a change of leader cut short are joined to what follows",
        ("lost write", "result", "store"),
        (
            Change(StateMachine, "_gather", _gather_everything),
            Change(StateMachine, "apply_other", _advance_alone),
        ),
        script=scripts.half_a_command,
    ),
    Plant(
        "answered-before-commit",
        "a leader calls a write done once it is in its own log",
        ("real time", "lost write", "result"),
        (Change(ClientService, "settle", _answer_on_proposal),),
    ),
    Plant(
        "client-lies-not-done",
        "a write of unknown outcome is called not done",
        ("outcome",),
        (Change(client_writes.Writes, "_failed", staticmethod(_failed_for_sure)),),
        SHORT._replace(faults=("clogs", "delay", "loss", "partitions", "pauses")),
    ),
    Plant(
        "compare-and-set-without-compare",
        "a compare-and-set sets whatever it finds",
        ("result", "store"),
        (Change(StateMachine, "_execute", _execute_unconditionally),),
    ),
    Plant(
        "replica-differs",
        "one replica's store treats a command unlike the others'",
        ("equal states",),
        (Change(StateMachine, "_execute", _execute_here),),
    ),
)
