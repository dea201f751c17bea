"""Simulated clients: the real session, asked for random operations at a given rate, everything
recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple, TypeAlias, cast

from raftudp.client.requests import Get, WriteOperation
from raftudp.client.results import Deleted, Found, Swapped, Value, Written
from raftudp.client.roster import Source
from raftudp.client.session import Session
from raftudp.consensus.vocabulary import ANY_INCARNATION, ServerId
from raftudp.errors import ClientError, EnvelopeError, NotDone, OutcomeUnknown
from raftudp.runtime.requests import Origin
from raftudp.simulation.post import Answered, Asked
from raftudp.simulation.schedule import Schedule
from raftudp.store.commands import CompareAndSet, Delete, Put
from raftudp.wire.envelope import KeyRing, Kind, Opener, Sealer

TIMEOUT_US: Final = 4_000_000
KEYS: Final = 8
"""Few, so that operations meet."""
LARGE_VALUE_BYTES: Final = 2_500
"""More than one entry, and more than one datagram."""

Send: TypeAlias = Callable[[str, str, object], None]
Operation: TypeAlias = WriteOperation | Get


class Invocation(NamedTuple):
    """An operation under way."""

    operation: Operation
    invoked_us: int
    committed: int
    """How much was committed anywhere when it was invoked."""


class Done(NamedTuple):
    """An operation's end, for the witness and the history."""

    client: str
    operation: Operation
    outcome: str
    """done, not done, unknown, or failed (a read without an answer)."""
    value: Value | None
    invoked_us: int
    returned_us: int
    committed_before: int
    committed_after: int


class Client:
    """One client process; it asks at random intervals until told to stop, many operations at a
    time.
    """

    def __init__(
        self,
        name: str,
        *,
        servers: tuple[str, ...],
        schedule: Schedule,
        random: Random,
        send: Send,
        committed: Callable[[], int],
        interval_us: int,
        body_bytes: int,
        keys: KeyRing | None,
    ) -> None:
        """`committed` tells how much is committed anywhere; `keys` seal, None leaves messages as
        they are.
        """
        self.name = name
        self._schedule = schedule
        self._random = random
        self._network_send = send
        self._committed = committed
        self._interval_us = interval_us
        self._process = random.randbytes(16)
        self._sealer = None if keys is None else Sealer(keys, self._process)
        self._opener = Opener(keys)
        self._session = Session(
            servers,
            client_id=random.randbytes(16),
            random=Random(random.getrandbits(64)),
            body_bytes=lambda _: body_bytes,
        )
        self._open: dict[int, Invocation] = {}
        self._is_asking = True
        self._timer_us = -1
        self._written = 0
        self._last = 0
        self._is_last_done = False
        self._last_values: list[bytes] = []
        self.done: list[Done] = []
        schedule.at(schedule.now_us + random.randrange(interval_us), self._ask)

    @property
    def waiting(self) -> int:
        """Operations without an outcome."""
        return len(self._open)

    def finish(self) -> None:
        """Write once more, which has to be done, and ask nothing after that."""
        self._is_asking = False
        self._last = self._submit(Put(b"last", self._new_value()))

    @property
    def has_finished(self) -> bool:
        """Whether everything has an outcome, and the last write is done."""
        return self._is_last_done and not self._open

    # ---- asking

    def _ask(self) -> None:
        if not self._is_asking:
            return
        self._submit(self._choose())
        wait_us = self._random.randrange(2 * self._interval_us) + 1
        self._schedule.at(self._schedule.now_us + wait_us, self._ask)

    def _submit(self, operation: Operation) -> int:
        now_us = self._schedule.now_us
        handle = self._session.submit(operation, now_us, now_us + TIMEOUT_US)
        self._open[handle] = Invocation(operation, now_us, self._committed())
        self._settle()
        return handle

    def _choose(self) -> Operation:
        random = self._random
        key = b"k%d" % random.randrange(KEYS)
        luck = random.random()
        if luck < 0.5:
            return Get(key)
        if luck < 0.57:
            return Delete(key)
        value = self._new_value()
        if luck < 0.59:
            value = value.ljust(LARGE_VALUE_BYTES, b".")
        if luck < 0.68:
            return CompareAndSet(key, self._guess(), value)
        return Put(key, value)

    def _new_value(self) -> bytes:
        """One that no other operation writes."""
        self._written += 1
        return b"%s-%d" % (self.name.encode(), self._written)

    def _guess(self) -> bytes | None:
        """A value that the key may well have."""
        if not self._last_values or self._random.random() < 0.2:
            return None
        return self._random.choice(self._last_values)

    # ---- the way out and in

    def receive(self, packet: object) -> None:
        """An answer arrived."""
        now_us = self._schedule.now_us
        if isinstance(packet, Answered):
            source = Source(packet.sender.name, packet.sender, packet.process, packet.cluster)
            self._session.receive(source, packet.body, now_us)
        else:
            name, data = cast("tuple[str, bytes]", packet)
            try:
                opened = self._opener.open(data)
            except EnvelopeError:  # a doubled datagram
                return
            source = Source(name, opened.sender, opened.process, opened.cluster)
            self._session.receive(source, opened.body, now_us)
        self._settle()

    def _ring(self, when_us: int) -> None:
        if when_us == self._timer_us:
            self._timer_us = -1
            self._session.handle_timer(self._schedule.now_us)
            self._settle()

    def _settle(self) -> None:
        """After anything happened: send, note what ended, and set the timer."""
        session, now_us = self._session, self._schedule.now_us
        session.handle_timer(now_us)
        for server, body in session.take_outgoing(now_us):
            self._send(server, body)
        for handle, value in session.take_completions():
            self._complete(handle, value)
        when_us = session.next_deadline()
        if when_us is not None and not 0 <= self._timer_us <= when_us:
            self._timer_us = when_us
            self._schedule.at(when_us, self._ring, when_us)

    def _send(self, server: str, body: bytes) -> None:
        if self._sealer is None:
            packet: object = Asked(Origin((self.name, 0), self._process), body)
        else:
            me, anyone = ServerId("", self._process), ServerId("", ANY_INCARNATION)
            packet = (self.name, self._sealer.seal(Kind.REQUEST, me, anyone, None, body))
        self._network_send(self.name, server, packet)

    # ---- outcomes

    def _complete(self, handle: int, value: Value | ClientError) -> None:
        invocation = self._open.pop(handle)
        outcome = _outcome(value)
        self._is_last_done = self._is_last_done or (handle == self._last and outcome == "done")
        if isinstance(value, Written | Swapped | Found):
            self._remember(invocation.operation)
        self.done.append(
            Done(
                self.name,
                invocation.operation,
                outcome,
                None if isinstance(value, ClientError) else value,
                invocation.invoked_us,
                self._schedule.now_us,
                invocation.committed,
                self._committed(),
            )
        )

    def _remember(self, operation: Operation) -> None:
        if isinstance(operation, Put | CompareAndSet):
            self._last_values.append(operation.value)
            del self._last_values[:-8]


def _outcome(value: Value | ClientError) -> str:
    if isinstance(value, Written | Deleted | Swapped | Found):
        return "done"
    if isinstance(value, NotDone):
        return "not done"
    if isinstance(value, OutcomeUnknown):
        return "unknown"
    return "failed"
