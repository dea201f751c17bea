"""Replica: joins core, store, clients, storage and network; the only place that knows the order of
outputs.

No socket, clock or randomness of its own: the real loop and the simulator run this very class. The
gaps between the lines of `_obey` are the points at which a crash differs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from raftudp.consensus.inputs import EntriesPersisted, Input, MailReceived, TransferRequested
from raftudp.consensus.messages import AppendEntries, Mail
from raftudp.consensus.outputs import Outputs, ServerStatus
from raftudp.consensus.server import Server
from raftudp.consensus.vocabulary import EntryKind, Index, Role
from raftudp.runtime.requests import AnswerTo, Observer, ReceivedRequest
from raftudp.runtime.service import ClientService, leader_hint
from raftudp.store.state_machine import StateMachine
from raftudp.wire.client_messages import Follower, StatusAnswer

ROLE_NAMES: Final = {
    Role.BLANK: "blank",
    Role.LEARNER: "learner",
    Role.FOLLOWER: "follower",
    Role.PRE_CANDIDATE: "candidate",
    Role.CANDIDATE: "candidate",
    Role.LEADER: "leader",
}


class Storage(Protocol):
    """Where hard state and entries survive."""

    durability: str
    """memory or disk."""

    def write(self, outputs: Outputs) -> bool:
        """Make a step's hard state, truncation and entries durable, in this order.

        True: they are, and so is all before. False: `Replica.handle_durable` is called when they
        are.
        """


class MemoryStorage:
    """Keeps nothing beyond the process: the core's own log is all there is, and it is there at
    once.
    """

    durability = "memory"

    def write(self, outputs: Outputs) -> bool:  # noqa: ARG002  # the protocol's argument
        """Nothing to do."""
        return True


class Transport(Protocol):
    """The way out; both may lose what they are given."""

    def send_mail(self, mails: Sequence[Mail]) -> None:
        """Send messages to servers."""

    def send_answers(self, answers: Sequence[AnswerTo]) -> None:
        """Send answers to clients."""


class Identity(NamedTuple):
    """What a replica tells of itself."""

    process: bytes
    """16 random bytes, drawn at the process's start."""
    version: str
    started_us: int


class _Held(NamedTuple):
    """What waits until a write is durable."""

    mails: list[Mail]
    persisted: EntriesPersisted | None


