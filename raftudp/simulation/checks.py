"""What must hold between servers, checked at every step of each: incremental, so that a step costs
what it changed.

What must hold of one server alone is asserted in the core itself (`consensus/invariants.py`).
"""

from __future__ import annotations

from bisect import bisect_left

from raftudp.consensus.outputs import Outputs
from raftudp.consensus.quorum import quorum_size
from raftudp.consensus.server import Server
from raftudp.consensus.state import State
from raftudp.consensus.trace import Action, TraceEvent
from raftudp.consensus.vocabulary import (
    Entry,
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


class Checks:
    """Sees every step of every incarnation, dead ones' last states included."""

    def __init__(self) -> None:
        self._states: dict[ServerId, State] = {}
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
        if identity in self._states:
            raise Violation("identity", f"the incarnation {identity} lives twice")
        self._states[identity] = state

    def after_step(self, state: State, outputs: Outputs) -> None:
        """One server took a step; its outputs are not yet obeyed."""
        if outputs.entries:
            self._check_log_matching(state, outputs)
        for event in outputs.trace:
            self._check_event(state, outputs, event)
        if outputs.committed:
            self._check_commit(state, outputs)

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

    # ---- elections

    def _check_vote(self, voter: ServerId, term: Term, candidate: ServerId) -> None:
        first = self._votes.setdefault((voter, term), candidate)
        if first != candidate:
            raise Violation("one vote", f"{voter} in term {term}: {first} and {candidate}")

    def _check_leader(self, state: State, term: Term) -> None:
        first = self._leaders.setdefault(term, state.identity)
        if first != state.identity:
            raise Violation("one leader", f"{first} and {state.identity} lead term {term}")
        self.leaders += 1
        if state.role is not Role.LEADER or state.current_term != term:
            return
        if not state.membership.is_filled_by(state.identity):
            raise Violation("membership", f"{state.identity} leads and fills no slot")
        earlier = bisect_left(self._commit_terms, term)
        if earlier and not state.log.matches(earlier, self.committed[earlier - 1].term):
            raise Violation(
                "leader completeness",
                f"{state.identity} leads term {term} without the committed entry {earlier}",
            )

    def _check_founding(self, state: State) -> None:
        membership = state.membership
        if self._founding is None:
            self._founding = membership
        if membership != self._founding:
            raise Violation("one founding", f"{membership} and {self._founding}")

    # ---- logs

    def _check_log_matching(self, state: State, outputs: Outputs) -> None:
        log, known = state.log, self._entries
        previous_term = log.term_at(outputs.first_index - 1)
        for index, entry in enumerate(outputs.entries, outputs.first_index):
            found = known.setdefault((index, entry.term), (entry, previous_term))
            if (found[0] is not entry and found[0] != entry) or found[1] != previous_term:
                raise Violation(
                    "log matching", f"{state.identity} at {index}, term {entry.term}: {entry}"
                )
            previous_term = entry.term

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
            self._states[identity].log.matches(index, entry.term)
            for identity in membership.identities()
        )
        if holders < quorum_size(membership):
            raise Violation(
                "commitment", f"{state.identity} commits {index}, which {holders} servers hold"
            )

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

    def step(self, inputs, now_us):  # type: ignore[no-untyped-def]  # the signature of Server.step
        """Take the step, then have it checked before anything of it is obeyed."""
        outputs = super().step(inputs, now_us)
        self.checks.after_step(self._state, outputs)
        return outputs
