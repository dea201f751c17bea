"""The linear-time check of a history: the committed log is the order that explains every answer.

It replays the log on a model of its own, as plain as can be, and looks each operation up in it:

- a write that is done lies at the revision that it was told, as that operation, once, committed
  after it was invoked and before it returned, and with the result that the model has;
- a read saw the key as it was at some index between what was committed anywhere when it was invoked
  and what was committed when it returned;
- a write that is not done is nowhere in the log.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from raftudp.client.results import Deleted, Found, Swapped, Written
from raftudp.consensus.vocabulary import Entry, EntryKind
from raftudp.encoding.records import decode_command
from raftudp.simulation.clients import Done
from raftudp.simulation.violations import Violation
from raftudp.store.commands import (
    Command,
    CompareAndSet,
    Delete,
    OpenSession,
    Operation,
    Outcome,
    Put,
)

ABSENT = (0, None)


class Model:
    """The committed log, replayed without any of the store's code."""

    def __init__(self, log: Sequence[Entry]) -> None:
        self.changes: dict[bytes, list[tuple[int, bytes | None]]] = {}
        """By key: index and value of every change, in order."""
        self.applied: dict[int, tuple[Operation, Outcome]] = {}
        """By index: what was run there for the first time, and what it did."""
        self._values: dict[bytes, tuple[int, bytes | None]] = {}
        self._sessions: dict[bytes, int] = {}
        self._seen: set[tuple[bytes, int]] = set()
        self._first_incomplete: dict[bytes, int] = {}
        parts: list[bytes] = []
        parts_term = 0
        for index, (term, kind, data) in enumerate(log, 1):
            if parts and term != parts_term:
                parts = []
            parts_term = term
            if kind is EntryKind.COMMAND_PART:
                assert isinstance(data, bytes)
                parts.append(data)
                continue
            if kind is EntryKind.COMMAND:
                assert isinstance(data, bytes)
                self._apply(index, decode_command(b"".join([*parts, data])))
            parts = []

    def _apply(self, index: int, command: Command) -> None:
        client, operation = command.client_id, command.operation
        if isinstance(operation, OpenSession):
            self._sessions.setdefault(client, index)
            return
        if self._sessions.get(client) != command.opened_at:
            return
        complete = max(self._first_incomplete.get(client, 1), command.first_incomplete)
        self._first_incomplete[client] = complete
        request = (client, command.sequence)
        if command.sequence < complete or request in self._seen:
            return
        self._seen.add(request)
        self.applied[index] = (operation, self._run(index, operation))

    def _run(self, index: int, operation: Put | Delete | CompareAndSet) -> Outcome:
        key = operation.key
        now = self._values.get(key, ABSENT)[1]
        value: bytes | None
        if isinstance(operation, Delete):
            if now is None:
                return Outcome.ABSENT
            value = None
        elif isinstance(operation, CompareAndSet) and operation.expected != now:
            return Outcome.DIFFERENT
        else:
            value = operation.value
        self._values[key] = (index, value)
        self.changes.setdefault(key, []).append((index, value))
        return Outcome.DONE

    def contents(self) -> dict[bytes, tuple[int, bytes]]:
        """The keys that are there at the end, with revision and value."""
        return {
            key: (revision, value)
            for key, (revision, value) in self._values.items()
            if value is not None
        }


def check_history(log: Sequence[Entry], done: Sequence[Done]) -> Model:
    """Raises Violation unless the committed log explains every operation's outcome."""
    model = Model(log)
    claimed: dict[int, Done] = {}
    not_done = set()
    for operation in done:
        if isinstance(operation.value, Found):
            _check_read(model, operation, operation.value)
        elif isinstance(operation.value, Written | Deleted | Swapped):
            _check_write(model, operation, operation.value)
            other = claimed.setdefault(operation.value.revision, operation)
            if other is not operation:
                raise Violation("exactly once", f"one entry answers both {other} and {operation}")
        elif operation.outcome == "not done" and isinstance(
            operation.operation, Put | CompareAndSet
        ):
            not_done.add(operation.operation.value)
    for index, (command, _) in model.applied.items():
        if isinstance(command, Put | CompareAndSet) and command.value in not_done:
            raise Violation("outcome", f"{command} was called not done, and was run at {index}")
    return model


def _check_write(model: Model, done: Done, value: Written | Deleted | Swapped) -> None:
    if not done.committed_before < value.revision <= done.committed_after:
        raise Violation("real time", f"{done} was not committed while it was under way")
    found = model.applied.get(value.revision)
    if found is None or found[0] != done.operation:
        raise Violation("lost write", f"{done}: the log holds {found} at its revision")
    expected = Outcome.DONE
    if isinstance(value, Deleted) and not value.found:
        expected = Outcome.ABSENT
    elif isinstance(value, Swapped) and not value.swapped:
        expected = Outcome.DIFFERENT
    if found[1] is not expected:
        raise Violation("result", f"{done}: the log gives {found[1].name}")


def _check_read(model: Model, done: Done, value: Found) -> None:
    changes = model.changes.get(done.operation.key, [])
    revision, content = ABSENT if value.item is None else (value.item.revision, value.item.value)
    # The states of the key that some index between the two ends shows.
    first = bisect_right(changes, done.committed_before, key=lambda change: change[0])
    last = bisect_right(changes, done.committed_after, key=lambda change: change[0])
    window = changes[max(0, first - 1) : last]
    if first == 0:
        window = [(0, None), *window]
    for index, held in window:
        if held == content and (held is None or index == revision):
            return
    raise Violation(
        "stale read",
        f"{done}: between {done.committed_before} and {done.committed_after} the key was {window}",
    )
