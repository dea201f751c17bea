"""Clients' reads: stale ones at once, linearizable ones when the store has applied their read
index.

All linearizable reads of a wake-up share one read index (dissertation, section 6.4).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from raftudp.consensus.inputs import ReadRequested
from raftudp.consensus.outputs import ReadGrant
from raftudp.limits import PENDING_READS_MAXIMUM
from raftudp.runtime.outbox import Outbox
from raftudp.runtime.requests import Origin, RequestReport
from raftudp.runtime.writes import SLOW_US
from raftudp.store.state_machine import StateMachine
from raftudp.wire.client_messages import (
    GetRequest,
    GetResult,
    List,
    ListAnswer,
    Read,
    RefusalReason,
)


@dataclass(slots=True)
class _Batch:
    """The linearizable reads of one wake-up."""

    received_us: int
    wanted: list[tuple[Origin, GetRequest | List]] = field(default_factory=list)
    read_index: int | None = None
    """None until the core grants it."""


class Reads:
    """The reads that this process took and has not yet answered."""

    def __init__(
        self, state_machine: StateMachine, outbox: Outbox, reports: list[RequestReport]
    ) -> None:
        self._state_machine = state_machine
        self._outbox = outbox
        self._batches: dict[int, _Batch] = {}
        self._next_token = 0
        self._gathering: _Batch | None = None
        self._pending = 0
        self._reports = reports
        self.served = 0
        """Gets and lists answered, since the start."""

    def __len__(self) -> int:
        return self._pending

    def take(self, origin: Origin, request: Read | List, is_blank: bool, now_us: int) -> None:
        """Reads arrived; stale ones are answered now, but for a blank replica: it knows nothing."""
        wanted = request.gets if isinstance(request, Read) else (request,)
        for one in wanted:
            if request.stale and is_blank:
                self._outbox.add_refused(origin, RefusalReason.BLANK, one.request)
            elif request.stale:
                self._answer(origin, one)
            elif self._pending >= PENDING_READS_MAXIMUM:
                self._refuse(origin, one, RefusalReason.OVERLOADED, 0)
            else:
                self._gathering = self._gathering or _Batch(now_us)
                self._gathering.wanted.append((origin, one))
                self._pending += 1

    def requested(self) -> list[ReadRequested]:
        """What the core is to be asked for the reads gathered in this wake-up."""
        if self._gathering is None:
            return []
        self._next_token += 1
        self._batches[self._next_token] = self._gathering
        self._gathering = None
        return [ReadRequested(self._next_token)]

    def granted(self, grant: ReadGrant, now_us: int) -> None:
        """The core gave a batch its index, or refused it."""
        assert isinstance(grant.token, int), "the token of ReadRequested comes back"
        batch = self._batches[grant.token]
        batch.read_index = grant.read_index
        if grant.refusal is not None:
            del self._batches[grant.token]
            self._pending -= len(batch.wanted)
            for origin, one in batch.wanted:
                reason = RefusalReason(grant.refusal)
                self._refuse(origin, one, reason, now_us - batch.received_us)

    def answer_applied(self, now_us: int) -> None:
        """Answer the batches whose index the store has reached."""
        applied = self._state_machine.last_applied
        due = [
            token
            for token, batch in self._batches.items()
            if batch.read_index is not None and batch.read_index <= applied
        ]
        for token in due:
            batch = self._batches.pop(token)
            self._pending -= len(batch.wanted)
            duration_us = now_us - batch.received_us
            for origin, one in batch.wanted:
                self._answer(origin, one)
                if duration_us > SLOW_US:
                    self._report(origin, one, "done", duration_us)

    def _answer(self, origin: Origin, one: GetRequest | List) -> None:
        self.served += 1
        applied = self._state_machine.last_applied
        if isinstance(one, List):
            items, more = self._state_machine.list(one.prefix, one.after, one.limit)
            self._outbox.add(origin, ListAnswer(one.request, applied, items, more))
            return
        item = self._state_machine.get(one.key)
        result = (
            GetResult(one.request, None, 0)
            if item is None
            else GetResult(one.request, item.value, item.revision)
        )
        self._outbox.add_gotten(origin, applied, result)

    def _refuse(
        self, origin: Origin, one: GetRequest | List, reason: RefusalReason, duration_us: int
    ) -> None:
        self._outbox.add_refused(origin, reason, one.request)
        if reason is not RefusalReason.NOT_LEADER:
            self._report(origin, one, reason.name.lower(), duration_us)

    def _report(
        self, origin: Origin, one: GetRequest | List, outcome: str, duration_us: int
    ) -> None:
        kind = "list" if isinstance(one, List) else "read"
        self._reports.append(RequestReport(kind, origin, b"", one.request, outcome, duration_us))
