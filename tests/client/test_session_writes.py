"""Writes: sent to the leader, exactly once, in as few datagrams as carry them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftudp.client.requests import Get
from raftudp.client.results import Deleted, Found, Swapped, Written
from raftudp.errors import InvalidRequest
from raftudp.limits import (
    KEY_BYTES_MAXIMUM,
    MIB,
    SESSION_OUTSTANDING_MAXIMUM,
    VALUE_BYTES_MAXIMUM,
)
from raftudp.store.commands import CompareAndSet, Delete, Item, OpenSession, Put
from raftudp.wire import client_messages as messages
from raftudp.wire.client_messages import Hello
from tests.client.world import MS, SECOND, World


def writes_of(world: World) -> list[messages.Write]:
    return [
        request
        for replica in world.replicas.values()
        for request in replica.received
        if isinstance(request, messages.Write)
    ]


def test_each_write_tells_what_it_did() -> None:
    """Put, delete and compare-and-set answer with revision and outcome."""
    world = World()
    put = world.ask(Put(b"a", b"1"))
    assert isinstance(put, Written)
    assert put.request_id == b"clie".hex() + "-1"
    assert world.ask(Get(b"a")) == Found(Item(b"a", b"1", put.revision), put.revision)
    swapped = world.ask(CompareAndSet(b"a", b"1", b"2"))
    assert isinstance(swapped, Swapped)
    assert swapped.swapped
    unswapped = world.ask(CompareAndSet(b"a", None, b"3"))
    assert isinstance(unswapped, Swapped)
    assert not unswapped.swapped
    deleted = world.ask(Delete(b"a"))
    assert isinstance(deleted, Deleted)
    assert deleted.found
    deleted_again = world.ask(Delete(b"a"))
    assert isinstance(deleted_again, Deleted)
    assert not deleted_again.found


def test_a_session_is_opened_once() -> None:
    """Many writes stand under one opening."""
    world = World()
    for number in range(20):
        world.ask(Put(b"k", b"%d" % number))
    openings = [c for c in world.state.applied if isinstance(c.operation, OpenSession)]
    assert len(openings) == 1
    assert [c.sequence for c in world.state.applied[1:]] == list(range(1, 21))


def test_writes_of_one_wake_up_travel_together() -> None:
    """A hundred small writes need far fewer than a hundred datagrams."""
    world = World()
    world.ask(Put(b"a", b"1"))
    before = len(writes_of(world))
    handles = [world.submit(Put(b"key-%d" % n, b"value")) for n in range(100)]
    world.run(lambda: all(handle in world.completed for handle in handles))
    later = writes_of(world)[before:]
    assert sum(len(write.commands) for write in later) == 100
    assert len(later) <= 10


def test_gets_of_one_wake_up_travel_together() -> None:
    """Many gets become few Reads, each answered under its own number."""
    world = World()
    world.ask(Put(b"a", b"1"))
    handles = [world.submit(Get(b"a" if n % 2 else b"b")) for n in range(50)]
    world.run(lambda: all(handle in world.completed for handle in handles))
    reads = [r for r in world["ss-0"].received if isinstance(r, messages.Read)]
    assert len(reads) <= 3
    values = [world.completed[handle] for handle in handles]
    assert [isinstance(v, Found) and v.item is not None for v in values] == [
        bool(n % 2) for n in range(50)
    ]


def test_the_window_of_outstanding_writes_is_kept() -> None:
    """Never more than the store keeps results for, counted from the lowest incomplete one."""
    world = World()
    world.ask(Put(b"a", b"1"))
    world["ss-0"].script = lambda request: [] if isinstance(request, messages.Write) else None
    for _ in range(SESSION_OUTSTANDING_MAXIMUM + 50):
        world.submit(Put(b"k", b"v"), 60 * SECOND)
    world.run_for(50 * MS)
    sent = {c for write in writes_of(world) for c in write.commands}
    assert len(sent) == 2 + SESSION_OUTSTANDING_MAXIMUM
    world["ss-0"].script = lambda _: None
    world.run(lambda: len(world.completed) == SESSION_OUTSTANDING_MAXIMUM + 51)
    assert all(isinstance(value, Written) for value in world.completed.values())


def test_a_leader_that_is_not_in_the_list_is_followed() -> None:
    """A hint may name an address that the user didn't."""
    world = World(configured=("host-1:6000",))
    assert isinstance(world.ask(Put(b"a", b"1"), SECOND), Written)


def test_hints_are_followed_at_once() -> None:
    """Once the new leader is known, nobody waits for a timer."""
    world = World()
    world.ask(Put(b"a", b"1"))
    world.state.leader = "ss-1"
    before_us = world.now_us
    assert isinstance(world.ask(Put(b"a", b"2")), Written)
    assert world.now_us - before_us < 10 * MS


def test_two_servers_that_name_each_other_are_not_asked_without_end() -> None:
    """Hints that go in a circle cost a few messages a round, not a storm."""
    world = World(2)

    def naming(other: str) -> None:
        me = "ss-1" if other == "ss-0" else "ss-0"
        hint = messages.LeaderHint(other, world[other].address)

        def script(request: messages.Request) -> list[messages.Answer] | None:
            if isinstance(request, Hello):
                return [messages.HelloAnswer(request.request, world[me].process, hint, True)]
            if isinstance(request, messages.Read):
                numbers = tuple(get.request for get in request.gets)
                reason = messages.RefusalReason.NOT_LEADER
                return [messages.RequestRefused(numbers, reason, hint)]
            return None

        world[me].script = script

    naming("ss-0")
    naming("ss-1")
    world.ask(Get(b"a"), 2 * SECOND)
    assert world.datagrams < 300


