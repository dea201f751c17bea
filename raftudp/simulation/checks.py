"""What must hold between servers, checked at every step of each: incremental, so that a step costs
what it changed.

What must hold of one server alone is asserted in the core itself (`consensus/invariants.py`). Where
that could hide a consequence, it is checked here once more, from records of this module's own: a
bug planted in the core must not blind its judge.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from raftudp.consensus.inputs import Input, ReadRequested
from raftudp.consensus.messages import (
    AppendEntriesResponse,
    Mail,
    RequestVote,
    RequestVoteResponse,
)
from raftudp.consensus.outputs import Outputs, ReadGrant
from raftudp.consensus.quorum import quorum_size
from raftudp.consensus.server import Server
from raftudp.consensus.state import State
from raftudp.consensus.trace import Action, TraceEvent
from raftudp.consensus.vocabulary import (
    Entry,
    EntryKind,
    HardState,
    Index,
    Membership,
    Role,
    ServerId,
    Term,
)
from raftudp.simulation.violations import Violation
from raftudp.store.state_machine import StateMachine

DIGEST_INTERVAL = 64
"""State machines are compared at every index that it divides."""


@dataclass(slots=True)
class _Seen:
    """One incarnation, as of its last step; kept beyond its death."""

    state: State
    role: Role = Role.BLANK
    term: Term = 0
    commit_index: Index = 0
    match_indexes: dict[ServerId, Index] = field(default_factory=dict)
    """What it knew, as the leader of `term`."""
    reads: dict[Hashable, Index] = field(default_factory=dict)
    """By token: how much was committed anywhere when the read was asked for."""
    hard_state: HardState | None = None
    """As it is durable; so below."""
    durable: list[Entry] = field(default_factory=list)

    def holds(self, index: Index, term: Term) -> bool:
        """Whether its durable log has an entry of that term there."""
        return 0 < index <= len(self.durable) and self.durable[index - 1].term == term


class Checks:
    """Sees every step of every incarnation, dead ones' last states included."""

    def __init__(self) -> None:
        self._seen: dict[ServerId, _Seen] = {}
        self._leaders: dict[Term, ServerId] = {}
        self._votes: dict[tuple[ServerId, Term], ServerId] = {}
        self._entries: dict[tuple[Index, Term], tuple[Entry, Term]] = {}
        self._commit_terms: list[Term] = []
        """For each committed entry, the term of the leader that was the first to commit it."""
        self._digests: dict[Index, bytes] = {}
        self._founding: Membership | None = None
        self.committed: list[Entry] = []
        self.leaders = 0

    def watch(self, identity: ServerId, state: State) -> None:
        """A new incarnation was born."""
        if identity in self._seen:
            raise Violation("identity", f"the incarnation {identity} lives twice")
        self._seen[identity] = _Seen(state)

    def before_step(self, identity: ServerId, read: ReadRequested) -> None:
        """A server is about to take a read."""
        self._seen[identity].reads[read.token] = len(self.committed)

    def after_step(self, state: State, outputs: Outputs) -> None:
        """One server took a step; its outputs are not yet obeyed."""
        seen = self._seen[state.identity]
        for event in outputs.trace:
            self._check_event(state, outputs, event)
        if outputs.entries:
            self._check_log_matching(state, outputs)
        if state.role is Role.LEADER:
            self._check_leader_only_appends(seen, outputs)
        if outputs.committed:
            self._check_commit(state, outputs)
        if outputs.reads:
            self._check_reads(seen, outputs.reads)
        self._check_nothing_falls(seen)

    def _check_event(self, state: State, outputs: Outputs, event: TraceEvent) -> None:
        """A step takes many messages: the event has its own term, the state may be further."""
        match event.action:
            case Action.TIMEOUT:
                self._check_vote(state.identity, event.term, state.identity)
            case Action.GRANT_VOTE:
                assert event.other is not None
                self._check_vote(state.identity, event.term, event.other)
            case Action.BECOME_LEADER:
                self._check_leader(state, event.term)
            case Action.BIND:
                self._check_founding(state)
            case Action.TRUNCATE:
                if event.index < outputs.first_committed - 1:
                    raise Violation("committed truncated", f"{state.identity} after {event.index}")
            case _:
                pass

    # ---- what never falls

    def _check_nothing_falls(self, seen: _Seen) -> None:
        state = seen.state
        if state.current_term < seen.term:
            raise Violation("monotonic", f"{state.identity}: term {seen.term} fell")
        if state.commit_index < seen.commit_index:
            raise Violation("monotonic", f"{state.identity}: commit index {seen.commit_index} fell")
        if state.role is Role.LEADER:
            known = seen.match_indexes
            if seen.role is not Role.LEADER or seen.term != state.current_term:
                known.clear()
            for follower, progress in state.progress.items():
                if progress.match_index < known.get(follower, 0):
                    raise Violation("monotonic", f"{state.identity}: match index of {follower}")
                known[follower] = progress.match_index
        seen.role, seen.term = state.role, state.current_term
        seen.commit_index = state.commit_index

    # ---- elections

    def _check_vote(self, voter: ServerId, term: Term, candidate: ServerId) -> None:
        first = self._votes.setdefault((voter, term), candidate)
        if first != candidate:
            raise Violation("one vote", f"{voter} in term {term}: {first} and {candidate}")

    def _check_leader(self, state: State, term: Term) -> None:
        identity, votes = state.identity, self._votes
        first = self._leaders.setdefault(term, identity)
        if first != identity:
            raise Violation("one leader", f"{first} and {identity} lead term {term}")
        self.leaders += 1
        if state.role is not Role.LEADER or state.current_term != term:
            return
        members = state.membership.identities()
        if identity not in members:
            raise Violation("membership", f"{identity} leads and fills no slot")
        voters = [member for member in members if votes.get((member, term)) == identity]
        if len(voters) < quorum_size(state.membership):
            raise Violation("election", f"{identity} leads term {term} by the votes of {voters}")
        earlier = bisect_left(self._commit_terms, term)
        if earlier and not state.log.matches(earlier, self.committed[earlier - 1].term):
            raise Violation(
                "leader completeness",
                f"{identity} leads term {term} without the committed entry {earlier}",
            )

    def _check_founding(self, state: State) -> None:
        membership = state.membership
        if self._founding is None:
            self._founding = membership
        if membership != self._founding:
            raise Violation("one founding", f"{membership} and {self._founding}")

    # ---- logs

    def _check_leader_only_appends(self, seen: _Seen, outputs: Outputs) -> None:
        state = seen.state
        if self._leaders.get(state.current_term) != state.identity:
            raise Violation("one leader", f"{state.identity} leads {state.current_term} unelected")
        led_before = seen.role is Role.LEADER and seen.term == state.current_term
        if led_before and outputs.truncate_after is not None:
            raise Violation("leader append-only", f"{state.identity} cuts its log")

    def _check_log_matching(self, state: State, outputs: Outputs) -> None:
        log, known = state.log, self._entries
        previous_term = log.term_at(outputs.first_index - 1)
        for index, entry in enumerate(outputs.entries, outputs.first_index):
            found = known.get((index, entry.term))
            if found is None:
                known[index, entry.term] = (entry, previous_term)
                self._check_origin(state, index, entry)
            elif (found[0] is not entry and found[0] != entry) or found[1] != previous_term:
                raise Violation(
                    "log matching", f"{state.identity} at {index}, term {entry.term}: {entry}"
                )
            previous_term = entry.term

    def _check_origin(self, state: State, index: Index, entry: Entry) -> None:
        """An entry begins its life in the log of its term's leader, the founding apart."""
        is_founding = index == 1 and entry.kind is EntryKind.MEMBERSHIP
        if not is_founding and self._leaders.get(entry.term) != state.identity:
            raise Violation(
                "leader append", f"{state.identity} makes entry {index} of term {entry.term}"
            )

    def _check_commit(self, state: State, outputs: Outputs) -> None:
        committed, terms = self.committed, self._commit_terms
        last = outputs.first_committed + len(outputs.committed) - 1
        for index, entry in enumerate(outputs.committed, outputs.first_committed):
            if index <= len(committed):
                if committed[index - 1] is not entry and committed[index - 1] != entry:
                    raise Violation(
                        "state machine safety",
                        f"{state.identity} at {index}: {entry}, not {committed[index - 1]}",
                    )
                continue
            committed.append(entry)
            terms.append(state.current_term)
            if index == last:
                self._check_quorum_holds(state, index, entry)

    def _check_quorum_holds(self, state: State, index: Index, entry: Entry) -> None:
        if state.role is not Role.LEADER:
            raise Violation("commitment", f"{state.identity} commits {index} before its leader")
        if entry.term != state.current_term:
            raise Violation(
                "commitment", f"{state.identity} counts entry {index} of term {entry.term}"
            )
        membership = state.membership
        holders = sum(
            self._seen[identity].holds(index, entry.term) for identity in membership.identities()
        )
        if holders < quorum_size(membership):
            raise Violation(
                "commitment", f"{state.identity} commits {index}, which {holders} servers hold"
            )

    def _check_reads(self, seen: _Seen, grants: list[ReadGrant]) -> None:
        """A read index is no less than what was committed anywhere when the read was asked for."""
        for grant in grants:
            committed = seen.reads.pop(grant.token)
            if grant.refusal is None and grant.read_index < committed:
                raise Violation(
                    "read index",
                    f"{seen.state.identity} reads at {grant.read_index}, {committed} was committed",
                )

    # ---- durability

    def after_write(self, identity: ServerId, outputs: Outputs) -> None:
        """What a step asked to be written is durable."""
        seen = self._seen[identity]
        if outputs.hard_state is not None:
            seen.hard_state = outputs.hard_state
        if outputs.truncate_after is not None:
            del seen.durable[outputs.truncate_after :]
        seen.durable.extend(outputs.entries)

    def before_mail(self, mail: Mail) -> None:
        """A message leaves its server: what it promises is durable."""
        message, seen = mail.message, self._seen[mail.sender]
        if isinstance(message, AppendEntriesResponse):
            if message.success and message.match_index > len(seen.durable):
                raise Violation("durability", f"{mail.sender} acknowledges {message} unwritten")
            return
        if isinstance(message, RequestVote):
            vote = HardState(message.term, mail.sender)
        elif isinstance(message, RequestVoteResponse) and message.vote_granted:
            vote = HardState(message.term, mail.receiver)
        else:
            return
        durable = seen.hard_state
        if durable != vote and (durable is None or durable.current_term <= vote.current_term):
            raise Violation("durability", f"{mail.sender} votes {message} unwritten")

    # ---- state machines

    def after_apply(self, identity: ServerId, machine: StateMachine) -> None:
        """A replica applied an entry."""
        index = machine.last_applied
        if index % DIGEST_INTERVAL == 0:
            self.compare_digest(identity, machine)

    def compare_digest(self, identity: ServerId, machine: StateMachine) -> None:
        """Replicas that applied the same entries hold the same."""
        digest = machine.digest()
        if self._digests.setdefault(machine.last_applied, digest) != digest:
            raise Violation("equal states", f"{identity} differs at {machine.last_applied}")


class WatchedServer(Server):
    """The real server, with every step shown to the checks."""

    checks: Checks

    @property
    def state(self) -> State:
        """All of its state; the simulator alone looks inside."""
        return self._state

    def step(self, inputs: Sequence[Input], now_us: int) -> Outputs:
        """Take the step, then have it checked before anything of it is obeyed."""
        for happened in inputs:
            if isinstance(happened, ReadRequested):
                self.checks.before_step(self._state.identity, happened)
        outputs = super().step(inputs, now_us)
        self.checks.after_step(self._state, outputs)
        return outputs
