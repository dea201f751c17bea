"""Clients' writes from their arrival to their result: proposed once, answered to whoever asked
last.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from raftudp.consensus.inputs import CommandProposed
from raftudp.consensus.outputs import Refusal
from raftudp.encoding.records import decode_command
from raftudp.errors import DecodeError
from raftudp.limits import PENDING_WRITES_MAXIMUM
from raftudp.runtime.outbox import Outbox
from raftudp.runtime.requests import Origin, RequestReport
from raftudp.store.commands import Command, Outcome, Result
from raftudp.store.state_machine import StateMachine
from raftudp.wire.client_messages import RefusalReason, Write, WriteResult

SLOW_US: Final = 100_000
"""A request that took longer is worth a line."""
FAILURES: Final = frozenset(Outcome) - {Outcome.DONE, Outcome.ABSENT, Outcome.DIFFERENT}

WriteKey: TypeAlias = tuple[bytes, int, int]
"""Client id, opened_at, sequence: what tells a command from every other."""


class PendingWrite(NamedTuple):
    """A command in the log, not yet applied."""

    origin: Origin
    received_us: int


class Writes:
    """The writes that this process took and has not yet answered."""

    def __init__(
        self,
        process: bytes,
        state_machine: StateMachine,
        outbox: Outbox,
        reports: list[RequestReport],
    ) -> None:
        self._process = process
        self._state_machine = state_machine
        self._outbox = outbox
        self._pending: dict[WriteKey, PendingWrite] = {}
        self._attempts: dict[WriteKey, list[tuple[Origin, int]]] = {}
        """Of commands handed to the core in this wake-up: whom to refuse should the core refuse."""
        self._reports = reports
        self.served = 0
        """Commands answered with their result, since the start."""

    def __len__(self) -> int:
        return len(self._pending)

    def take(self, origin: Origin, write: Write, now_us: int) -> list[CommandProposed]:
        """A Write arrived: answer what is known, and return what is to be proposed.

        Raises DecodeError, before anything is taken, if its bytes are no commands of one client.
        """
        commands = [decode_command(data) for data in write.commands]
        if len({command.client_id for command in commands}) != 1:
            raise DecodeError("a Write carries commands of one client")
        proposed = []
        for command, data in zip(commands, write.commands, strict=True):
            if self._take_one(origin, write, command, now_us):
                proposed.append(CommandProposed(_key(command), data))
        return proposed

    def _take_one(self, origin: Origin, write: Write, command: Command, now_us: int) -> bool:
        """Whether the command is new and to be proposed."""
        key = _key(command)
        pending = self._pending.get(key)
        if pending is not None:
            self._pending[key] = pending._replace(origin=origin)
            if key in self._attempts:
                self._attempts[key].append((origin, write.attempt))
            return False
        result = self._state_machine.result_of(*key)
        if result is not None:
            self._answer(origin, key, result)
            return False
        reason = None
        if write.process != self._process:
            reason = RefusalReason.OTHER_PROCESS
        elif len(self._pending) >= PENDING_WRITES_MAXIMUM:
            reason = RefusalReason.OVERLOADED
        if reason is not None:
            self._refuse(origin, key, write.attempt, reason, 0)
            return False
        self._pending[key] = PendingWrite(origin, now_us)
        self._attempts[key] = [(origin, write.attempt)]
        return True

    def refuse(self, key: WriteKey, refusal: Refusal) -> None:
        """The core did not take a command of this wake-up.

        It may be answered already: an earlier copy of it can have been committed by the same step.
        """
        self._pending.pop(key, None)
        for origin, attempt in self._attempts.pop(key):
            self._refuse(origin, key, attempt, RefusalReason(refusal), 0)

    def end_wake_up(self) -> None:
        """The core has answered for every command that it was given."""
        self._attempts.clear()

    def applied(self, command: Command, result: Result, now_us: int) -> None:
        """A command was applied: answer, if it was asked of this process."""
        key = _key(command)
        pending = self._pending.pop(key, None)
        if pending is None:
            return
        self._answer(pending.origin, key, result)
        duration_us = now_us - pending.received_us
        if duration_us > SLOW_US or result.outcome in FAILURES:
            self._report(pending.origin, key, result.outcome.name, duration_us)

    def lose_all(self, now_us: int) -> None:
        """Leadership is lost: what is pending may or may not come to pass."""
        for key, pending in self._pending.items():
            duration_us = now_us - pending.received_us
            self._refuse(pending.origin, key, 0, RefusalReason.PENDING_LOST, duration_us)
        self._pending.clear()

    def _answer(self, origin: Origin, key: WriteKey, result: Result) -> None:
        self.served += 1
        client_id, _, sequence = key
        self._outbox.add_written(origin, client_id, WriteResult(sequence, *result))

    def _refuse(
        self, origin: Origin, key: WriteKey, attempt: int, reason: RefusalReason, duration_us: int
    ) -> None:
        client_id, _, sequence = key
        self._outbox.add_write_refused(origin, client_id, attempt, reason, sequence)
        if reason is not RefusalReason.NOT_LEADER:
            self._report(origin, key, reason.name, duration_us)

    def _report(self, origin: Origin, key: WriteKey, outcome: str, duration_us: int) -> None:
        client_id, _, sequence = key
        self._reports.append(
            RequestReport("write", origin, client_id, sequence, outcome.lower(), duration_us)
        )


def _key(command: Command) -> WriteKey:
    return command.client_id, command.opened_at, command.sequence