class Replica:
    """One replica. Calls are made by one thread, with a clock that never goes back."""

    def __init__(
        self,
        *,
        server: Server,
        state_machine: StateMachine,
        storage: Storage,
        transport: Transport,
        observer: Observer,
        identity: Identity,
        random_bytes: Callable[[int], bytes],
        body_bytes: int,
    ) -> None:
        """`body_bytes`: the encoded message that one datagram carries; `random_bytes`: for
        challenges.
        """
        self._server = server
        self._state_machine = state_machine
        self._storage = storage
        self._transport = transport
        self._observer = observer
        self._identity = identity
        self._now_us = identity.started_us
        self._held: deque[_Held] = deque()
        self._persisted: EntriesPersisted | None = None
        """What the leader's next step is to hear of first."""
        self._joined_at: Index | None = None
        """What was committed when this incarnation was first seen to fill a slot."""
        self.misaddressed = 0
        """Mail that the core did not listen to, since the start."""
        self.transition = server.status(identity.started_us)
        """The server's status as of the latest event that it traced: role, term, leader and
        membership are current.
        """
        self.service = ClientService(
            process=identity.process,
            state_machine=state_machine,
            random_bytes=random_bytes,
            describe=self._describe,
            status=self.transition,
            body_bytes=body_bytes,
        )

    # ---- what happens

    def handle(
        self, mails: Sequence[Mail], requests: Sequence[ReceivedRequest], now_us: int
    ) -> None:
        """One wake-up: everything that arrived, and what is due."""
        inputs: list[Input] = [MailReceived(mail) for mail in mails]
        self._now_us = now_us
        inputs += self.service.receive(requests, now_us)
        self._run(inputs)

    def handle_durable(self, writes: int, now_us: int) -> None:
        """The oldest `writes` of those that the storage kept waiting are durable."""
        self._now_us = now_us
        inputs: list[Input] = []
        for _ in range(writes):
            mails, persisted = self._held.popleft()
            self._transport.send_mail(mails)
            if persisted is not None:
                inputs.append(persisted)
        self._run(inputs)

    def hand_leadership_over(self, now_us: int) -> None:
        """Ask the core to give leadership to whoever is furthest; it may find nobody."""
        self._now_us = now_us
        self._run([TransferRequested("departure", None)])

    def next_deadline(self) -> int:
        """When `handle` must be called at the latest, in microseconds of the same clock."""
        return self._server.next_deadline()

    def _run(self, inputs: Sequence[Input]) -> None:
        """Step the core, again while it must hear at once of what it wrote, then answer."""
        if self._persisted is not None:
            inputs = [self._persisted, *inputs]
        while self._obey(self._server.step(inputs, self._now_us)):
            assert self._persisted is not None
            inputs = [self._persisted]
        answers = self.service.take_answers()
        if answers:
            self._transport.send_answers(answers)
        for report in self.service.reports:
            self._observer.handle_request(report, self._now_us)
        self.service.reports.clear()

    # ---- what must be done about it, in order

    def _obey(self, outputs: Outputs) -> bool:
        """Do what a step asks for. Returns whether a leader must hear at once of its own write.

        Where it sent entries, it hears of its write with the answers: it can't commit before them.
        """
        persisted = self._make_durable(outputs)
        self._apply(outputs)
        self.service.settle(outputs.proposals, outputs.reads, self._now_us)
        self.misaddressed += outputs.misaddressed
        if outputs.trace:
            self._take_transition()
            for event in outputs.trace:
                self._observer.handle_trace(event, self._now_us)
        self._persisted = persisted if self.transition.role is Role.LEADER else None
        return self._persisted is not None and not any(
            isinstance(mail.message, AppendEntries) for mail in outputs.messages
        )

    def _make_durable(self, outputs: Outputs) -> EntriesPersisted | None:
        """Durable first, then messages; only a leader's AppendEntries overtake its own write."""
        persisted = None
        if outputs.entries:
            last = outputs.first_index + len(outputs.entries) - 1
            persisted = EntriesPersisted(last, outputs.entries[-1].term)
        has_to_write = (
            persisted is not None
            or outputs.hard_state is not None
            or outputs.truncate_after is not None
        )
        durable = self._storage.write(outputs) if has_to_write else not self._held
        if durable:
            assert not self._held, "what is durable later can't be durable before what is older"
            if outputs.messages:
                self._transport.send_mail(outputs.messages)
            return persisted
        early = [mail for mail in outputs.messages if isinstance(mail.message, AppendEntries)]
        late = [mail for mail in outputs.messages if not isinstance(mail.message, AppendEntries)]
        if early:
            self._transport.send_mail(early)
        if has_to_write:
            self._held.append(_Held(late, persisted))
        else:
            self._held[-1].mails.extend(late)
        return None

    def _apply(self, outputs: Outputs) -> None:
        """Committed entries go to the store in index order, and their results to the clients."""
        index = outputs.first_committed
        state_machine = self._state_machine
        for term, kind, data in outputs.committed:
            if kind is EntryKind.COMMAND:
                assert isinstance(data, bytes)
                command, result = state_machine.apply_command(index, term, data)
                if command is not None:
                    self.service.applied(command, result, self._now_us)
            elif kind is EntryKind.COMMAND_PART:
                assert isinstance(data, bytes)
                state_machine.apply_part(index, term, data)
            else:
                state_machine.apply_other(index, term)
            index += 1

    def _take_transition(self) -> None:
        """Something was traced: role, term, leader, membership or openness may have changed."""
        status = self.transition = self._server.status(self._now_us)
        fills_slot = status.membership.is_filled_by(status.identity)
        if not fills_slot:
            self._joined_at = None
        elif status.membership_committed and self._joined_at is None:
            self._joined_at = status.commit_index
        self.service.update(status, self._now_us)

    # ---- what is seen from outside

    @property
    def last_applied(self) -> Index:
        """The index up to which the store holds the log."""
        return self._state_machine.last_applied

    @property
    def durability(self) -> str:
        """memory or disk."""
        return self._storage.durability

    def status(self, now_us: int) -> ServerStatus:
        """The server's picture of itself, now."""
        return self._server.status(now_us)

    def state(self) -> str:
        """unformed, returning, ready or no-quorum (section 2 of `raftudp/DESIGN.md`).

        Ready: this incarnation fills a slot of a committed membership, has applied what was
        committed when it joined, and knows a leader.
        """
        status = self.transition
        if status.cluster is None:
            return "unformed" if status.cluster_seen is None else "returning"
        if status.leader is None:
            return "no-quorum"
        if self._joined_at is None or self._state_machine.last_applied < self._joined_at:
            return "returning"
        return "ready"

    def _describe(self, request: int) -> StatusAnswer:
        """The answer to Status."""
        status = self._server.status(self._now_us)
        return StatusAnswer(
            request=request,
            name=status.identity.name,
            incarnation=status.identity.incarnation,
            role=ROLE_NAMES[status.role],
            state=self.state(),
            durability=self._storage.durability,
            term=status.term,
            leader=leader_hint(status),
            commit_index=status.commit_index,
            last_applied=self._state_machine.last_applied,
            last_log_index=status.last_log_index,
            cluster=status.cluster,
            uptime_s=(self._now_us - self._identity.started_us) // 1_000_000,
            version=self._identity.version,
            membership=status.membership,
            followers=tuple(Follower(*follower) for follower in status.followers),
        )
