"""The replica: whole clusters without sockets, and the order of what a step asks for."""

from __future__ import annotations

import pytest

from raftudp.consensus.trace import Action
from raftudp.store.commands import Put
from raftudp.wire.client_messages import (
    GetRequest,
    GetResult,
    Read,
    ReadAnswer,
    Status,
    StatusAnswer,
    Written,
)
from tests.runtime.house import ELECTION_US, House, Visitor


@pytest.mark.parametrize("size", [1, 3, 5])
def test_a_founded_cluster_serves(size: int) -> None:
    """After founding, a leader takes a write, and a linearizable read finds it."""
    house = House(size).found()
    client = Visitor(house)
    leader = house.leader()
    client.open_session(leader)
    (written,) = client.send(leader, client.write(leader, {1: Put(b"a", b"1")}))
    assert isinstance(written, Written)
    (found,) = client.send(leader, Read(False, (GetRequest(7, b"a"),)))
    assert isinstance(found, ReadAnswer)
    assert found.results == (GetResult(7, b"1", written.results[0].revision),)


def test_all_replicas_hold_the_same() -> None:
    """What was written reaches the followers' stores."""
    house = House(3).found()
    client = Visitor(house)
    leader = house.leader()
    client.open_session(leader)
    client.send(leader, client.write(leader, {1: Put(b"a", b"1")}))
    house.run(ELECTION_US)
    for room in house.rooms.values():
        (found,) = client.send(room, Read(True, (GetRequest(7, b"a"),)))
        assert isinstance(found, ReadAnswer)
        assert found.results[0].value == b"1"


def test_states_and_roles_are_told_apart() -> None:
    """Blank and alone: unformed. Founded and led: ready. Cut off: no-quorum."""
    house = House(3)
    client = Visitor(house)
    room = house.rooms["ss-0"]
    assert room.replica.state() == "unformed"
    house.found()
    assert {one.replica.state() for one in house.rooms.values()} == {"ready"}
    leader = house.leader()
    house.cut_off.add(leader.identity.name)
    house.run(2 * ELECTION_US)
    assert leader.replica.state() == "no-quorum"
    (answer,) = client.send(leader, Status(1))
    assert isinstance(answer, StatusAnswer)
    assert (answer.role, answer.state) == ("candidate", "no-quorum")
    assert house.leader() is not leader


def test_a_blank_replica_that_a_cluster_answers_is_returning() -> None:
    """A new incarnation under a known name learns that a cluster exists, and is not Ready."""
    house = House(3).found()
    stranger = House(3).rooms["ss-0"]
    stranger.replica.handle([], [], 0)
    member = house.rooms["ss-1"]
    reborn = stranger.identity._replace(incarnation=b"reborn..........")
    for mail in stranger.mails:
        if mail.receiver.name == "ss-1":
            member.replica.handle([mail._replace(sender=reborn)], [], house.now_us)
    (answer,) = [mail for mail in member.mails if mail.receiver == reborn]
    stranger.replica.handle([answer._replace(receiver=stranger.identity)], [], house.now_us)
    assert stranger.replica.state() == "returning"
    assert member.watcher.events[-1].action is Action.GREETING_REFUSED


def test_a_status_names_everything() -> None:
    """The leader's status tells of its followers, the membership and the indexes."""
    house = House(3).found()
    leader = house.leader()
    (answer,) = Visitor(house).send(leader, Status(5))
    assert isinstance(answer, StatusAnswer)
    assert answer.request == 5
    assert (answer.role, answer.state, answer.durability) == ("leader", "ready", "memory")
    assert answer.leader.name == answer.name == leader.identity.name
    assert answer.last_applied == answer.commit_index == answer.last_log_index
    assert len(answer.followers) == 2
    assert answer.membership == house.membership


def test_transitions_are_told() -> None:
    """Trace events reach the observer."""
    house = House(3).found()
    actions = [event.action for event in house.leader().watcher.events]
    assert Action.BIND in actions
    assert Action.BECOME_LEADER in actions
    assert Action.OPEN in actions
