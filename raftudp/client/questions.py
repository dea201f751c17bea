"""Reads, lists, status and administration: asked until answered, and harmless to ask twice.

Each question has a number that its answer repeats; it keeps it when it is asked again, of the same
server or another, so the first answer to come ends it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, assert_never

from raftudp.client.expectation import Expectation, Expectations
from raftudp.client.leadership import LeaderSearch
from raftudp.client.pending_question import PendingQuestion
from raftudp.client.requests import Administer, AskStatus, Get, ListKeys, Question
from raftudp.client.results import Administered, Found, Listing, Reported
from raftudp.client.roster import Roster, Server, Source
from raftudp.client.transfers import Transfers
from raftudp.client.writes import Complete
from raftudp.errors import ClientError, NoAnswer, NotDone, OutcomeUnknown
from raftudp.limits import COMMANDS_PER_REQUEST_MAXIMUM, LIST_ITEMS_MAXIMUM
from raftudp.store.commands import Item
from raftudp.wire import client_messages as messages
from raftudp.wire.client_messages import (
    AdminAnswer,
    ChallengeAnswer,
    GetRequest,
    ListAnswer,
    Read,
    ReadAnswer,
    RefusalReason,
    RequestRefused,
    StatusAnswer,
    Stop,
)

READ_OVERHEAD_BYTES: Final = 16
"""Array heads, type code and flag of a Read."""
GET_OVERHEAD_BYTES: Final = 16
"""Array head, request number and byte-string head of a get."""

_ASK_AGAIN_LATER: Final = frozenset(
    {RefusalReason.OVERLOADED, RefusalReason.NOT_READY, RefusalReason.CHALLENGE}
)
_NEVER: Final = frozenset({RefusalReason.INVALID, RefusalReason.TOO_LARGE})
_NOT_THE_LEADER: Final = frozenset(
    {
        RefusalReason.NOT_LEADER,
        RefusalReason.TRANSFERRING,
        RefusalReason.NOT_OPEN,
        RefusalReason.BLANK,
        RefusalReason.PENDING_LOST,
    }
)


class Questions:
    """All questions of one client; `flush` asks what waits."""

    def __init__(
        self,
        *,
        request_prefix: str,
        numbers: Iterator[int],
        roster: Roster,
        search: LeaderSearch,
        transfers: Transfers,
        expectations: Expectations,
        complete: Complete,
    ) -> None:
        self._request_prefix = request_prefix
        self._numbers = numbers
        self._roster = roster
        self._search = search
        self._transfers = transfers
        self._expectations = expectations
        self._complete = complete
        self._queue: deque[PendingQuestion] = deque()
        self._by_handle: dict[int, PendingQuestion] = {}
        self._by_number: dict[int, PendingQuestion] = {}
        self._for_leader = 0
        """How many questions only the leader can answer."""

    def is_waiting_for_leader(self) -> bool:
        """Whether any question needs to know who leads."""
        return self._for_leader > 0

    def submit(self, handle: int, question: Question, now_us: int) -> None:
        """Take a question; it is asked by the next `flush`."""
        pending = PendingQuestion(handle, question, now_us, next(self._numbers))
        self._by_handle[handle] = pending
        self._by_number[pending.number] = pending
        self._for_leader += pending.is_for_leader
        self._enqueue(pending)

    def _enqueue(self, question: PendingQuestion) -> None:
        if not question.is_queued and not question.is_ended:
            question.is_queued = True
            self._queue.append(question)

    def _enqueue_all(self, questions: list[PendingQuestion]) -> None:
        for question in questions:
            self._enqueue(question)

    # -- asking -----------------------------------------------------------------------------------

    def flush(self, now_us: int) -> None:
        """Ask what waits; gets for one server go together."""
        if not self._queue:
            return
        held_back: list[PendingQuestion] = []
        gets: dict[tuple[Server, bool], list[PendingQuestion]] = {}
        while self._queue:
            question = self._queue.popleft()
            question.is_queued = False
            if question.is_ended:
                continue
            server = self._whom_to_ask(question)
            if server is None:
                self._search.want(now_us)
                held_back.append(question)
            elif isinstance(question.question, Get):
                gets.setdefault((server, question.question.stale), []).append(question)
            elif not self._transfers.has_room():
                held_back.append(question)
            else:
                self._send(server, self._request_of(question), [question], now_us)
        for (server, stale), questions in gets.items():
            held_back.extend(self._send_gets(server, stale, questions, now_us))
        self._enqueue_all(held_back)

    def _whom_to_ask(self, question: PendingQuestion) -> Server | None:
        asked = question.question
        if question.directed_to is not None:
            return self._roster.server_at(question.directed_to)
        if isinstance(asked, Administer):
            return self._search.leader
        if question.is_for_leader:
            return self._search.open_leader
        return self._roster.likeliest()

    def _send_gets(
        self, server: Server, stale: bool, questions: list[PendingQuestion], now_us: int
    ) -> list[PendingQuestion]:
        """Ask for keys, as many in a datagram as it carries; returns those that must wait."""
        budget = self._transfers.body_bytes(server.address) - READ_OVERHEAD_BYTES
        held_back: list[PendingQuestion] = []
        batch: list[PendingQuestion] = []
        gets: list[GetRequest] = []
        batch_bytes = 0
        for question in questions:
            asked = question.question
            assert isinstance(asked, Get), "flush has sorted them"
            size = GET_OVERHEAD_BYTES + len(asked.key)
            if size > budget and not self._transfers.has_room():
                held_back.append(question)
                continue
            if batch and (
                batch_bytes + size > budget or len(batch) == COMMANDS_PER_REQUEST_MAXIMUM
            ):
                self._send(server, Read(stale, tuple(gets)), batch, now_us)
                batch, gets, batch_bytes = [], [], 0
            batch.append(question)
            gets.append(GetRequest(question.number, asked.key))
            batch_bytes += size
        if batch:
            self._send(server, Read(stale, tuple(gets)), batch, now_us)
        return held_back

    @staticmethod
    def _request_of(question: PendingQuestion) -> messages.Request:
        asked = question.question
        match asked:
            case ListKeys():
                left = LIST_ITEMS_MAXIMUM
                if asked.limit is not None:
                    left = min(left, asked.limit - len(question.items))
                after = question.items[-1].key if question.items else asked.after
                return messages.List(question.number, asked.stale, asked.prefix, after, left)
            case AskStatus():
                return messages.Status(question.number)
            case Administer():
                if question.challenge is None:
                    return messages.ChallengeRequest(question.number)
                return messages.Admin(question.number, question.challenge, asked.action)
            case Get():
                raise AssertionError("gets travel in a Read")
            case _:
                assert_never(asked)

    def _send(
        self,
        server: Server,
        request: messages.Request,
        questions: list[PendingQuestion],
        now_us: int,
    ) -> None:
        delivery = self._transfers.send(server.address, request, now_us)
        tries = max(question.tries for question in questions)
        expectation: Expectation

        def ask_again() -> None:
            self._enqueue_all([q for q in questions if q.expectation is expectation])

        expectation = self._expectations.expect(server, delivery, tries, ask_again, now_us)
        for question in questions:
            question.tries += 1
            question.expectation = expectation
            question.was_administered |= isinstance(request, messages.Admin)

    def leader_changed(self) -> None:
        """Another server leads: ask it at once what the last one did not answer."""
        leader = self._search.leader
        for question in self._by_handle.values():
            expectation = question.expectation
            if question.is_for_leader and expectation is not None:
                if leader is None or expectation.server is not leader:
                    self._restart(question)
                    self._enqueue(question)

    # -- answers ----------------------------------------------------------------------------------

    def receive_gets(self, source: Source, answer: ReadAnswer) -> None:
        """Values of keys."""
        for result in answer.results:
            question = self._by_number.get(result.request)
            if question is None or not isinstance(question.question, Get):
                continue
            if not question.question.stale:
                self._search.confirm(self._roster.server_of(source))
            item = None
            if result.value is not None:
                item = Item(question.question.key, result.value, result.revision)
            self._finish(question, Found(item, answer.applied_index))

    def receive_list(self, source: Source, answer: ListAnswer) -> None:
        """A page of keys; the next one is asked for at once."""
        question = self._by_number.get(answer.request)
        if question is None or not isinstance(question.question, ListKeys):
            return
        if not question.question.stale:
            self._search.confirm(self._roster.server_of(source))
        question.items.extend(answer.items)
        limit = question.question.limit
        is_full = limit is not None and len(question.items) >= limit
        if answer.more and answer.items and not is_full:
            self._renumber(question)
            self._enqueue(question)
        else:
            self._finish(question, Listing(tuple(question.items[:limit]), answer.applied_index))

    def receive_status(self, answer: StatusAnswer) -> None:
        """A server's picture of itself."""
        question = self._by_number.get(answer.request)
        if question is not None and isinstance(question.question, AskStatus):
            self._finish(question, Reported(answer))

    def receive_challenge(self, source: Source, answer: ChallengeAnswer) -> None:
        """A challenge, under which the administrative request can be made now."""
        question = self._by_number.get(answer.request)
        if question is None or not isinstance(question.question, Administer):
            return
        if question.challenge is None:
            question.challenge = answer.challenge
            question.challenger = source.process
            self._renumber(question)
            self._enqueue(question)

    def receive_administered(self, source: Source, answer: AdminAnswer) -> None:
        """The administrative request was taken."""
        question = self._by_number.get(answer.request)
        if question is not None and isinstance(question.question, Administer):
            server = self._roster.server_of(source)
            self._finish(question, Administered(server.address if server else source.server))

    def receive_refusal(self, source: Source, answer: RequestRefused, now_us: int) -> None:
        """A replica did not answer some questions."""
        server = self._roster.server_of(source)
        if server is not None:
            self._roster.note_refusal(server, answer.reason, answer.leader)
        for number in answer.requests:
            question = self._by_number.get(number)
            if question is None or question.expectation is None:
                continue
            if server is not None and question.expectation.server is not server:
                continue  # it was asked elsewhere since
            self._take_refusal(question, source, answer, now_us)

    def _take_refusal(
        self, question: PendingQuestion, source: Source, answer: RequestRefused, now_us: int
    ) -> None:
        assert question.expectation is not None, "only what was asked is refused"
        server = question.expectation.server
        reason = answer.reason
        if reason is RefusalReason.CHALLENGE and question.challenger != source.process:
            self._finish(question, self._outcome_after_restart(question, server))
            return
        is_final = question.directed_to is not None or isinstance(question.question, Administer)
        self._restart(question)
        if reason in _NEVER:
            self._finish(question, NotDone(f"{server.address} refused the request: {reason.name}"))
        elif reason in _ASK_AGAIN_LATER:
            self._expectations.later(lambda: self._enqueue(question), now_us)
        elif question.is_for_leader and reason in _NOT_THE_LEADER:
            self._search.refused(server, reason, answer.leader, now_us)
            self._enqueue(question)
        elif is_final:
            name = server.name or server.address
            self._finish(question, NotDone(f"{name} refused the request: {_TEXTS[reason]}"))
        else:
            self._roster.went_unanswered(server)  # so that another one comes first
            self._expectations.later(lambda: self._enqueue(question), now_us)

    @staticmethod
    def _outcome_after_restart(
        question: PendingQuestion, server: Server
    ) -> Administered | ClientError:
        """Another process answers than the one that gave the challenge: that one has ended."""
        asked = question.question
        if isinstance(asked, Administer) and isinstance(asked.action, Stop):
            return Administered(server.address)
        return NotDone(f"{server.address} was restarted meanwhile; ask again")

    def _restart(self, question: PendingQuestion) -> None:
        """Ask anew: a challenge was given by one process, for one use."""
        if question.challenge is not None:
            question.challenge = None
            self._renumber(question)

    def _renumber(self, question: PendingQuestion) -> None:
        """Go on with the question's next step, whose answer can't be taken for the last one's."""
        if question.expectation is not None:
            question.expectation = None
        del self._by_number[question.number]
        question.number = next(self._numbers)
        question.tries = 0
        self._by_number[question.number] = question

    # -- ends -------------------------------------------------------------------------------------

    def expire(self, handle: int) -> ClientError | None:
        """The caller waits no longer; None if the handle is none of these."""
        question = self._by_handle.get(handle)
        if question is None:
            return None
        self._drop(question)
        why = self._why(question)
        if not isinstance(question.question, Administer):
            return why
        if question.was_administered:
            request_id = f"{self._request_prefix}-r{question.number}"
            text = f"request {request_id} was sent, and nobody told what became of it: {why}"
            return OutcomeUnknown(text, request_id)
        return NotDone(f"not done: {why}")

    def _why(self, question: PendingQuestion) -> NoAnswer:
        if question.directed_to is None:
            return self._roster.explain(question.submitted_us)
        text = f"{question.directed_to} did not answer: check that it runs, its address and the key"
        return NoAnswer(text, "silent")

    def _finish(
        self,
        question: PendingQuestion,
        value: Found | Listing | Reported | Administered | ClientError,
    ) -> None:
        self._drop(question)
        self._complete(question.handle, value)

    def _drop(self, question: PendingQuestion) -> None:
        question.is_ended = True
        expectation = question.expectation
        if expectation is not None and expectation.delivery.is_under_way:
            expectation.cancel()
        self._for_leader -= question.is_for_leader
        del self._by_handle[question.handle]
        del self._by_number[question.number]


_TEXTS: Final = {
    RefusalReason.NOT_LEADER: "it does not lead",
    RefusalReason.NOT_OPEN: "the cluster is not open to clients yet (run raftudp init again)",
    RefusalReason.TRANSFERRING: "leadership is being handed over already",
    RefusalReason.NO_TARGET: "nobody is there to hand leadership over to",
    RefusalReason.BLANK: "it is blank: it belongs to no cluster",
    RefusalReason.ALREADY_BOUND: "it belongs to a cluster already, or the founding names another",
    RefusalReason.TOO_LARGE: "the request is too large",
    RefusalReason.NOT_READY: "it is not ready yet",
    RefusalReason.OVERLOADED: "it is overloaded",
    RefusalReason.OTHER_PROCESS: "it was restarted",
    RefusalReason.INVALID: "the request is invalid",
    RefusalReason.CHALLENGE: "the challenge has expired",
    RefusalReason.PENDING_LOST: "it has lost leadership",
    RefusalReason.UNKNOWN_SERVER: "it knows no server of that name",
}
