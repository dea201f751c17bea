"""The replicated state machine: applies the log's commands, in order, to the keys and sessions.

A large command arrives as parts in consecutive entries of one term, the last of them an ordinary
command entry. A change of leader cuts a command short: its parts are dropped at the first entry of
another term, or of another kind.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import assert_never

from raftudp.errors import DecodeError
from raftudp.limits import COMMAND_BYTES_MAXIMUM, LIST_BYTES_MAXIMUM, LIST_ITEMS_MAXIMUM
from raftudp.store.commands import (
    Command,
    CompareAndSet,
    Delete,
    Item,
    OpenSession,
    Outcome,
    Put,
    Result,
)
from raftudp.store.key_value_store import KeyValueStore
from raftudp.store.sessions import Sessions


class StateMachine:
    """Keys and sessions at `last_applied`; equal on all replicas that have applied as much."""

    def __init__(self, decode: Callable[[bytes], Command]) -> None:
        """Begin empty. `decode` makes commands of bytes or raises DecodeError, always alike."""
        self.last_applied = 0
        self._decode = decode
        self._store = KeyValueStore()
        self._sessions = Sessions()
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        """Of all parts so far, even where they are too many to be kept."""
        self._parts_term = 0

    def apply_part(self, index: int, term: int, data: bytes) -> None:
        """Apply a part of a large command that goes on in the next entry (COMMAND_PART)."""
        self._advance(index)
        self._gather(term, data)

    def apply_command(self, index: int, term: int, data: bytes) -> tuple[Command | None, Result]:
        """Apply a whole command, or the last part of one (COMMAND); None if it can't be decoded.

        A command that was applied before answers its first result and changes nothing.
        """
        self._advance(index)
        self._gather(term, data)
        whole = b"".join(self._parts) if self._parts_bytes <= COMMAND_BYTES_MAXIMUM else None
        self._drop_parts()
        if whole is None:
            return None, Result(Outcome.INVALID, index)
        try:
            command = self._decode(whole)
        except DecodeError:
            return None, Result(Outcome.INVALID, index)
        return command, self._apply(command, index)

    def apply_other(self, index: int, term: int) -> None:  # noqa: ARG002  # like its siblings
        """Apply an entry that is none of the store's business."""
        self._advance(index)
        self._drop_parts()

    def get(self, key: bytes) -> Item | None:
        """The key's item, or None where it is absent."""
        return self._store.get(key)

    def list(self, prefix: bytes, after: bytes | None, limit: int) -> tuple[tuple[Item, ...], bool]:
        """A page of the keys that begin with `prefix`, behind `after`; and whether more follow."""
        return self._store.list(prefix, after, min(limit, LIST_ITEMS_MAXIMUM), LIST_BYTES_MAXIMUM)

    def result_of(self, client_id: bytes, opened_at: int, sequence: int) -> Result | None:
        """The result of a command that was applied already and may still be asked for."""
        return self._sessions.result_of(client_id, opened_at, sequence)

    def digest(self) -> bytes:
        """A SHA-256 over all that is replicated: equal at equal `last_applied` on all replicas."""
        digest = hashlib.sha256()

        def add(*values: int | bytes) -> None:
            for value in values:
                data = value if isinstance(value, bytes) else value.to_bytes(8)
                digest.update(len(data).to_bytes(8) + data)

        add(self.last_applied, len(self._store))
        for item in self._store.items():
            add(item.key, item.value, item.revision)
        add(len(self._sessions))
        for client_id, session in self._sessions:
            add(client_id, session.opened_at, session.first_incomplete, len(session.results))
            for sequence, result in sorted(session.results.items()):
                add(sequence, result.outcome, result.revision)
        add(self._parts_term, self._parts_bytes, *self._parts)
        return digest.digest()

    def _advance(self, index: int) -> None:
        assert index == self.last_applied + 1, "entries are applied in order, each once"
        self.last_applied = index

    def _gather(self, term: int, data: bytes) -> None:
        if term != self._parts_term:
            self._drop_parts()
            self._parts_term = term
        self._parts_bytes += len(data)
        if self._parts_bytes <= COMMAND_BYTES_MAXIMUM:
            self._parts.append(data)
        else:
            self._parts.clear()

    def _drop_parts(self) -> None:
        self._parts.clear()
        self._parts_bytes = 0
        self._parts_term = 0

    def _apply(self, command: Command, index: int) -> Result:
        operation = command.operation
        if isinstance(operation, OpenSession):
            return self._sessions.open(command.client_id, index)
        answered = self._sessions.check(command, index)
        if answered is not None:
            return answered
        result = Result(self._execute(operation, index), index)
        self._sessions.record(command, result)
        return result

    def _execute(self, operation: Put | Delete | CompareAndSet, index: int) -> Outcome:
        store = self._store
        match operation:
            case Put():
                store.put(operation.key, operation.value, index)
            case Delete():
                if not store.delete(operation.key):
                    return Outcome.ABSENT
            case CompareAndSet():
                item = store.get(operation.key)
                if (None if item is None else item.value) != operation.expected:
                    return Outcome.DIFFERENT
                store.put(operation.key, operation.value, index)
            case _:
                assert_never(operation)
        return Outcome.DONE
