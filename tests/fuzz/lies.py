"""Well-formed mail that nobody honest would send: every number near one that matters."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final, TypeAlias

from raftudp.consensus import messages as m
from raftudp.consensus.state import State
from raftudp.consensus.vocabulary import Cluster, Entry, EntryKind, Membership, ServerId
from raftudp.limits import INTEGER_MAXIMUM
from tests.consensus.cluster import CLUSTER
from tests.consensus.one_server import identity, membership_of

OTHER_CLUSTER: Final = Cluster(b"another-cluster!", 1, b"another-epoch-id")
LATER_EPOCH: Final = CLUSTER._replace(epoch=2, epoch_id=b"a-later-epoch-id")
ME: Final = identity("a")
MEMBERS: Final = [identity("b"), identity("c")]
STRANGERS: Final = [
    identity("z"),
    identity("b", 2),
    identity("a", 2),
    ServerId("b", ME.incarnation),
]
"""Nobody's name, members' names under other lives, and this server's life under another name."""
EVERYBODY: Final = [*MEMBERS, *STRANGERS, ME]

Liar: TypeAlias = Callable[[State], m.Message]


class Lies:
    """Makes messages up, by chance, to tell them to a server of some state."""

    def __init__(self, random: Random, greatest: int = INTEGER_MAXIMUM) -> None:
        """No number is above `greatest`."""
        self._random = random
        self._greatest = greatest

    def anything(self, state: State) -> m.Message:
        """Every kind of message."""
        if self._random.random() < 0.4:
            return self.append_entries(state)
        return self.anything_but_append_entries(state)

    def append_entries(self, state: State) -> m.AppendEntries:
        """As the codec lets it pass: terms in order, up to the message's."""
        random, term = self._random, state.current_term
        terms = sorted(self._near(term) for _ in range(random.randint(2, 6)))
        entries = tuple(self._entry(entry_term) for entry_term in terms[1:-1])
        return m.AppendEntries(
            terms[-1],
            self._near(state.round),
            min(self._near(state.log.last_index), INTEGER_MAXIMUM - len(entries)),
            terms[0],
            self._near(state.commit_index),
            entries,
        )

    def anything_but_append_entries(self, state: State) -> m.Message:
        """Every other kind of message, with numbers that this state cares about."""
        random, near = self._random, self._near
        term, last, round_ = state.current_term, state.log.last_index, state.round
        yes = random.random() < 0.6
        response = m.AppendEntriesResponse(
            near(term), near(round_), yes, near(last), near(last), near(last), near(term)
        )
        return random.choice(
            [
                response,
                response,
                m.RequestVote(near(term), near(last), near(term)),
                m.RequestVoteResponse(near(term), yes),
                m.RequestPreVote(near(term), near(state.ballot), near(last), near(term)),
                m.RequestPreVoteResponse(near(term), near(state.ballot), yes),
                m.TimeoutNow(near(term)),
                m.Found(self._membership()),
                m.Greeting(),
                m.GreetingResponse(random.choice([None, *MEMBERS]), yes),
            ]
        )

    def _entry(self, term: int) -> Entry:
        data: bytes | Membership | Cluster = self._random.randbytes(3)
        kind = self._random.choice(list(EntryKind))
        if kind is EntryKind.NOOP:
            data = b""
        elif kind is EntryKind.MEMBERSHIP:
            data = self._membership()
        elif kind is EntryKind.OPEN:
            data = self._random.choice([CLUSTER, OTHER_CLUSTER])
        return Entry(term, kind, data)

    def _membership(self) -> Membership:
        return membership_of(self._random.choice(["abc", "ab", "bc", "a", "aBC", "abcde", "Abc"]))

    def _near(self, number: int) -> int:
        """A number close to this one, or small, or at one of the ends."""
        chance = self._random.random()
        if chance < 0.75:
            return max(0, min(number + self._random.randint(-2, 3), self._greatest))
        if chance < 0.95:
            return self._random.randint(0, 6)
        return self._random.choice([1_000, self._greatest - 1, self._greatest])
