"""Reads, lists, status and administration."""

from __future__ import annotations

import pytest

from raftudp.client.requests import Administer, AskStatus, Get, ListKeys
from raftudp.client.results import Administered, Found, Listing, Reported
from raftudp.errors import ClientError, DecodeError, NoAnswer, NotDone, OutcomeUnknown
from raftudp.limits import KEY_BYTES_MAXIMUM, LIST_ITEMS_MAXIMUM
from raftudp.store.commands import Put
from raftudp.wire.client_messages import (
    Admin,
    Answer,
    ChallengeRequest,
    GetResult,
    ReadAnswer,
    RefusalReason,
    Request,
    RequestRefused,
    Stop,
    Transfer,
)
from raftudp.wire.codec import encode_answer
from tests.client.world import MS, NOBODY, SECOND, World


def filled(count: int, value: bytes = b"v", **options: float) -> World:
    world = World(**options)  # type: ignore[arg-type]  # loss and the like
    for number in range(count):
        world.submit(Put(b"k%04d" % number, value), 60 * SECOND)
    world.run(lambda: len(world.completed) == count)
    return world


def test_an_absent_key_is_found_to_be_absent() -> None:
    """A read of nothing succeeds."""
    assert World().ask(Get(b"none")) == Found(None, 0)


def test_a_stale_read_needs_no_leader() -> None:
    """Any replica answers it from what it holds."""
    world = filled(1)
    world.state.leader = None
    found = world.ask(Get(b"k0000", stale=True))
    assert isinstance(found, Found)
    assert found.item is not None


def test_a_stale_read_moves_on_from_a_silent_server() -> None:
    """One server that is down delays it by one repetition."""
    world = World()
    for name in ("ss-0", "ss-1"):
        world[name].is_up = False
    assert isinstance(world.ask(Get(b"k", stale=True), 2 * SECOND), Found)


def test_a_list_comes_page_by_page_and_whole() -> None:
    """More keys than a page holds are all there, in order, once."""
    count = LIST_ITEMS_MAXIMUM + 200
    world = filled(count)
    listing = world.ask(ListKeys(b"k"))
    assert isinstance(listing, Listing)
    assert [item.key for item in listing.items] == [b"k%04d" % n for n in range(count)]


@pytest.mark.parametrize("limit", [1, 5, LIST_ITEMS_MAXIMUM, LIST_ITEMS_MAXIMUM + 1])
def test_a_list_ends_at_its_limit(limit: int) -> None:
    """No more than was asked for, also across pages."""
    world = filled(LIST_ITEMS_MAXIMUM + 10)
    listing = world.ask(ListKeys(b"k", after=b"k0001", limit=limit))
    assert isinstance(listing, Listing)
    assert [item.key for item in listing.items] == [b"k%04d" % n for n in range(2, 2 + limit)]


def test_large_lists_survive_loss() -> None:
    """Pages of a megabyte come in parts, on a network that loses and doubles."""
    world = filled(40, bytes(60_000), loss=0.03, doubling=0.05)
    listing = world.ask(ListKeys(b"k"), 120 * SECOND)
    assert isinstance(listing, Listing)
    assert len(listing.items) == 40
    assert all(item.value == bytes(60_000) for item in listing.items)


def test_requests_with_the_longest_keys_travel_in_parts() -> None:
    """A key that no datagram carries is still a key."""
    world = World(loss=0.1)
    key = b"k" * KEY_BYTES_MAXIMUM
    assert world.ask(Get(key), 20 * SECOND) == Found(None, 0)
    assert isinstance(world.ask(ListKeys(key, after=key), 20 * SECOND), Listing)


def test_a_dump_asks_one_server_only() -> None:
    """What a server itself holds can't be told by another."""
    world = filled(3)
    world.run_for(SECOND)
    received = {name: len(replica.received) for name, replica in world.replicas.items()}
    dump = ListKeys(b"", stale=True, server="host-2:6000")
    assert isinstance(world.ask(dump), Listing)
    assert len(world["ss-0"].received) == received["ss-0"]
    assert len(world["ss-2"].received) == received["ss-2"] + 1
    world["ss-2"].is_up = False
    outcome = world.ask(dump, SECOND)
    assert isinstance(outcome, NoAnswer)
    assert "host-2:6000" in str(outcome)


def test_a_status_is_repeated_until_it_is_answered() -> None:
    """Half of all datagrams lost delays it."""
    world = World(loss=0.5)
    for number in range(3):
        reported = world.ask(AskStatus(f"host-{number}:6000"), 30 * SECOND)
        assert isinstance(reported, Reported)
        assert reported.answer.name == f"ss-{number}"


def test_administration_goes_under_a_challenge() -> None:
    """The action names the challenge that its server gave, and the same one when repeated."""
    world = World(loss=0.4, seed=5)
    assert world.ask(Administer("host-1:6000", Stop()), 30 * SECOND) == Administered("host-1:6000")
    actions = world["ss-1"].actions
    assert {(a.challenge, a.action) for a in actions} == {(world["ss-1"].process, Stop())}


