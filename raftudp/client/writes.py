"""Writes under replicated sessions: sent until answered, each with one of three outcomes.

*Done* needs a result. *Not done* needs certainty: nothing was sent, or each attempt that may have
arrived was refused for good. An attempt is one Write in one datagram (or one set of parts), named
by a number, addressed to one process; that process takes it at most once, so its own refusal of
that number is final, while another process's is not, for the named one may have taken the original.
Everything else is *unknown*.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import count
from random import Random
from typing import Final, TypeAlias, assert_never

from raftudp.client.attempts import Attempt, PendingWrite, WriteSession
from raftudp.client.expectation import Expectations
from raftudp.client.leadership import LeaderSearch
from raftudp.client.requests import WriteOperation
from raftudp.client.results import Deleted, Swapped, Value, Written
from raftudp.client.roster import Roster, Server, Source
from raftudp.client.transfers import Transfers
from raftudp.encoding.records import encode_command
from raftudp.errors import ClientError, NotDone, OutcomeUnknown, SessionExpired
from raftudp.limits import COMMANDS_PER_REQUEST_MAXIMUM
from raftudp.store.commands import Command, CompareAndSet, Delete, OpenSession, Outcome, Put
from raftudp.wire import client_messages as messages
from raftudp.wire.client_messages import RefusalReason, WriteRefused, WriteResult

WRITE_OVERHEAD_BYTES: Final = 48
"""Array heads, type code, process and attempt of a Write."""
COMMAND_HEAD_BYTES: Final = 5
"""The byte-string head before each command of a Write."""

Complete: TypeAlias = Callable[[int, Value | ClientError], None]

_ASK_AGAIN_LATER: Final = frozenset({RefusalReason.OVERLOADED, RefusalReason.NOT_READY})
_NEVER: Final = frozenset({RefusalReason.INVALID, RefusalReason.TOO_LARGE})


class Writes:
    """All writes of one client; `flush` sends what waits."""

    def __init__(
        self,
        *,
        client_id: bytes,
        roster: Roster,
        search: LeaderSearch,
        transfers: Transfers,
        expectations: Expectations,
        random: Random,
        complete: Complete,
    ) -> None:
        self._roster = roster
        self._search = search
        self._transfers = transfers
        self._expectations = expectations
        self._random = random
        self._complete = complete
        self._current = WriteSession(client_id)
        self._sessions = {client_id: self._current}
        """The current one, and those of the past that still await results, by their client id."""
        self._waiting: deque[PendingWrite] = deque()
        """Not yet given a sequence."""
        self._ready: deque[PendingWrite] = deque()
        """To be sent, or to be sent again."""
        self._by_handle: dict[int, PendingWrite] = {}
        self._attempts: dict[int, Attempt] = {}
        self._attempt_numbers: Iterator[int] = count(1)

    def is_waiting(self) -> bool:
        """Whether any write is still without an outcome."""
        return bool(self._by_handle)

    def submit(self, handle: int, operation: WriteOperation, now_us: int) -> None:
        """Take a write; it is sent by the next `flush`."""
        write = PendingWrite(handle, operation, now_us)
        self._by_handle[handle] = write
        self._waiting.append(write)

    # -- sending ----------------------------------------------------------------------------------

    def flush(self, now_us: int) -> None:
        """Send what waits to the leader, as many commands in a datagram as it carries."""
        if not self._waiting and not self._ready:
            return
        self._search.want(now_us)
        leader = self._search.open_leader
        if leader is None or leader.process is None:
            return
        self._open_session()
        self._give_sequences()
        held_back: deque[PendingWrite] = deque()
        batch: list[tuple[PendingWrite, bytes]] = []
        budget = self._transfers.body_bytes(leader.address) - WRITE_OVERHEAD_BYTES
        batch_bytes = 0
        while self._ready:
            write = self._ready.popleft()
            if write.is_ended:
                continue
            command = self._encode(write)
            size = COMMAND_HEAD_BYTES + len(command)
            if size > budget and not self._transfers.has_room():
                held_back.append(write)
                continue
            if batch and (
                write.session is not batch[0][0].session
                or batch_bytes + size > budget
                or len(batch) == COMMANDS_PER_REQUEST_MAXIMUM
            ):
                self._send(leader, batch, now_us)
                batch, batch_bytes = [], 0
            batch.append((write, command))
            batch_bytes += size
        if batch:
            self._send(leader, batch, now_us)
        self._ready = held_back

    def _open_session(self) -> None:
        """See that there is a session for the writes that wait, by a write without a handle."""
        session = self._current
        if self._waiting and session.opened_at == 0 and not session.is_opening:
            session.is_opening = True
            opening = PendingWrite(None, OpenSession(), 0)
            session.take(opening, 0)
            self._queue(opening)

    def _give_sequences(self) -> None:
        session = self._current
        while self._waiting and session.opened_at and session.has_room():
            write = self._waiting.popleft()
            if not write.is_ended:
                session.take_next(write)
                self._queue(write)

    def _queue(self, write: PendingWrite) -> None:
        if not write.is_queued:
            write.is_queued = True
            self._ready.append(write)

    @staticmethod
    def _encode(write: PendingWrite) -> bytes:
        """Encode a write as it stands now.

        `first_incomplete` passes sequences whose outcome the caller was told to be unknown. That
        is safe: they are never sent again, and applying a command that passes them fences them: a
        copy that is still under way is answered SEQUENCE_FORGOTTEN if it is committed later. So an
        unknown write can take effect before the later commands of its session, and never after.
        """
        session = write.session
        assert session is not None, "a write is queued after it got its session"
        first_incomplete = session.first_incomplete() if write.sequence else 0
        return encode_command(
            Command(
                session.client_id,
                session.opened_at if write.sequence else 0,
                write.sequence,
                first_incomplete,
                write.operation,
            )
        )

    def _send(self, leader: Server, batch: list[tuple[PendingWrite, bytes]], now_us: int) -> None:
        assert leader.process is not None, "flush has seen to it"
        number = next(self._attempt_numbers)
        commands = tuple([command for _, command in batch])
        request = messages.Write(leader.process, number, commands)
        delivery = self._transfers.send(leader.address, request, now_us)
        writes = {write.sequence: write for write, _ in batch}
        attempt = Attempt(number, leader.process, delivery, writes)
        self._attempts[number] = attempt
        for write in writes.values():
            write.is_queued = False
            write.attempts[number] = attempt
            write.latest = attempt
        tries = max(len(write.attempts) for write in writes.values())
        attempt.expectation = self._expectations.expect(
            leader, delivery, tries - 1, lambda: self._send_anew(attempt), now_us
        )

    def _send_anew(self, attempt: Attempt) -> None:
        """Queue those of the attempt's writes that nothing newer was sent of."""
        if attempt.expectation is not None:
            attempt.expectation.cancel()
        self._queue_again([write for write in attempt.writes.values() if write.latest is attempt])

    def _queue_again(self, writes: list[PendingWrite]) -> None:
        for write in writes:
            if write.is_ended or write.session is None:
                continue
            if write.handle is None and not self._waiting:
                # An opening that nobody waits for is let go; the next write begins another.
                write.session.is_opening = False
                self._end(write)
            else:
                self._queue(write)

    def leader_changed(self) -> None:
        """Another server leads: send it at once what the last one did not answer."""
        leader = self._search.leader
        for attempt in list(self._attempts.values()):
            if leader is None or attempt.process != leader.process:
                self._send_anew(attempt)

    # -- outcomes ---------------------------------------------------------------------------------

    def receive_results(self, source: Source, answer: messages.Written) -> None:
        """Results of commands, from whichever replica led when they were applied."""
        session = self._sessions.get(answer.client_id)
        self._search.confirm(self._roster.server_of(source))
        for result in answer.results:
            write = None if session is None else session.pending.get(result.sequence)
            if write is not None:
                self._take_result(write, result)

    def _take_result(self, write: PendingWrite, result: WriteResult) -> None:
        session = write.session
        assert session is not None, "only a session's writes get results"
        if write.handle is None:
            if result.outcome is Outcome.DONE:
                session.opened_at = result.revision
                self._end(write)
            return
        match result.outcome:
            case Outcome.DONE | Outcome.ABSENT | Outcome.DIFFERENT:
                self._finish(write, _value_of(write, result))
            case Outcome.INVALID:
                # Every copy has the same bytes, so no other one was applied either.
                self._finish(write, NotDone("the replicas refused the command as malformed"))
            case Outcome.SESSION_EXPIRED:
                if session is self._current:
                    self._start_session()
                self._finish(write, self._expired(write))
            case Outcome.SEQUENCE_FORGOTTEN | Outcome.TOO_MANY_OUTSTANDING:
                # This client passes no sequence that it waits for, and stays within the window.
                self._finish(write, self._expired(write))
            case _:
                assert_never(result.outcome)

    @staticmethod
    def _expired(write: PendingWrite) -> ClientError:
        """The copy that was answered was not applied; any other one may have been."""
        copies = list(write.attempts.values())
        if len(copies) == 1 and not copies[0].delivery.may_arrive_twice:
            return NotDone(
                "the replicas had forgotten this client's session, and did not run the write;"
                " ask again"
            )
        return SessionExpired(
            f"write {write.request_id}: the replicas have forgotten this client's session, so they"
            " can't tell whether an earlier attempt was run; read the key to find out",
            write.request_id,
        )

    def _start_session(self) -> None:
        """Go on under a session of its own client id, for a result names no more than that.

        What was never sent under the old one moves over. The rest is asked for under the old one
        until it is answered, and never run under the new one.
        """
        old = self._current
        self._current = WriteSession(self._random.randbytes(len(old.client_id)))
        self._sessions[self._current.client_id] = self._current
        unsent = [write for write in old.pending.values() if not write.attempts]
        for write in reversed(unsent):
            old.pending.pop(write.sequence)
            write.leave_session()
            if write.handle is not None:
                self._waiting.appendleft(write)
        self._ready = deque(write for write in self._ready if write.session is not None)
        self._forget_if_done(old)

    def receive_refusal(self, source: Source, answer: WriteRefused, now_us: int) -> None:
        """A replica did not take an attempt, or (PENDING_LOST) can't say what became of one."""
        session = self._sessions.get(answer.client_id)
        if session is None:
            return
        writes = [session.pending[s] for s in answer.sequences if s in session.pending]
        attempt = self._attempts.get(answer.attempt)
        if attempt is not None and attempt.process == source.process:
            for write in writes:
                if not attempt.delivery.may_arrive_twice:
                    attempt.drop(write)
            if not attempt.writes:
                self._forget_attempt(attempt)
        server = self._roster.server_of(source)
        if server is not None:
            self._roster.note_refusal(server, answer.reason, answer.leader)
        for write in writes:
            write.refusal = answer.reason
        self._act_on_refusal(answer, writes, attempt, server, now_us)

    def _act_on_refusal(
        self,
        answer: WriteRefused,
        writes: list[PendingWrite],
        attempt: Attempt | None,
        server: Server | None,
        now_us: int,
    ) -> None:
        if answer.reason in _NEVER:
            for write in writes:
                if write.handle is not None:
                    self._finish(write, self._failed(write, "was refused", ""))
            return
        is_latest = attempt is not None and any(write.latest is attempt for write in writes)
        if not is_latest and answer.reason is not RefusalReason.PENDING_LOST:
            return
        if answer.reason in _ASK_AGAIN_LATER:
            self._expectations.later(lambda: self._queue_again(writes), now_us)
            return
        if server is not None:
            self._search.refused(server, answer.reason, answer.leader, now_us)
        self._queue_again(writes)

    def expire(self, handle: int) -> ClientError | None:
        """The caller waits no longer; None if the handle is none of these."""
        write = self._by_handle.get(handle)
        if write is None:
            return None
        why = self._roster.explain(write.submitted_us)
        error = self._failed(write, "was not answered in time", str(why))
        self._drop(write)
        return error

    @staticmethod
    def _failed(write: PendingWrite, what: str, why: str) -> ClientError:
        """Not done, if no attempt can have arrived that was not refused for good; else unknown."""
        refusal = f", last refused as {write.refusal.name}" if write.refusal else ""
        detail = f": {why}" if why else ""
        if write.may_have_arrived:
            return OutcomeUnknown(
                f"write {write.request_id} {what}{refusal}; it may or may not have been"
                f" done{detail}",
                write.request_id,
            )
        return NotDone(f"not done{refusal}{detail}")

    def epoch_changed(self) -> None:
        """A recovered cluster took over; what the old epoch may have run must never run again."""
        for session in list(self._sessions.values()):
            for write in list(session.pending.values()):
                if write.handle is not None and write.may_have_arrived:
                    what = "was under way while the cluster was recovered"
                    self._finish(write, self._failed(write, what, ""))
                else:
                    self._forget_attempts_of(write)
        self._start_session()

    def _finish(self, write: PendingWrite, value: Value | ClientError) -> None:
        handle = write.handle
        assert handle is not None, "an opening has nobody to tell"
        self._drop(write)
        self._complete(handle, value)

    def _drop(self, write: PendingWrite) -> None:
        if write.handle is not None:
            del self._by_handle[write.handle]
        self._end(write)

    def _end(self, write: PendingWrite) -> None:
        """Nothing of this write is wanted any more."""
        write.is_ended = True
        self._forget_attempts_of(write)
        session = write.session
        if session is not None:
            session.pending.pop(write.sequence, None)
            self._forget_if_done(session)

    def _forget_attempts_of(self, write: PendingWrite) -> None:
        for attempt in list(write.attempts.values()):
            attempt.drop(write)
            if not attempt.writes:
                self._forget_attempt(attempt)

    def _forget_attempt(self, attempt: Attempt) -> None:
        if attempt.expectation is not None:
            attempt.expectation.cancel()
        self._attempts.pop(attempt.number, None)

    def _forget_if_done(self, session: WriteSession) -> None:
        if session is not self._current and not session.pending:
            self._sessions.pop(session.client_id, None)


def _value_of(write: PendingWrite, result: WriteResult) -> Value:
    """What the caller gets for a write that was done."""
    match write.operation:
        case Put():
            return Written(result.revision, write.request_id)
        case Delete():
            found = result.outcome is not Outcome.ABSENT
            return Deleted(found, result.revision, write.request_id)
        case CompareAndSet():
            swapped = result.outcome is not Outcome.DIFFERENT
            return Swapped(swapped, result.revision, write.request_id)
        case OpenSession():
            raise AssertionError("an opening has nobody to tell")
