"""A run's operations as a history that the linearizability search, and other checkers, can read."""

from __future__ import annotations

from collections.abc import Iterable

from raftudp.client.requests import Get
from raftudp.client.results import Deleted, Found, Swapped, Written
from raftudp.simulation.clients import Done
from raftudp.simulation.history import (
    Argument,
    Comparison,
    OperationKind,
    Outcome,
    Recorded,
    Result,
)
from raftudp.store.commands import CompareAndSet, Delete, Put


def recorded(done: Iterable[Done]) -> list[Recorded]:
    """The operations that mean anything; a read without an answer does not."""
    clients: dict[str, int] = {}
    return [
        _recorded(one, clients.setdefault(one.client, len(clients)))
        for one in done
        if one.outcome != "failed"
    ]


def _recorded(done: Done, process: int) -> Recorded:
    kind, argument = _asked(done)
    result, revision = _answered(done)
    outcome = Outcome(done.outcome)
    returned = None if outcome is Outcome.UNKNOWN else done.returned_us
    return Recorded(
        process,
        kind,
        done.operation.key,
        argument,
        result,
        done.invoked_us,
        returned,
        outcome,
        revision,
    )


def _asked(done: Done) -> tuple[OperationKind, Argument]:
    match done.operation:
        case Get():
            return OperationKind.READ, None
        case Put(_, value):
            return OperationKind.WRITE, value
        case Delete():
            return OperationKind.DELETE, None
        case CompareAndSet(_, expected, value):
            return OperationKind.COMPARE, Comparison(expected, value)


def _answered(done: Done) -> tuple[Result, int | None]:
    match done.value:
        case Found(item):
            return (None, 0) if item is None else (item.value, item.revision)
        case Written(revision):
            return True, revision
        case Deleted(found, revision):
            return found, revision
        case Swapped(swapped, revision):
            return swapped, revision
        case _:
            return None, None
