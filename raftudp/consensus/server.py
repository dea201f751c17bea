"""Server: one participant of Raft.

All control flow between the concerns is here; they return facts, it acts on them.

`step` takes what happened and the time, and returns what must be done (`Outputs`, whose order is
the durability rule). It never waits, reads no clock and draws no randomness but from the generator
that it was given. Reading order for newcomers: `_take`, `_take_mail`, then the handler of
AppendEntries, then `_finish`.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from random import Random
from typing import assert_never

from raftudp.consensus import (
    election,
    founding,
    invariants,
    leadership_transfer,
    reading,
    replication,
    transitions,
)
from raftudp.consensus.inputs import (
    CommandProposed,
    EntriesPersisted,
    FoundRequested,
    Input,
    MailReceived,
    OpenRequested,
    ReadRequested,
    TransferRequested,
)
from raftudp.consensus.messages import (
    AppendEntries,
    AppendEntriesResponse,
    Found,
    Greeting,
    GreetingResponse,
    Mail,
    Message,
    RequestPreVote,
    RequestPreVoteResponse,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
)
from raftudp.consensus.outputs import (
    FollowerStatus,
    Outputs,
    Proposal,
    ReadGrant,
    Refusal,
    ServerStatus,
)
from raftudp.consensus.state import NEVER, ServerConfiguration, State
from raftudp.consensus.trace import Action
from raftudp.consensus.vocabulary import (
    ANY_INCARNATION,
    Entry,
    EntryKind,
    HardState,
    Role,
    ServerId,
)
from raftudp.limits import COMMAND_BYTES_MAXIMUM, UNCOMMITTED_BYTES_MAXIMUM

__all__ = ["Server", "ServerConfiguration"]


class Server:
    """One incarnation. Blank until a founding binds it."""

    def __init__(self, configuration: ServerConfiguration, random: Random, now_us: int) -> None:
        self._state = State(configuration, random, greeting_deadline_us=now_us)
        self._outputs = Outputs()

    # ---- the boundary

    def step(self, inputs: Sequence[Input], now_us: int) -> Outputs:
        """Takes everything that happened since the last step, in order, and what is due by `now_us`
        (microseconds).

        Called without inputs when `next_deadline` passes.
        """
        state = self._state
        before = invariants.picture(state)
        outputs = self._outputs = Outputs()
        for happened in inputs:
            self._take(happened, now_us)
        self._fire_timers(now_us)
        self._finish(now_us)
        if (before.current_term, before.voted_for) != (state.current_term, state.voted_for):
            outputs.hard_state = HardState(state.current_term, state.voted_for)
        outputs.truncate_after, outputs.first_index, outputs.entries = state.log.take_unwritten()
        self._deliver_committed(outputs)
        outputs.trace, state.trace = state.trace, []
        invariants.check_step(before, state)
        invariants.check_state(state)
        return outputs

    def next_deadline(self) -> int:
        """When `step` must be called at the latest, in microseconds of the same clock."""
        state = self._state
        transfer = state.transfer
        return min(
            state.election_deadline_us,
            state.resend_deadline_us,
            state.heartbeat_deadline_us,
            state.greeting_deadline_us,
            NEVER if transfer is None else transfer.deadline_us,
        )

    def status(self, now_us: int) -> ServerStatus:
        """An immutable picture of this server."""
        state = self._state
        last_index = state.log.last_index
        followers = tuple(
            FollowerStatus(
                identity.name,
                progress.match_index,
                last_index - progress.match_index,
                progress.rtt_us,
                None if progress.last_heard_us is None else now_us - progress.last_heard_us,
            )
            for identity, progress in state.progress.items()
        )
        return ServerStatus(
            identity=state.identity,
            cluster=state.cluster,
            role=state.role,
            term=state.current_term,
            leader=state.leader,
            commit_index=state.commit_index,
            last_log_index=last_index,
            membership=state.membership,
            membership_committed=state.log.membership_index <= state.commit_index,
            is_open=state.is_open,
            is_transferring=state.transfer is not None,
            followers=followers,
            cluster_seen=state.cluster_seen,
        )

    # ---- what happened

    def _take(self, happened: Input, now_us: int) -> None:
        match happened:
            case MailReceived(mail):
                self._take_mail(mail, now_us)
            case CommandProposed(token, command):
                self._propose(token, command)
            case ReadRequested(token):
                self._read(token)
            case EntriesPersisted(index, term):
                state = self._state
                if state.role is Role.LEADER and state.log.matches(index, term):
                    state.persisted_index = max(state.persisted_index, index)
                    state.may_commit = True
            case OpenRequested(token):
                self._open(token)
            case FoundRequested(token, cluster, membership):
                refusal = founding.binding_refusal(self._state, cluster, membership)
                if refusal is None and self._state.cluster is None:
                    transitions.bind(self._state, cluster, membership, now_us)
                self._answer(token, refusal)
            case TransferRequested(token, target):
                refusal = leadership_transfer.begin(self._state, target, now_us)
                self._answer(token, refusal)
                self._send_timeout_now()
            case _:
                assert_never(happened)

    def _propose(self, token: Hashable, command: bytes) -> None:
        state = self._state
        refusal = self._command_refusal(len(command))
        if refusal is not None:
            self._answer(token, refusal)
            return
        index = replication.append(state, replication.split_command(state.current_term, command))
        self._outputs.proposals.append(Proposal(token, None, index, state.current_term))

    def _command_refusal(self, command_bytes: int) -> Refusal | None:
        state = self._state
        if state.role is Role.BLANK:
            return Refusal.BLANK
        if state.role is not Role.LEADER:
            return Refusal.NOT_LEADER
        if not state.is_open:
            return Refusal.NOT_OPEN
        if state.transfer is not None:
            return Refusal.TRANSFERRING
        if command_bytes > COMMAND_BYTES_MAXIMUM:
            return Refusal.TOO_LARGE
        if state.uncommitted_bytes + command_bytes > UNCOMMITTED_BYTES_MAXIMUM:
            return Refusal.OVERLOADED
        return None

    def _read(self, token: Hashable) -> None:
        state = self._state
        if state.role is Role.BLANK:
            refusal: Refusal | None = Refusal.BLANK
        elif state.role is not Role.LEADER:
            refusal = Refusal.NOT_LEADER
        else:
            refusal = reading.refusal(state)
        if refusal is None:
            reading.take(state, token)
        else:
            self._outputs.reads.append(ReadGrant(token, refusal))

    def _open(self, token: Hashable) -> None:
        state = self._state
        if state.role is not Role.LEADER:
            self._answer(token, Refusal.BLANK if state.role is Role.BLANK else Refusal.NOT_LEADER)
            return
        if state.commit_index < state.first_index_of_term:
            self._answer(token, Refusal.NOT_READY)
            return
        assert state.cluster is not None
        index = state.log.opening(state.cluster)
        if index is None:
            entry = Entry(state.current_term, EntryKind.OPEN, state.cluster)
            index = replication.append(state, [entry])
        term = state.log.term_at(index)
        self._outputs.proposals.append(Proposal(token, None, index, term))

    # ---- mail

    def _take_mail(self, mail: Mail, now_us: int) -> None:
        if not self._is_for_me(mail):
            self._outputs.misaddressed += 1
            return
        state = self._state
        sender, message = mail.sender, mail.message
        if (
            sender not in state.heard_of
            and state.cluster is not None
            and mail.cluster == state.cluster
            and state.membership.is_filled_by(sender)
        ):
            state.heard_of.add(sender)
        if isinstance(message, AppendEntries):
            self._on_append_entries(sender, message, now_us)
        elif isinstance(message, AppendEntriesResponse):
            if self._is_current(message.term, now_us) and state.role is Role.LEADER:
                replication.take_response(state, sender, message, now_us)
                self._send_timeout_now(only_to=sender)
        else:
            self._on_rare(mail, message, now_us)

    def _is_for_me(self, mail: Mail) -> bool:
        """Whether cluster, epoch and incarnation match, and a blank server listens to this kind at
        all (section 2).
        """
        state = self._state
        message = mail.message
        if isinstance(message, Greeting):
            return mail.receiver == ServerId(state.identity.name, ANY_INCARNATION)
        if mail.receiver != state.identity or mail.cluster is None:
            return False
        if state.cluster is None:
            return isinstance(message, Found | GreetingResponse)
        return mail.cluster == state.cluster

    def _on_rare(
        self,
        mail: Mail,
        message: RequestPreVote
        | RequestPreVoteResponse
        | RequestVote
        | RequestVoteResponse
        | TimeoutNow
        | Found
        | Greeting
        | GreetingResponse,
        now_us: int,
    ) -> None:
        state, sender = self._state, mail.sender
        match message:
            case RequestPreVote():
                self._on_request_pre_vote(sender, message, now_us)
            case RequestPreVoteResponse():
                if self._is_current(message.term, now_us, or_lower=True):
                    if election.count_pre_vote(state, sender, message):
                        self._campaign(now_us)
            case RequestVote():
                self._on_request_vote(sender, message, now_us)
            case RequestVoteResponse():
                if self._is_current(message.term, now_us):
                    if election.count_vote(state, sender, message):
                        transitions.become_leader(state, now_us)
            case TimeoutNow():
                if self._is_current(message.term, now_us) and state.role is Role.FOLLOWER:
                    self._campaign(now_us)
            case Found():
                self._on_found(mail, message, now_us)
            case Greeting():
                answer = founding.answer_greeting(state, sender)
                if answer is not None:
                    self._send(sender, answer)
            case GreetingResponse():
                assert mail.cluster is not None
                founding.take_greeting_response(state, sender, mail.cluster)
            case _:
                assert_never(message)

    def _is_current(self, term: int, now_us: int, or_lower: bool = False) -> bool:
        """Adopts a higher term; says whether a message of `term` may count afterwards."""
        state = self._state
        if term > state.current_term:
            self._leave_leadership()
            transitions.update_term(state, term, now_us)
            return True
        return or_lower or term == state.current_term

    def _on_append_entries(self, leader: ServerId, message: AppendEntries, now_us: int) -> None:
        state = self._state
        if not self._is_current(message.term, now_us):
            self._send(leader, replication.reject(state, message))
            return
        if state.role is Role.LEADER:
            return
        transitions.recognise_leader(state, leader, now_us)
        self._send(leader, replication.follow_in_order(state, message))

    def _on_request_pre_vote(
        self, candidate: ServerId, message: RequestPreVote, now_us: int
    ) -> None:
        state = self._state
        granted = election.would_vote(state, message, now_us)
        answer = RequestPreVoteResponse(state.current_term, message.ballot, granted)
        self._send(candidate, answer)

    def _on_request_vote(self, candidate: ServerId, message: RequestVote, now_us: int) -> None:
        state = self._state
        self._is_current(message.term, now_us)
        granted = election.may_grant(state, candidate, message)
        if granted:
            transitions.grant_vote(state, candidate, now_us)
        self._send(candidate, RequestVoteResponse(state.current_term, granted))

    def _on_found(self, mail: Mail, message: Found, now_us: int) -> None:
        state = self._state
        assert mail.cluster is not None
        refusal = founding.binding_refusal(state, mail.cluster, message.membership)
        if state.cluster is None and refusal is None:
            transitions.bind(state, mail.cluster, message.membership, now_us)

    # ---- time

    def _fire_timers(self, now_us: int) -> None:
        state = self._state
        if state.role is Role.BLANK:
            if now_us >= state.greeting_deadline_us:
                for receiver, greeting in founding.greetings(state, now_us):
                    self._outputs.messages.append(Mail(state.identity, receiver, None, greeting))
            return
        if state.role is Role.LEADER:
            leadership_transfer.give_up_if_due(state, now_us)
            horizon_us = now_us - state.configuration.election_timeout_us_maximum
            if (
                now_us >= state.heartbeat_deadline_us
                and replication.heard_from_quorum_us(state, now_us) < horizon_us
            ):
                state.note(Action.QUORUM_UNHEARD)
                self._leave_leadership()
                transitions.become_follower(state, now_us)
            return
        if now_us >= state.election_deadline_us:
            if state.role is Role.LEARNER:
                transitions.miss_leader(state, now_us)
                return
            transitions.become_pre_candidate(state, now_us)
            if election.has_won(state):
                self._campaign(now_us)
        if now_us >= state.resend_deadline_us:
            self._request_votes(now_us)

    def _campaign(self, now_us: int) -> None:
        state = self._state
        transitions.become_candidate(state, now_us)
        if election.has_won(state):
            transitions.become_leader(state, now_us)
        else:
            self._request_votes(now_us)

    def _request_votes(self, now_us: int) -> None:
        state = self._state
        self._pass_founding_on()
        request, silent = election.request(state, now_us)
        for other in silent:
            self._send(other, request)

    def _pass_founding_on(self) -> None:
        state = self._state
        found = founding.founding_of(state)
        if found is not None:
            for other in founding.unheard(state):
                self._send(other, found)

    def _send_timeout_now(self, only_to: ServerId | None = None) -> None:
        ready = leadership_transfer.message(self._state)
        if ready is not None and only_to in (None, ready[0]):
            self._send(*ready)

    # ---- the end of a step

    def _finish(self, now_us: int) -> None:
        """A leader commits what a quorum holds, then sends what the step has brought, once."""
        state = self._state
        if state.role is not Role.LEADER:
            return
        replication.advance_commit_index(state)
        confirm = reading.index(state)
        heartbeat = now_us >= state.heartbeat_deadline_us
        for follower, message in replication.flush(state, heartbeat, confirm, now_us):
            self._send(follower, message)
        if heartbeat:
            self._pass_founding_on()
            self._send_timeout_now()
        self._outputs.reads.extend(reading.confirmed(state))

    def _deliver_committed(self, outputs: Outputs) -> None:
        state = self._state
        outputs.first_committed = state.delivered_index + 1
        if state.commit_index == state.delivered_index:
            return
        outputs.committed = state.log.between(state.delivered_index + 1, state.commit_index)
        for index, entry in enumerate(outputs.committed, outputs.first_committed):
            if entry.kind is EntryKind.MEMBERSHIP:
                state.note(Action.MEMBERSHIP, index=index)
            elif entry.kind is EntryKind.OPEN and entry.data == state.cluster:
                state.is_open = True
                state.note(Action.OPEN, index=index)
        state.delivered_index = state.commit_index

    def _leave_leadership(self) -> None:
        self._outputs.reads.extend(reading.abandon(self._state))

    def _answer(self, token: Hashable, refusal: Refusal | None) -> None:
        self._outputs.proposals.append(Proposal(token, refusal))

    def _send(self, receiver: ServerId, message: Message) -> None:
        state = self._state
        self._outputs.messages.append(Mail(state.identity, receiver, state.cluster, message))
