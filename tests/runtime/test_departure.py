"""A stopping replica ends when a quorum remains without it, or its time is up."""

from __future__ import annotations

from dataclasses import replace

from raftudp.consensus.outputs import FollowerStatus, ServerStatus
from raftudp.consensus.vocabulary import Membership, Role, ServerId, Slot
from raftudp.runtime.departure import QUESTION_INTERVAL_US, Departure
from raftudp.wire.client_messages import Follower, LeaderHint, Status, StatusAnswer
from tests.runtime.house import CLUSTER

ME, LEADER, THIRD = (ServerId(name, name.encode() * 16) for name in "abc")
MEMBERSHIP = Membership(
    tuple(Slot(one.name, "h:1", one.incarnation) for one in (ME, LEADER, THIRD))
)
TIMEOUT_US = 5_000_000
NOBODY = LeaderHint("", "")


def status(
    role: Role, leader: ServerId | None, followers: dict[str, int] | None = None
) -> ServerStatus:
    """This replica's own status; followers by how long ago they were heard."""
    heard = followers or {}
    return ServerStatus(
        identity=ME,
        cluster=CLUSTER,
        role=role,
        term=1,
        leader=leader,
        commit_index=1,
        last_log_index=1,
        membership=MEMBERSHIP,
        membership_committed=True,
        is_open=True,
        is_transferring=False,
        followers=tuple(FollowerStatus(name, 1, 0, 1, ago) for name, ago in heard.items()),
        cluster_seen=None,
    )


def answer(asked: int, followers: dict[str, int | None], match_index: int = 1) -> StatusAnswer:
    """What the leader says of its followers."""
    return StatusAnswer(
        request=asked,
        name=LEADER.name,
        incarnation=LEADER.incarnation,
        role="leader",
        state="ready",
        durability="memory",
        term=1,
        leader=NOBODY,
        commit_index=1,
        last_applied=1,
        last_log_index=1,
        cluster=CLUSTER,
        uptime_s=1,
        version="0",
        membership=MEMBERSHIP,
        followers=tuple(
            Follower(name, match_index, 1 - match_index, 1, ago) for name, ago in followers.items()
        ),
    )


def test_a_blank_replica_ends_at_once() -> None:
    """Nobody counts on it."""
    blank = status(Role.BLANK, None)._replace(cluster=None, membership=Membership(()))
    assert Departure(0, TIMEOUT_US).may_end(blank, 0)


def test_the_only_server_ends_at_once() -> None:
    """There is nobody to wait for."""
    alone = status(Role.LEADER, ME)._replace(membership=Membership(MEMBERSHIP.slots[:1]))
    assert Departure(0, TIMEOUT_US).may_end(alone, 0)


def test_time_runs_out() -> None:
    """After the stop timeout it ends, whoever remains."""
    leaving = Departure(0, TIMEOUT_US)
    alone = status(Role.FOLLOWER, None)
    assert not leaving.may_end(alone, TIMEOUT_US - 1)
    assert leaving.may_end(alone, TIMEOUT_US)


def test_a_leader_ends_only_once_another_leads() -> None:
    """It hands over first, even if a quorum is there."""
    leaving = Departure(0, TIMEOUT_US)
    leading = status(Role.LEADER, ME, {"b": 10, "c": 10})
    assert leaving.hands_over(leading, 100)
    assert not leaving.may_end(leading, 100)
    assert not leaving.may_end(status(Role.FOLLOWER, None), 200)
    assert leaving.may_end(status(Role.FOLLOWER, LEADER), 300)


def test_a_leader_asks_again_where_nobody_took_over() -> None:
    """But not at every turn, and not while a hand-over is under way."""
    leaving = Departure(0, TIMEOUT_US)
    leading = status(Role.LEADER, ME)
    assert leaving.hands_over(leading, 0)
    assert not leaving.hands_over(leading, 1_000)
    assert not leaving.hands_over(leading._replace(is_transferring=True), 1_000_000)
    assert leaving.hands_over(leading, 1_000_000)


def test_leadership_that_comes_back_is_passed_on_only_where_a_quorum_remains() -> None:
    """Two that leave at once don't hand it to and fro; with a quorum, the last one goes too."""
    leaving = Departure(0, TIMEOUT_US)
    alone = status(Role.LEADER, ME, {"b": 2_000_000})
    assert leaving.hands_over(alone, 0)
    assert not leaving.hands_over(status(Role.FOLLOWER, LEADER), 1_000)
    assert not leaving.may_end(alone, 1_000_000)
    assert not leaving.hands_over(alone, 1_000_000)
    accompanied = status(Role.LEADER, ME, {"b": 10, "c": 10})
    assert not leaving.may_end(accompanied, 2_000_000)
    assert leaving.hands_over(accompanied, 2_000_000)


def test_a_follower_asks_the_leader() -> None:
    """Now and then, numbered by the time of asking; never itself, and not without a leader."""
    leaving = Departure(7, TIMEOUT_US)
    following = status(Role.FOLLOWER, LEADER)
    assert leaving.question(following, 7) == (LEADER, Status(7))
    assert leaving.question(following, 8) is None
    later = 7 + QUESTION_INTERVAL_US
    assert leaving.question(following, later) == (LEADER, Status(later))
    assert leaving.question(status(Role.FOLLOWER, None), 2 * later) is None
    assert leaving.question(status(Role.LEADER, ME), 2 * later) is None


def test_a_follower_ends_when_the_others_answered_since_it_began() -> None:
    """The leader and the third server are a quorum without it, if the third was heard lately."""
    leaving = Departure(1_000, TIMEOUT_US)
    following = status(Role.FOLLOWER, LEADER)
    leaving.take_answer(following, answer(1_500, {"a": 1, "c": 501}))
    assert not leaving.may_end(following, 2_000)
    leaving.take_answer(following, answer(1_500, {"a": 1, "c": None}))
    assert not leaving.may_end(following, 2_000)
    leaving.take_answer(following, answer(1_500, {"a": 1, "c": 500}))
    assert leaving.may_end(following, 2_000)


def test_a_server_far_behind_does_not_count() -> None:
    """A quorum that remains must hold the log too."""
    leaving = Departure(0, TIMEOUT_US)
    following = status(Role.FOLLOWER, LEADER)
    leaving.take_answer(following, answer(500, {"c": 1}, match_index=0))
    assert not leaving.may_end(following, 2_000)


def test_only_a_leaders_word_counts() -> None:
    """One that leads no longer knows nothing of the others."""
    leaving = Departure(0, TIMEOUT_US)
    following = status(Role.FOLLOWER, LEADER)
    leaving.take_answer(following, answer(500, {"c": 1})._replace(role="follower"))
    assert not leaving.may_end(following, 2_000)


def test_vacant_slots_count_as_gone() -> None:
    """A quorum is one of all slots."""
    slots = (*MEMBERSHIP.slots, *(Slot(name, "h:1", None) for name in "de"))
    leaving = Departure(0, TIMEOUT_US)
    following = status(Role.FOLLOWER, LEADER)
    said = answer(500, {"c": 1})._replace(membership=replace(MEMBERSHIP, slots=slots))
    leaving.take_answer(following, said)
    assert not leaving.may_end(following, 2_000)
