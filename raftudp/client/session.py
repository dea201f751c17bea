"""A client's whole dealing with the replicas, without socket, clock or randomness of its own.

Whoever runs a session gives it what arrived and what time it is, and takes what is to be sent, what
is completed and when to come again; in this order, and as often as something happened:

    session.receive(source, body, now_us)    each answer that was opened
    session.submit(operation, now_us, deadline_us)
    session.handle_timer(now_us)             once a wake-up, due or not
    session.take_outgoing(now_us)            to be sealed and sent
    session.take_completions()
    session.next_deadline()                  the time of the next wake-up, if nothing arrives

Times are microseconds of one monotonic clock. Servers are known by the texts that the user gave for
their addresses; which socket address belongs to a text is not this module's matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from random import Random
from typing import NamedTuple, TypeAlias, assert_never

from raftudp.client.attempts import CLIENT_ID_BYTES_SHOWN
from raftudp.client.expectation import Expectations
from raftudp.client.leadership import LeaderSearch
from raftudp.client.questions import Questions
from raftudp.client.requests import Administer, AskStatus, Get, ListKeys, Operation, check_limits
from raftudp.client.results import Value
from raftudp.client.roster import Roster, Server, Source
from raftudp.client.timers import Timer, Timers
from raftudp.client.transfers import Outgoing, Transfers
from raftudp.client.writes import Writes
from raftudp.errors import ClientError
from raftudp.limits import IDENTIFIER_BYTES
from raftudp.wire.client_messages import (
    AdminAnswer,
    Answer,
    ChallengeAnswer,
    Hello,
    HelloAnswer,
    ListAnswer,
    Part,
    PartsReceived,
    ReadAnswer,
    RequestRefused,
    StatusAnswer,
    WriteRefused,
    Written,
)
from raftudp.wire.codec import decode_answer

QuestionAnswer: TypeAlias = (
    ReadAnswer | ListAnswer | RequestRefused | StatusAnswer | ChallengeAnswer | AdminAnswer
)


class Completion(NamedTuple):
    """An operation has ended."""

    handle: int
    """As `submit` returned it."""
    value: Value | ClientError


class Session:
    """One client; see the module for how it is run."""

    def __init__(
        self,
        servers: Sequence[str],
        *,
        client_id: bytes,
        random: Random,
        body_bytes: Callable[[str], int],
    ) -> None:
        """Know at least one server.

        `client_id` must be fresh random bytes, and `random` be seeded as well: further client ids
        come from it. `body_bytes` tells the largest body that a datagram carries to a server.
        """
        assert servers, "a session knows at least one server"
        assert len(client_id) == IDENTIFIER_BYTES
        self._handles = count(1)
        self._deadlines: dict[int, Timer] = {}
        self._completions: list[Completion] = []
        # Deadlines lie seconds away and repetitions much nearer. Each has its own heap, so that
        # the cancelled timers of what was answered don't pile up behind the other kind.
        self._deadline_timers = Timers()
        self._timers = Timers()
        self.roster = Roster(tuple(dict.fromkeys(servers)))
        numbers = count(1)
        self._transfers = Transfers(self._timers, random, body_bytes)
        self._search = LeaderSearch(
            roster=self.roster,
            timers=self._timers,
            random=random,
            numbers=numbers,
            send_hello=self._send_hello,
            is_wanted=self._is_leader_wanted,
            on_leader=self._leader_changed,
        )
        expectations = Expectations(self._timers, self._transfers, self._search, random)
        self._writes = Writes(
            client_id=client_id,
            roster=self.roster,
            search=self._search,
            transfers=self._transfers,
            expectations=expectations,
            random=random,
            complete=self._complete,
        )
        self._questions = Questions(
            request_prefix=client_id[:CLIENT_ID_BYTES_SHOWN].hex(),
            numbers=numbers,
            roster=self.roster,
            search=self._search,
            transfers=self._transfers,
            expectations=expectations,
            complete=self._complete,
        )

    def submit(self, operation: Operation, now_us: int, deadline_us: int) -> int:
        """Begin an operation, and return the handle that its completion will bear.

        Raises InvalidRequest if no replica would take it.
        """
        check_limits(operation)
        handle = next(self._handles)
        if isinstance(operation, Get | ListKeys | AskStatus | Administer):
            self._questions.submit(handle, operation, now_us)
        else:
            self._writes.submit(handle, operation, now_us)
        self._deadlines[handle] = self._deadline_timers.schedule(
            deadline_us, lambda _: self._expire(handle)
        )
        return handle

    def receive(self, source: Source, body: bytes, now_us: int) -> None:
        """Take in the body of an authentic answer; raises DecodeError if it is none."""
        self._receive_answer(source, decode_answer(body), now_us)

    def _receive_answer(self, source: Source, answer: Answer, now_us: int) -> None:
        server = self.roster.server_of(source)
        if isinstance(answer, HelloAnswer):
            server = self._search.asked(answer) or server
        if not self.roster.admit(source, server, now_us):
            if server is not None:
                self._search.abandon(server, now_us)
            if not isinstance(answer, StatusAnswer | ChallengeAnswer | AdminAnswer):
                return
        match answer:
            case Part():
                address = source.server if server is None else server.address
                body = self._transfers.receive_part(address, source.process, answer, now_us)
                if body is not None:
                    self._receive_whole(source, decode_answer(body), now_us)
            case PartsReceived():
                self._transfers.acknowledge(answer, now_us)
            case HelloAnswer():
                self._receive_hello(server, source, answer, now_us)
            case Written():
                self._served(source)
                self._writes.receive_results(source, answer)
            case WriteRefused():
                self._writes.receive_refusal(source, answer, now_us)
            case _:
                self._receive_for_questions(source, answer, now_us)

    def _receive_for_questions(self, source: Source, answer: QuestionAnswer, now_us: int) -> None:
        match answer:
            case ReadAnswer():
                self._served(source)
                self._questions.receive_gets(source, answer)
            case ListAnswer():
                self._served(source)
                self._questions.receive_list(source, answer)
            case RequestRefused():
                self._questions.receive_refusal(source, answer, now_us)
            case StatusAnswer():
                self._questions.receive_status(answer)
            case ChallengeAnswer():
                self._questions.receive_challenge(source, answer)
            case AdminAnswer():
                self._questions.receive_administered(source, answer)
            case _:
                assert_never(answer)

    def _receive_whole(self, source: Source, answer: Answer, now_us: int) -> None:
        """Take in an answer that came in parts; parts of parts are nothing."""
        if not isinstance(answer, Part | PartsReceived):
            self._receive_answer(source, answer, now_us)

    def _receive_hello(
        self, server: Server | None, source: Source, answer: HelloAnswer, now_us: int
    ) -> None:
        if self._search.asked(answer) is None or server is None:
            return
        if answer.is_open:
            self._served(source)
        self._search.receive(server, source, answer, now_us)

    def _served(self, source: Source) -> None:
        """The source's cluster is open to clients, in its epoch."""
        if self.roster.remember_open(source.cluster):
            self._writes.epoch_changed()

    def handle_timer(self, now_us: int) -> None:
        """Do what is due."""
        self._timers.fire(now_us)
        self._deadline_timers.fire(now_us)

    def take_outgoing(self, now_us: int) -> list[Outgoing]:
        """What is to be sent now; all that was submitted since the last call goes together."""
        self._writes.flush(now_us)
        self._questions.flush(now_us)
        return self._transfers.take_outgoing()

    def take_completions(self) -> list[Completion]:
        """What has ended since the last call."""
        completions, self._completions = self._completions, []
        return completions

    def next_deadline(self) -> int | None:
        """When `handle_timer` is due; None if nothing is under way."""
        times = (self._timers.next_us(), self._deadline_timers.next_us())
        return min((time_us for time_us in times if time_us is not None), default=None)

    def _send_hello(self, server: str, hello: Hello, now_us: int) -> None:
        self._transfers.send(server, hello, now_us)

    def _is_leader_wanted(self) -> bool:
        return self._writes.is_waiting() or self._questions.is_waiting_for_leader()

    def _leader_changed(self) -> None:
        self._writes.leader_changed()
        self._questions.leader_changed()

    def _complete(self, handle: int, value: Value | ClientError) -> None:
        self._deadlines.pop(handle).cancel()
        self._completions.append(Completion(handle, value))

    def abandon(self) -> None:
        """End all that is under way, as its deadline would: not done, unknown, or no answer."""
        for handle in list(self._deadlines):
            self._expire(handle)

    def _expire(self, handle: int) -> None:
        error = self._writes.expire(handle) or self._questions.expire(handle)
        assert error is not None, "an operation is a write or a question until it ends"
        self._complete(handle, error)
