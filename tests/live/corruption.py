"""Histories spoilt on purpose, to see that the checker would have noticed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raftudp.simulation.history import OperationKind, Outcome, Recorded


def with_stale_read(operations: Sequence[Recorded]) -> list[Recorded]:
    """One read sees a value that was overwritten before it began.

    The values are unique, so nothing else can have written it; and that it was overwritten is
    certain, for the overwriting began after it was written and ended before the read began.
    """
    for number, read in enumerate(operations):
        if read.operation is not OperationKind.READ or read.returned is None:
            continue
        before = [w for w in _writes(operations, read.key) if (w.returned or 0) < read.invoked]
        if len(before) < 2:
            continue
        latest = max(before, key=lambda write: write.invoked)
        for write in before:
            if (write.returned or 0) < latest.invoked:
                stale = read._replace(result=write.argument, revision=None)
                return [*operations[:number], stale, *operations[number + 1 :]]
    raise AssertionError("no write of this history was ever overwritten before a read")


def with_lost_write(operations: Sequence[Recorded]) -> list[Recorded]:
    """After all others one more write is acknowledged, and the read after it sees nothing of it.

    What it sees instead was seen before the write began, so no unknown write can have brought it.
    """
    end = max(operation.returned or operation.invoked for operation in operations)
    last = max(
        (o for o in operations if o.operation is OperationKind.READ and o.result is not None),
        key=lambda read: read.invoked,
    )
    lost = last._replace(
        operation=OperationKind.WRITE,
        argument=b"lost",
        result=True,
        invoked=end + 1,
        returned=end + 2,
        revision=None,
    )
    after = last._replace(invoked=end + 3, returned=end + 4, revision=None)
    return [*operations, lost, after]


def _writes(operations: Sequence[Recorded], key: bytes) -> Iterator[Recorded]:
    """The writes of one key that are known to be done."""
    for operation in operations:
        if operation.operation is OperationKind.WRITE and operation.key == key:
            if operation.outcome is Outcome.DONE:
                yield operation
