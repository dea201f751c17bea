"""ClientService: clients' requests in, answers out; pure, and the only one who knows what clients
wait for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, assert_never

from raftudp.consensus.inputs import Input
from raftudp.consensus.outputs import Proposal, ReadGrant, ServerStatus
from raftudp.consensus.vocabulary import Role
from raftudp.errors import DecodeError
from raftudp.limits import MESSAGE_BYTES_MAXIMUM
from raftudp.runtime.administration import Administration
from raftudp.runtime.outbox import Outbox
from raftudp.runtime.reads import Reads
from raftudp.runtime.requests import AnswerTo, Origin, ReceivedRequest, RequestReport
from raftudp.runtime.transfers import Transfers
from raftudp.runtime.writes import Writes
from raftudp.store.commands import Command, Result
from raftudp.store.state_machine import StateMachine
from raftudp.wire.client_messages import (
    Admin,
    Answer,
    ChallengeRequest,
    Hello,
    HelloAnswer,
    LeaderHint,
    List,
    ListAnswer,
    Part,
    PartsReceived,
    Read,
    ReadAnswer,
    Request,
    Status,
    StatusAnswer,
    Write,
)
from raftudp.wire.codec import decode_request, encode_answer

NOBODY: Final = LeaderHint("", "")


class ClientService:
    """Serves clients from what the core and the store say.

    A wake-up is: `receive`; the core's step with the inputs returned; then, for each of the core's
    outputs, `applied` for each command, `settle` and `update`; at last `take_answers`.
    """

    def __init__(
        self,
        *,
        process: bytes,
        state_machine: StateMachine,
        random_bytes: Callable[[int], bytes],
        describe: Callable[[int], StatusAnswer],
        status: ServerStatus,
        body_bytes: int,
    ) -> None:
        """`describe` answers the Status of a request number; `body_bytes` is what one datagram
        carries.
        """
        self._process = process
        self._describe = describe
        self._body_bytes = body_bytes
        self._status = status
        self._leader = leader_hint(status)
        self._outbox = Outbox(body_bytes)
        self.reports: list[RequestReport] = []
        """What is worth a line; whoever logs it empties the list."""
        self.writes = Writes(process, state_machine, self._outbox, self.reports)
        self.reads = Reads(state_machine, self._outbox, self.reports)
        self._administration = Administration(random_bytes, self._outbox, self.reports)
        self._transfers = Transfers(self._outbox, body_bytes)
        self.refusals: Counter[str] = Counter()
        """Requests that were no requests inside, by reason; they get no answer."""

    @property
    def stop_requested(self) -> bool:
        """Whether an administrator ended this process."""
        return self._administration.stop_requested

    def receive(self, requests: Sequence[ReceivedRequest], now_us: int) -> list[Input]:
        """Take requests; returns what the core is to be asked."""
        inputs: list[Input] = []
        for origin, request in requests:
            try:
                inputs += self._take(origin, request, now_us)
            except DecodeError:
                self.refusals["malformed"] += 1
        inputs += self.reads.requested()
        return inputs

    def _take(self, origin: Origin, request: Request, now_us: int) -> Sequence[Input]:
        match request:
            case Write():
                return self.writes.take(origin, request, now_us)
            case Read() | List():
                self.reads.take(origin, request, self._status.role is Role.BLANK, now_us)
            case Part():
                body = self._transfers.take_part(origin, request)
                if body is not None:
                    return self._take_joined(origin, decode_request(body), now_us)
            case PartsReceived():
                self._transfers.take_acknowledgement(origin, request)
            case Hello(number):
                is_open = self._status.is_open
                answer = HelloAnswer(number, self._process, self._leader, is_open)
                self._outbox.add(origin, answer)
            case Status(number):
                self._outbox.add(origin, self._describe(number))
            case ChallengeRequest():
                self._administration.challenge(origin, request, now_us)
            case Admin():
                return self._administration.take(origin, request, self._status, now_us)
            case _:
                assert_never(request)
        return ()

    def _take_joined(self, origin: Origin, request: Request, now_us: int) -> Sequence[Input]:
        """A request that came in parts."""
        if isinstance(request, Part | PartsReceived):
            raise DecodeError("parts within parts")
        return self._take(origin, request, now_us)

    def applied(self, command: Command, result: Result, now_us: int) -> None:
        """The store applied a command, whoever asked for it."""
        self.writes.applied(command, result, now_us)

    def settle(
        self, proposals: Sequence[Proposal], grants: Sequence[ReadGrant], now_us: int
    ) -> None:
        """The core's answers to what it was asked."""
        for proposal in proposals:
            # A write's token is its key, an administrative request's the challenge; others have
            # nobody waiting.
            if isinstance(proposal.token, bytes):
                self._administration.settle(proposal)
            elif isinstance(proposal.token, tuple) and proposal.refusal is not None:
                self.writes.refuse(proposal.token, proposal.refusal)
        self.writes.end_wake_up()
        for grant in grants:
            self.reads.granted(grant, now_us)
        self.reads.answer_applied(now_us)

    def update(self, status: ServerStatus, now_us: int) -> None:
        """The server's state changed; what pends at a leader that lost its term is given up."""
        before, self._status = self._status, status
        self._leader = leader_hint(status)
        if status.is_open:
            self._administration.opened()
        if before.role is Role.LEADER and (status.role, status.term) != (before.role, before.term):
            self.writes.lose_all(now_us)
            self._administration.lose_all()

    def take_answers(self) -> list[AnswerTo]:
        """Everything to be sent now; what is too large for a datagram, as its first parts."""
        self._transfers.acknowledge()
        taken = self._outbox.take(self._leader)
        if not any(self._may_be_large(answer) for _, answer in taken):
            return taken
        cut: list[AnswerTo] = []
        for origin, answer in taken:
            body = encode_answer(answer) if self._may_be_large(answer) else b""
            if len(body) <= self._body_bytes:
                cut.append(AnswerTo(origin, answer))
                continue
            assert len(body) <= MESSAGE_BYTES_MAXIMUM, "pages and values are bounded below this"
            cut.extend(AnswerTo(origin, part) for part in self._transfers.begin(origin, body))
        return cut

    def _may_be_large(self, answer: Answer) -> bool:
        """Whether an answer has to be encoded to know; the outbox cuts all others to size.

        A key's value too large to share an answer has one of its own.
        """
        if isinstance(answer, ReadAnswer):
            value = answer.results[0].value
            return value is not None and len(value) > self._body_bytes // 2
        return isinstance(answer, ListAnswer | StatusAnswer)


def leader_hint(status: ServerStatus) -> LeaderHint:
    """Who leads, with the address that the membership gives."""
    if status.leader is None:
        return NOBODY
    slot = status.membership.slot(status.leader.name)
    return NOBODY if slot is None else LeaderHint(slot.name, slot.address)