def test_a_transfer_goes_to_the_leader() -> None:
    """Whoever leads is found first."""
    world = World()
    world.state.leader = "ss-2"
    assert isinstance(world.ask(Administer(None, Transfer("ss-1"))), Administered)
    assert [a.action for a in world["ss-2"].actions] == [Transfer("ss-1")]


def test_a_stop_whose_answer_was_lost_is_done_when_another_process_answers() -> None:
    """The process that gave the challenge has ended, and its successor is not stopped too."""
    world = World()

    def stopping(request: Request) -> list[Answer] | None:
        if not isinstance(request, Admin):
            return None
        world["ss-1"].restart()
        world["ss-1"].script = refusing
        return []

    def refusing(request: Request) -> list[Answer] | None:
        if isinstance(request, Admin):
            return [RequestRefused((request.request,), RefusalReason.CHALLENGE, NOBODY)]
        return None

    world["ss-1"].script = stopping
    assert isinstance(world.ask(Administer("host-1:6000", Stop())), Administered)


def test_an_expired_challenge_is_replaced() -> None:
    """The same process refused the challenge, so nothing was done: it is asked for another."""
    world = World()
    refused: list[Request] = []

    def script(request: Request) -> list[Answer] | None:
        if isinstance(request, Admin) and not refused:
            refused.append(request)
            return [RequestRefused((request.request,), RefusalReason.CHALLENGE, NOBODY)]
        return None

    world["ss-1"].script = script
    assert isinstance(world.ask(Administer("host-1:6000", Stop())), Administered)


def test_administration_without_an_answer_is_unknown_once_it_was_sent() -> None:
    """Before that it is not done."""
    world = World()
    world["ss-1"].script = lambda request: [] if isinstance(request, Admin) else None
    outcome = world.ask(Administer("host-1:6000", Stop()), SECOND)
    assert isinstance(outcome, OutcomeUnknown)
    assert outcome.request_id in str(outcome)
    world["ss-1"].script = lambda request: [] if isinstance(request, ChallengeRequest) else None
    assert isinstance(world.ask(Administer("host-1:6000", Stop()), SECOND), NotDone)


def test_a_refused_action_tells_why() -> None:
    """NO_TARGET and the like end the request, in words."""
    world = World()

    def script(request: Request) -> list[Answer] | None:
        if isinstance(request, Admin):
            return [RequestRefused((request.request,), RefusalReason.NO_TARGET, NOBODY)]
        return None

    world["ss-0"].script = script
    outcome = world.ask(Administer(None, Transfer("")))
    assert isinstance(outcome, NotDone)
    assert "hand leadership over" in str(outcome)


def test_an_answer_to_nothing_is_ignored() -> None:
    """Late and invented answers change nothing."""
    world = World()
    world.ask(Get(b"k"))
    answer = encode_answer(ReadAnswer(5, (GetResult(12345, b"v", 1),)))
    world.session.receive(world["ss-1"].source(), answer, world.now_us)
    assert world.session.take_completions() == []


def test_bytes_that_are_no_answer_are_one_error() -> None:
    """Whatever a server sends, the session raises DecodeError or takes it."""
    world = World()
    for body in (b"", b"\x80", b"\xff" * 9, encode_answer(ReadAnswer(5, ()))[:-1]):
        with pytest.raises(DecodeError):
            world.session.receive(world["ss-1"].source(), body, world.now_us)


def test_an_idle_session_wakes_nobody() -> None:
    """After all is answered there is no timer left but those that end by themselves."""
    world = World()
    world.ask(Get(b"k"))
    world.ask(Put(b"k", b"v"))
    world.run_for(5 * SECOND)
    assert world.session.next_deadline() is None
    before = world.datagrams
    world.run_for(100 * MS)
    assert world.datagrams == before


def test_a_leader_that_fell_silent_to_a_status_is_not_asked_for_ever() -> None:
    """Nobody waited for the leader when the silence was noticed; later they find the new one."""
    world = World()
    assert not isinstance(world.ask(Put(b"a", b"1")), ClientError)
    world["ss-0"].is_up = False
    world.state.leader = "ss-1"
    assert isinstance(world.ask(AskStatus("host-0:6000"), timeout_us=SECOND), ClientError)
    found = world.ask(Get(b"a"), timeout_us=5 * SECOND)
    assert isinstance(found, Found)
    assert not isinstance(world.ask(Put(b"a", b"2"), timeout_us=5 * SECOND), ClientError)


def test_a_leader_that_dies_before_the_cluster_is_open_is_given_up() -> None:
    """Whoever waits for the opening turns to the next leader."""
    world = World()
    for replica in world.replicas.values():
        replica.is_open = False
    written = world.submit(Put(b"a", b"1"))
    world.run_for(SECOND)
    world["ss-0"].is_up = False
    world.state.leader = "ss-1"
    for replica in world.replicas.values():
        replica.is_open = True
    world.run(lambda: written in world.completed)
    assert not isinstance(world.completed[written], ClientError)