def test_a_silent_leader_is_replaced_by_the_next_one() -> None:
    """The leader dies; the write goes to its successor as soon as that is known."""
    world = World()
    world.ask(Put(b"a", b"1"))
    world["ss-0"].is_up = False
    handle = world.submit(Put(b"a", b"2"))
    world.run_for(500 * MS)
    world.state.leader = "ss-2"
    before_us = world.now_us
    world.run(lambda: handle in world.completed)
    assert isinstance(world.completed[handle], Written)
    assert world.now_us - before_us < SECOND


def test_a_restarted_leader_is_asked_who_it_is() -> None:
    """A write that names the process of before is refused, and then sent to the new one."""
    world = World()
    world.ask(Put(b"a", b"1"))
    world["ss-0"].restart()
    assert isinstance(world.ask(Put(b"a", b"2")), Written)
    assert world.ask(Get(b"a")) == Found(Item(b"a", b"2", 3), 3)


def test_no_leader_for_a_while_is_waited_out() -> None:
    """Between leaders a write waits, and is not sent to those who don't lead."""
    world = World()
    world.state.leader = None
    handle = world.submit(Put(b"a", b"1"))
    world.run_for(2 * SECOND)
    assert not writes_of(world)
    world.state.leader = "ss-1"
    world.run(lambda: handle in world.completed)
    assert isinstance(world.completed[handle], Written)


def test_a_server_without_a_leader_is_asked_again_after_a_pause() -> None:
    """Asking is spread over time, not a busy loop."""
    world = World()
    world.state.leader = None
    world.ask(Put(b"a", b"1"), 2 * SECOND)
    assert world.datagrams < 60


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), loss=st.sampled_from([0.05, 0.2, 0.5]))
def test_all_writes_end_exactly_once_on_a_bad_network(seed: int, loss: float) -> None:
    """Loss, doubling and reordering delay writes; each takes effect once, in sequence's place."""
    world = World(seed=seed, loss=loss, doubling=0.2, delay_us=(200, 30 * MS))
    handles = [world.submit(Put(b"%d" % n, b"%d" % n), 600 * SECOND) for n in range(30)]
    world.run_for(300 * MS)
    world.state.leader = "ss-1"
    handles += [world.submit(Put(b"%d" % n, b"%d" % n), 600 * SECOND) for n in range(30, 40)]
    world.run(lambda: len(world.completed) == 40)
    values = [world.completed[handle] for handle in handles]
    assert all(isinstance(value, Written) for value in values)
    revisions = {value.revision for value in values if isinstance(value, Written)}
    assert len(revisions) == 40
    items, _ = world.state.machine.list(b"", None, 100)
    assert {item.revision for item in items} == revisions


@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_the_largest_value_goes_through(loss: float) -> None:
    """A value of 1 MiB is written and read in parts, with loss in both directions."""
    world = World(loss=loss, doubling=loss)
    value = bytes(range(256)) * (MIB // 256)
    key = b"k" * KEY_BYTES_MAXIMUM
    assert isinstance(world.ask(Put(key, value), 60 * SECOND), Written)
    found = world.ask(Get(key), 60 * SECOND)
    assert isinstance(found, Found)
    assert found.item is not None
    assert found.item.value == value
    swapped = world.ask(CompareAndSet(key, value, value[::-1]), 60 * SECOND)
    assert isinstance(swapped, Swapped)
    assert swapped.swapped
    assert {command.sequence for command in world.state.applied} == {0, 1, 2}


def test_many_large_writes_take_turns() -> None:
    """Large writes under way at a time are few, and all end."""
    world = World(loss=0.02)
    for number in range(8):
        world.submit(Put(b"%d" % number, bytes(100_000)), 60 * SECOND)
    small = world.submit(Put(b"small", b"1"), 60 * SECOND)
    world.run(lambda: small in world.completed)
    assert len(world.completed) < 5
    world.run(lambda: len(world.completed) == 9)
    assert all(isinstance(value, Written) for value in world.completed.values())


@pytest.mark.parametrize(
    "operation",
    [
        Put(b"", b""),
        Put(b"k" * (KEY_BYTES_MAXIMUM + 1), b""),
        Put(b"k", bytes(VALUE_BYTES_MAXIMUM + 1)),
        Get(b""),
        Delete(b"k" * (KEY_BYTES_MAXIMUM + 1)),
        CompareAndSet(b"k", bytes(VALUE_BYTES_MAXIMUM + 1), b""),
    ],
)
def test_what_no_replica_would_take_is_refused_before_it_is_sent(operation: Put) -> None:
    """A key or value beyond its limit costs an exception and not a datagram."""
    world = World()
    with pytest.raises(InvalidRequest):
        world.submit(operation)
    assert world.session.next_deadline() is None
    assert world.session.take_outgoing(world.now_us) == []
