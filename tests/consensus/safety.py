"""What must hold between all servers of a cluster, checked after each step of any of them.

The names are those of figure 3 of the Raft paper. The checks see every incarnation that ever was,
also the dead, and judge from outputs and durable logs: what a server says and what survives of it.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from raftudp.consensus.log import entry_bytes
from raftudp.consensus.messages import AppendEntries, RequestVoteResponse
from raftudp.consensus.outputs import Outputs, ServerStatus
from raftudp.consensus.quorum import quorum_size
from raftudp.consensus.vocabulary import Entry, Role, ServerId
from raftudp.limits import APPEND_ENTRIES_OVERHEAD_BYTES


@dataclass
class Memory:
    """What one incarnation was told to write, what it has written, and what reached its store."""

    identity: ServerId
    log: list[Entry] = field(default_factory=list)
    durable_log: list[Entry] = field(default_factory=list)
    committed: list[Entry] = field(default_factory=list)


def written(log: list[Entry], outputs: Outputs) -> list[Entry]:
    """The log after these outputs: cut first, then appended to."""
    if outputs.truncate_after is not None:
        assert outputs.truncate_after < len(log), "nothing to cut there"
        log = log[: outputs.truncate_after]
    assert not outputs.entries or outputs.first_index == len(log) + 1, "no gap in the log"
    return [*log, *outputs.entries] if outputs.entries else log


class Safety:
    """Judges a whole cluster; every method raises AssertionError where safety is broken."""

    def __init__(self, body_bytes: int) -> None:
        self.committed: list[Entry] = []
        """What was ever committed, by index from 1."""
        self.leaders: dict[int, ServerId] = {}
        self.memories: dict[ServerId, Memory] = {}
        self._committed_in_term: list[int] = []
        self._votes: dict[tuple[ServerId, int], ServerId] = {}
        self._entries: dict[tuple[int, int], tuple[Entry, int]] = {}
        self._read_floors: dict[Hashable, int] = {}
        self._body_bytes = body_bytes

    def read_requested(self, token: Hashable) -> None:
        """A read must see what had been committed, by anyone, when it was asked for."""
        self._read_floors[token] = len(self.committed)

    def observe(self, memory: Memory, outputs: Outputs, status: ServerStatus) -> None:
        """Judges one step of one server, before its outputs are obeyed."""
        self._log_matching(memory, outputs)
        self._one_vote_a_term(memory, outputs)
        if status.role is Role.LEADER:
            self._one_leader_a_term(memory, outputs, status)
        self._state_machine_safety(memory, outputs, status)
        for mail in outputs.messages:
            message = mail.message
            if isinstance(message, AppendEntries) and len(message.entries) > 1:
                size = sum(entry_bytes(entry) for entry in message.entries)
                assert size + APPEND_ENTRIES_OVERHEAD_BYTES <= self._body_bytes
        for grant in outputs.reads:
            if grant.refusal is None:
                assert grant.read_index >= self._read_floors[grant.token], "a stale read"
                assert grant.read_index <= len(self.committed)

    def _log_matching(self, memory: Memory, outputs: Outputs) -> None:
        """An entry of one index and term is the same everywhere, and so is the one before it."""
        if not outputs.entries:
            return
        previous = memory.log[outputs.first_index - 2].term if outputs.first_index > 1 else 0
        for index, entry in enumerate(outputs.entries, outputs.first_index):
            known = self._entries.setdefault((index, entry.term), (entry, previous))
            assert known == (entry, previous), "log matching"
            assert previous <= entry.term, "terms never fall along a log"
            previous = entry.term

    def _one_vote_a_term(self, memory: Memory, outputs: Outputs) -> None:
        granted = [
            (mail.message.term, mail.receiver)
            for mail in outputs.messages
            if isinstance(mail.message, RequestVoteResponse) and mail.message.vote_granted
        ]
        if outputs.hard_state is not None and outputs.hard_state.voted_for is not None:
            granted.append((outputs.hard_state.current_term, outputs.hard_state.voted_for))
        for term, candidate in granted:
            known = self._votes.setdefault((memory.identity, term), candidate)
            assert known == candidate, f"{memory.identity.name} voted twice in term {term}"

    def _one_leader_a_term(self, memory: Memory, outputs: Outputs, status: ServerStatus) -> None:
        """Election safety, leader append-only, and leader completeness at its election."""
        assert outputs.truncate_after is None or status.term not in self.leaders, "append-only"
        if status.term in self.leaders:
            assert self.leaders[status.term] == memory.identity, "two leaders in one term"
            return
        self.leaders[status.term] = memory.identity
        log = written(memory.log, outputs)
        for index, entry in enumerate(self.committed, 1):
            if self._committed_in_term[index - 1] < status.term:
                assert log[index - 1] == entry, "leader completeness"

    def _state_machine_safety(self, memory: Memory, outputs: Outputs, status: ServerStatus) -> None:
        """The same entry at every committed index, committed first by a leader, with a quorum."""
        if outputs.truncate_after is not None:
            assert outputs.truncate_after >= len(memory.committed), "un-committed by truncation"
        if not outputs.committed:
            return
        assert outputs.first_committed == len(memory.committed) + 1, "applied in order, once"
        for index, entry in enumerate(outputs.committed, outputs.first_committed):
            if index <= len(self.committed):
                assert self.committed[index - 1] == entry, "what is committed never changes"
                continue
            assert status.role is Role.LEADER, "only a leader commits what nobody has committed"
            self.committed.append(entry)
            self._committed_in_term.append(status.term)
            self._held_by_quorum(status, index)

    def _held_by_quorum(self, status: ServerStatus, index: int) -> None:
        """Whoever was counted holds the entry durably: it was acknowledged after the write."""
        entry = self.committed[index - 1]
        holders = [
            identity
            for identity in status.membership.identities()
            if identity in self.memories
            and len(self.memories[identity].durable_log) >= index
            and self.memories[identity].durable_log[index - 1] == entry
        ]
        assert len(holders) >= quorum_size(status.membership), "committed without a quorum"
