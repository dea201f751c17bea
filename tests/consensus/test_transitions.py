"""Illegal transitions raise, and change nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from raftudp.consensus import transitions
from raftudp.consensus.messages import AppendEntries
from raftudp.consensus.state import State
from raftudp.consensus.vocabulary import Role
from tests.consensus.cluster import CLUSTER
from tests.consensus.one_server import OneServer, identity, membership_of

Transition = Callable[[State], None]


def blank() -> State:
    """A server that is bound to no cluster."""
    return OneServer(founded=False).state


def follower() -> State:
    """One that has voted for c in term 2."""
    one = OneServer()
    one.follow("b", term=2, terms=[2])
    transitions.grant_vote(one.state, identity("c"), 0)
    return one.state


def learner() -> State:
    """One that fills no slot of its latest membership."""
    one = OneServer()
    one.state.role = Role.LEARNER
    return one.state


def vacated() -> State:
    """A follower whose slot is filled by another incarnation since."""
    one = OneServer()
    one.state.log._memberships.append((1, membership_of("bcd")))
    return one.state


def pre_candidate() -> State:
    """One that asks whether it could win."""
    one = OneServer()
    one.pre_campaign()
    return one.state


def candidate() -> State:
    """One that campaigns in term 2."""
    one = OneServer()
    one.campaign()
    return one.state


def leader() -> State:
    """The leader of term 2."""
    one = OneServer()
    one.lead()
    return one.state


def bind(state: State) -> None:
    """Binds to a cluster that names it."""
    transitions.bind(state, CLUSTER, membership_of("abc"), 0)


def bind_as_stranger(state: State) -> None:
    """Binds to a cluster that does not name it."""
    transitions.bind(state, CLUSTER, membership_of("bc"), 0)


def adopt_same_term(state: State) -> None:
    """Takes its own term for a higher one."""
    transitions.update_term(state, state.current_term, 0)


def adopt_higher_term(state: State) -> None:
    """Hears of a higher term."""
    transitions.update_term(state, 9, 0)


def step_down(state: State) -> None:
    """Follows in the current term."""
    transitions.become_follower(state, 0)


def recognise(state: State) -> None:
    """Hears the current term's leader."""
    transitions.recognise_leader(state, identity("b"), 0)


def miss(state: State) -> None:
    """A learner's wait for its leader."""
    transitions.miss_leader(state, 0)


def ask(state: State) -> None:
    """Asks for pre-votes."""
    transitions.become_pre_candidate(state, 0)


def campaign(state: State) -> None:
    """Starts a term."""
    transitions.become_candidate(state, 0)


def lead(state: State) -> None:
    """Leads the term."""
    transitions.become_leader(state, 0)


def vote(state: State) -> None:
    """Votes for b."""
    transitions.grant_vote(state, identity("b"), 0)


ILLEGAL: list[tuple[Callable[[], State], Transition]] = [
    *((state, bind) for state in (follower, learner, pre_candidate, candidate, leader)),
    (blank, bind_as_stranger),
    *((state, adopt_same_term) for state in (follower, candidate, leader)),
    (blank, adopt_higher_term),
    (blank, step_down),
    (blank, recognise),
    (leader, recognise),
    *((state, miss) for state in (blank, follower, pre_candidate, candidate, leader)),
    *((state, ask) for state in (blank, learner, leader, vacated)),
    *((state, campaign) for state in (blank, learner, candidate, leader, vacated)),
    *((state, lead) for state in (blank, follower, learner, pre_candidate, leader)),
    *((state, vote) for state in (blank, follower, candidate, leader)),
]


def everything(state: State) -> dict[str, object]:
    """All that a state holds, comparable."""
    picture: dict[str, object] = {
        name: copy.deepcopy(getattr(state, name))
        for name in State.__dataclass_fields__
        if name not in ("log", "random", "progress")
    }
    picture["log"] = [*state.log.between(1, state.log.last_index)]
    picture["memberships"] = [*state.log._memberships]
    picture["random"] = state.random.getstate()
    picture["progress"] = {
        follower: [copy.copy(getattr(progress, name)) for name in progress.__slots__]
        for follower, progress in state.progress.items()
    }
    return picture


@pytest.mark.parametrize(
    ("make", "transition"), ILLEGAL, ids=[f"{m.__name__}-{t.__name__}" for m, t in ILLEGAL]
)
def test_an_illegal_transition_raises_and_changes_nothing(
    make: Callable[[], State], transition: Transition
) -> None:
    """What cannot happen is asserted before anything is touched."""
    state = make()
    before = everything(state)
    with pytest.raises(AssertionError):
        transition(state)
    assert everything(state) == before


def test_what_is_committed_is_never_truncated() -> None:
    """A leader that asked for it would break the proof; the server stops instead."""
    one = OneServer()
    one.follow("b", term=2, terms=[2, 2])
    one.receive("b", AppendEntries(2, 2, 3, 2, 3, ()))
    with pytest.raises(AssertionError, match="never truncated"):
        one.follow("c", term=3, terms=[3])
    assert one.state.commit_index == 3
    assert one.state.log.last_term == 2


def test_a_vote_is_cleared_by_a_higher_term_alone() -> None:
    """Whatever else happens within the term."""
    state = follower()
    voted_for = state.voted_for
    transitions.become_follower(state, 5)
    transitions.recognise_leader(state, identity("b"), 5)
    transitions.become_pre_candidate(state, 5)
    assert state.voted_for == voted_for
    transitions.update_term(state, 3, 5)
    assert state.voted_for is None
