"""The core and authentic mail that nobody honest would send.

Who holds the key can lie, and in any member's name. What holds all the same: mail of another
cluster, epoch or life changes nothing; nothing but AppendEntries ever trips an assert; who is no
member is never counted and leaves nothing in memory; and a lie in AppendEntries ends, at the worst,
in the assert that names what cannot be. So a liar can stop a replica, and move terms, but only one
who speaks as a leader.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftudp.consensus import invariants
from raftudp.consensus.inputs import TransferRequested
from raftudp.consensus.messages import Greeting, Message, RequestPreVoteResponse
from raftudp.consensus.state import State
from raftudp.consensus.vocabulary import ANY_INCARNATION, Cluster, Role, ServerId
from tests.consensus.cluster import CLUSTER
from tests.consensus.one_server import OneServer, identity
from tests.fuzz import lies
from tests.fuzz.lies import Lies

ROUNDS = 25
"""Messages and other events in one run."""


def follower() -> OneServer:
    """It has heard of a leader, holds entries of three terms, and knows some to be committed."""
    server = OneServer()
    server.follow("b", 3, (2, 2, 3))
    return server


def pre_candidate() -> OneServer:
    server = follower()
    server.pre_campaign()
    return server


def candidate() -> OneServer:
    server = follower()
    server.campaign()
    return server


def leader() -> OneServer:
    """With a read that waits and an entry that is not committed."""
    server = OneServer()
    server.lead()
    server.propose(b"x")
    server.read("r")
    return server


def handing_over() -> OneServer:
    server = leader()
    server.give(TransferRequested("transfer", None))
    return server


def lonely_leader() -> OneServer:
    server = OneServer("a")
    while server.state.role is not Role.LEADER:
        server.time_out()
    return server


BOUND = [OneServer, follower, pre_candidate, candidate, leader, handing_over, lonely_leader]
bound = pytest.mark.parametrize("make", BOUND, ids=lambda make: make.__name__)
a_blank_one_too = pytest.mark.parametrize(
    "make", [*BOUND, lambda: OneServer(founded=False)], ids=[*(m.__name__ for m in BOUND), "blank"]
)


seeds = given(seed=st.integers(0, 2**64 - 1))
few = settings(max_examples=60, deadline=None)


def torment(
    server: OneServer,
    random: Random,
    senders: Sequence[ServerId],
    message_for: Callable[[State], Message],
) -> None:
    """Lies of these senders, among all that may happen besides."""
    for _ in range(ROUNDS):
        if random.random() < 0.7:
            message = message_for(server.state)
            receiver, cluster = server.identity, server.state.cluster or CLUSTER
            if isinstance(message, Greeting):
                receiver = receiver._replace(incarnation=ANY_INCARNATION)
            sender = random.choice(senders)
            server.receive(sender, message, receiver=receiver, cluster=cluster)
        else:
            random.choice(
                [
                    server.time_out,
                    server.persist,
                    lambda: server.propose(b"x"),
                    lambda: server.read("r"),
                ]
            )()


@bound
@few
@seeds
def test_mail_of_another_world_changes_nothing(make: Callable[[], OneServer], seed: int) -> None:
    """Another cluster, a later epoch, no cluster, another life, another name: whoever sends it and
    whatever it says, it is counted, and neither answered nor remembered.
    """
    random, server = Random(seed), make()
    state = server.state
    before, heard_of = invariants.picture(state), set(state.heard_of)
    mine, others = server.identity, [identity("a", 2), identity("b"), ServerId("z", b"a1" * 8)]
    wrong: list[tuple[ServerId, Cluster | None]] = [
        *((mine, cluster) for cluster in (lies.OTHER_CLUSTER, lies.LATER_EPOCH, None)),
        *((other, CLUSTER) for other in others),
    ]
    for _ in range(ROUNDS):
        message = Lies(random).anything(state)
        if isinstance(message, Greeting):
            continue
        receiver, cluster = random.choice(wrong)
        sender = random.choice(lies.EVERYBODY)
        outputs = server.receive(sender, message, receiver=receiver, cluster=cluster)
        assert outputs.misaddressed == 1
        assert not outputs.entries and not outputs.committed and outputs.hard_state is None
        assert all(mail.receiver in state.others() for mail in outputs.messages)
        assert invariants.picture(state)._replace(round=before.round) == before
        assert state.heard_of == heard_of


@a_blank_one_too
@few
@seeds
def test_nothing_but_append_entries_trips_an_assert(
    make: Callable[[], OneServer], seed: int
) -> None:
    """Members, strangers and the server itself may say anything else in any order."""
    random = Random(seed)
    torment(make(), random, lies.EVERYBODY, Lies(random).anything_but_append_entries)


@pytest.mark.parametrize("make", BOUND[:-1], ids=lambda make: make.__name__)
@few
@seeds
def test_strangers_are_never_counted(make: Callable[[], OneServer], seed: int) -> None:
    """However many say yes: who fills no slot elects nobody, commits nothing, confirms no read."""
    random, server = Random(seed), make()
    commit_index = server.state.commit_index
    for _ in range(ROUNDS):
        was_leader = server.state.role is Role.LEADER
        message = Lies(random).anything_but_append_entries(server.state)
        outputs = server.receive(random.choice(lies.STRANGERS), message)
        assert was_leader or server.state.role is not Role.LEADER
        assert server.state.commit_index == commit_index
        assert not any(grant.refusal is None for grant in outputs.reads)


def test_strangers_leave_nothing_in_memory() -> None:
    """A flood of authentic identities that belong to nobody is not remembered."""
    server = leader()
    for number in range(1_000):
        stranger = ServerId(f"z{number}", number.to_bytes(16))
        server.receive(stranger, RequestPreVoteResponse(1, 1, True))
    assert server.state.heard_of <= set(server.state.membership.identities())


IMPOSSIBLE = {
    "what is committed is never truncated",
    "only one that fills a slot may campaign",
    "it follows on what was just verified, in the same term",
}


@bound
@few
@seeds
def test_a_lie_about_the_log_trips_an_assert_at_the_worst(
    make: Callable[[], OneServer], seed: int
) -> None:
    """Whoever speaks as a leader can contradict what is committed, what he said before, or this
    server's slot: it stops then, by the assert that says so, and never by accident.
    """
    random, tripped = Random(seed), ""
    try:
        torment(make(), random, lies.EVERYBODY, Lies(random).anything)
    except AssertionError as error:
        tripped = str(error).partition("\n")[0]
    assert tripped in {"", *IMPOSSIBLE}
