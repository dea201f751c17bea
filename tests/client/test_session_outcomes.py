"""Done, not done, unknown: which outcome a write gets, and what a question is told that failed."""

from __future__ import annotations

from collections import Counter

import pytest

from raftudp.client import calls
from raftudp.client.requests import Get
from raftudp.client.results import Found, Written
from raftudp.consensus.vocabulary import Cluster
from raftudp.encoding.records import decode_command
from raftudp.errors import (
    ClientError,
    InvalidRequest,
    NoAnswer,
    NotDone,
    OutcomeUnknown,
    SessionExpired,
)
from raftudp.store.commands import Outcome, Put
from raftudp.wire import client_messages as messages
from raftudp.wire.client_messages import (
    Answer,
    Hello,
    HelloAnswer,
    Part,
    PartsReceived,
    RefusalReason,
    Request,
    Write,
    WriteRefused,
    WriteResult,
)
from raftudp.wire.codec import decode_request, encode_answer
from tests.client.world import CLUSTER, MS, NOBODY, SECOND, World

SHORT = 80 * MS
"""A time in which a write is sent once."""


def opened(seed: int = 1) -> World:
    """A world whose session is open."""
    world = World(seed=seed)
    assert isinstance(world.ask(Put(b"first", b"1")), Written)
    return world


def refusing(
    world: World, reason: RefusalReason, *, attempt: int | None = None, lead: bool = True
) -> None:
    """Let ss-0 refuse writes, and take nobody for the leader afterwards."""

    def script(request: Request) -> list[Answer] | None:
        if isinstance(request, Hello) and not lead:
            return [HelloAnswer(request.request, world["ss-0"].process, NOBODY, True)]
        if not isinstance(request, Write):
            return None
        commands = [decode_command(data) for data in request.commands]
        number = request.attempt if attempt is None else attempt
        sequences = tuple(command.sequence for command in commands)
        return [WriteRefused(commands[0].client_id, number, reason, NOBODY, sequences)]

    world["ss-0"].script = script


def silent(request: Request) -> list[Answer] | None:
    return [] if isinstance(request, Write) else None


def outcome_of(world: World, timeout_us: int = 2 * SECOND) -> object:
    return world.ask(Put(b"k", b"v"), timeout_us)


def test_what_was_never_sent_is_not_done() -> None:
    """Nobody answered, so nothing was sent."""
    world = World()
    for replica in world.replicas.values():
        replica.is_up = False
    outcome = outcome_of(world)
    assert isinstance(outcome, NotDone)
    assert "no server answered at all" in str(outcome)


def test_what_was_sent_and_not_answered_is_unknown() -> None:
    """The leader took it, or it didn't arrive: nobody can tell."""
    world = opened()
    world["ss-0"].script = silent
    outcome = outcome_of(world)
    assert isinstance(outcome, OutcomeUnknown)
    assert outcome.request_id == b"clie".hex() + "-2"
    assert outcome.request_id in str(outcome)


@pytest.mark.parametrize(
    "reason",
    [
        RefusalReason.NOT_LEADER,
        RefusalReason.TRANSFERRING,
        RefusalReason.NOT_OPEN,
        RefusalReason.OVERLOADED,
        RefusalReason.NOT_READY,
        RefusalReason.BLANK,
    ],
)
def test_what_was_refused_each_time_is_not_done(reason: RefusalReason) -> None:
    """The named process refused every attempt, and each can reach it once only."""
    world = opened()
    refusing(world, reason)
    outcome = outcome_of(world)
    assert isinstance(outcome, NotDone)
    assert reason.name in str(outcome)


@pytest.mark.parametrize(("by_named", "kind"), [(True, NotDone), (False, OutcomeUnknown)])
def test_only_the_named_process_refuses_for_good(by_named: bool, kind: type[ClientError]) -> None:
    """The named process may have taken the original of what another one refused a copy of."""
    world = opened()
    world["ss-0"].script = silent
    handle = world.submit(Put(b"k", b"v"), SHORT)
    world.run_for(20 * MS)
    sent = next(r for r in world["ss-0"].received if isinstance(r, Write) and r.attempt == 3)
    refusal = WriteRefused(
        b"client-id-000000", sent.attempt, RefusalReason.OTHER_PROCESS, NOBODY, (2,)
    )
    source = world["ss-0"].source()
    if not by_named:
        source = source._replace(process=b"another process.")
    for replica in world.replicas.values():
        replica.is_up = False
    world.session.receive(source, encode_answer(refusal), world.now_us)
    world.run(lambda: handle in world.completed)
    assert isinstance(world.completed[handle], kind)


def test_a_large_write_that_may_have_arrived_twice_is_not_refused_for_good() -> None:
    """Each of its parts was sent twice, so one whole may have been taken and the other refused."""
    world = opened()
    leader = world["ss-0"]
    original = leader.take
    times_seen: Counter[int] = Counter()

    def take(body: bytes) -> list[bytes]:
        request = decode_request(body)
        if not isinstance(request, Part):
            return original(body)
        times_seen[request.number] += 1
        if min(times_seen[number] for number in range(request.count)) < 2:
            return [encode_answer(PartsReceived(request.transfer, 0, (0, 1)))]
        for replica in world.replicas.values():
            replica.is_up = False
        reason = RefusalReason.NOT_LEADER
        return [encode_answer(WriteRefused(b"client-id-000000", 3, reason, NOBODY, (2,)))]

    leader.take = take  # type: ignore[method-assign]  # for this test
    outcome = world.ask(Put(b"k", bytes(1_500)), 3 * SECOND)
    assert min(times_seen.values()) == 2
    assert isinstance(outcome, OutcomeUnknown)


def test_a_pending_write_of_a_deposed_leader_is_unknown() -> None:
    """PENDING_LOST refuses nothing: the entry may be committed by the next leader."""
    world = opened()
    refusing(world, RefusalReason.PENDING_LOST, attempt=0, lead=False)
    world.state.leader = None
    assert isinstance(outcome_of(world), OutcomeUnknown)


def test_one_unanswered_attempt_among_refused_ones_leaves_it_unknown() -> None:
    """Every attempt counts, not only the last one."""
    world = opened()
    world["ss-0"].script = silent
    handle = world.submit(Put(b"k", b"v"), 2 * SECOND)
    world.run_for(20 * MS)
    refusing(world, RefusalReason.NOT_LEADER, lead=False)
    world.run(lambda: handle in world.completed)
    assert isinstance(world.completed[handle], OutcomeUnknown)


def test_a_refusal_that_comes_twice_changes_nothing() -> None:
    """A doubled refusal neither resolves another attempt nor sends the write again."""
    world = opened()
    refused: list[Request] = []

    def script(request: Request) -> list[Answer] | None:
        if not isinstance(request, Write) or refused:
            return None
        refused.append(request)
        client_id = decode_command(request.commands[0]).client_id
        reason = RefusalReason.TRANSFERRING
        return [WriteRefused(client_id, request.attempt, reason, NOBODY, (2,))] * 3

    world["ss-0"].script = script
    assert isinstance(outcome_of(world), Written)
    assert len(world.state.applied) == 3


@pytest.mark.parametrize("reason", [RefusalReason.INVALID, RefusalReason.TOO_LARGE])
def test_what_is_invalid_is_not_asked_again(reason: RefusalReason) -> None:
    """The same bytes would be refused again."""
    world = opened()
    refusing(world, reason)
    before_us = world.now_us
    assert isinstance(outcome_of(world), NotDone)
    assert world.now_us - before_us < 50 * MS


def expiring(world: World, answers: int) -> None:
    """Let ss-0 answer the next writes as of an expired session, from the given one on."""
    seen: list[Write] = []

    def script(request: Request) -> list[Answer] | None:
        if not isinstance(request, Write):
            return None
        command = decode_command(request.commands[0])
        if command.client_id != b"client-id-000000":
            return None
        seen.append(request)
        if len(seen) < answers:
            return []
        result = WriteResult(command.sequence, Outcome.SESSION_EXPIRED, 99)
        return [messages.Written(command.client_id, (result,))]

    world["ss-0"].script = script


def test_an_expired_session_is_replaced() -> None:
    """The one copy that was sent was not applied; the next write has a session again."""
    world = opened()
    expiring(world, 1)
    assert isinstance(outcome_of(world), NotDone)
    again = outcome_of(world)
    assert isinstance(again, Written)
    assert not again.request_id.startswith(b"clie".hex())
    assert world.state.machine.get(b"k") is not None


def test_an_expired_session_with_an_earlier_attempt_is_told_apart() -> None:
    """An earlier copy may have been applied before the session was forgotten."""
    world = opened()
    expiring(world, 2)
    outcome = outcome_of(world)
    assert isinstance(outcome, SessionExpired)
    assert outcome.request_id == b"clie".hex() + "-2"
    assert isinstance(outcome_of(world), Written)


def test_the_session_goes_on_after_an_unknown_outcome() -> None:
    """The next write declares the unknown one complete, which fences every copy of it."""
    world = opened()
    world["ss-0"].script = silent
    assert isinstance(outcome_of(world, SHORT), OutcomeUnknown)
    late = next(r for r in world["ss-0"].received if isinstance(r, Write) and r.attempt == 3)
    world["ss-0"].script = lambda _: None
    assert isinstance(outcome_of(world), Written)
    assert world.state.applied[-1].first_incomplete == 3
    result = world.state.commit(late.commands[0])
    assert result.outcome is Outcome.SEQUENCE_FORGOTTEN


def test_a_sequence_is_not_passed_while_it_is_waited_for() -> None:
    """Later commands don't declare a write complete whose caller still waits."""
    world = opened()
    held: list[Write] = []

    def script(request: Request) -> list[Answer] | None:
        if isinstance(request, Write) and not held:
            held.append(request)
            return []
        return None

    world["ss-0"].script = script
    slow = world.submit(Put(b"slow", b"1"))
    world.run_for(5 * MS)
    assert isinstance(outcome_of(world, 50 * MS), Written)
    assert world.state.applied[-1].first_incomplete == 2
    world.run(lambda: slow in world.completed)
    assert isinstance(world.completed[slow], Written)


def test_a_large_write_that_did_not_leave_whole_is_not_done() -> None:
    """A part was never sent, so nobody can have joined it."""
    world = opened()
    world["ss-0"].is_up = False
    outcome = world.ask(Put(b"k", bytes(200_000)), SECOND)
    assert isinstance(outcome, NotDone)


def test_a_recovered_cluster_makes_what_was_under_way_unknown() -> None:
    """What the old epoch may have run is never run again in the new one."""
    world = opened()
    world["ss-0"].script = silent
    handle = world.submit(Put(b"k", b"v"))
    world.run_for(10 * MS)
    for replica in world.replicas.values():
        replica.cluster = CLUSTER._replace(epoch=2, epoch_id=b"f" * 16)
        replica.restart()
    world["ss-0"].script = lambda _: None
    world.run(lambda: handle in world.completed)
    assert isinstance(world.completed[handle], OutcomeUnknown)
    assert world.state.machine.get(b"k") is None
    assert isinstance(outcome_of(world), Written)


def reason_of(outcome: object) -> str:
    assert isinstance(outcome, NoAnswer)
    return outcome.reason


def test_an_unanswered_read_says_that_nobody_answered() -> None:
    """All silent: addresses, processes or the key are wrong."""
    world = World()
    for replica in world.replicas.values():
        replica.is_up = False
    assert reason_of(world.ask(Get(b"k"), SECOND)) == "silent"


def test_an_unanswered_read_says_that_there_is_no_leader() -> None:
    """Servers answered, and none leads."""
    world = World()
    world.state.leader = None
    assert reason_of(world.ask(Get(b"k"), SECOND)) == "no-leader"


def test_an_unanswered_read_says_that_the_leader_was_slow() -> None:
    """A leader is known, and is silent."""
    world = World()
    world["ss-0"].is_up = False
    assert reason_of(world.ask(Get(b"k"), SECOND)) == "slow"


def test_an_unanswered_read_says_that_the_cluster_is_not_open() -> None:
    """Founded, and clients are not let in."""
    world = World()
    for replica in world.replicas.values():
        replica.is_open = False
    assert reason_of(world.ask(Get(b"k"), SECOND)) == "not-open"
    outcome = outcome_of(world)
    assert isinstance(outcome, NotDone)
    assert "not open" in str(outcome)


def test_an_unanswered_read_says_that_the_servers_are_blank() -> None:
    """They belong to no cluster."""
    world = World()
    world.state.leader = None
    for replica in world.replicas.values():
        replica.cluster = None
        replica.is_open = False
    assert reason_of(world.ask(Get(b"k"), SECOND)) == "blank"


def test_answers_of_another_cluster_are_refused() -> None:
    """The addresses were given to another cluster since."""
    world = opened()
    for replica in world.replicas.values():
        replica.cluster = Cluster(b"x" * 16, 1, b"y" * 16)
    outcome = world.ask(Get(b"first"), SECOND)
    assert reason_of(outcome) == "other-cluster"
    assert (b"x" * 16).hex() in str(outcome)


def test_answers_of_an_older_epoch_are_ignored() -> None:
    """A server that slept through a recovery is not listened to, and the others are."""
    world = opened()
    newer = CLUSTER._replace(epoch=2, epoch_id=b"f" * 16)
    world["ss-1"].cluster = world["ss-2"].cluster = newer
    world.state.leader = "ss-1"
    assert isinstance(world.ask(Get(b"first")), Found)
    assert isinstance(outcome_of(world), Written)
    world.state.leader = "ss-0"
    assert isinstance(world.ask(Get(b"first"), SECOND), NoAnswer)
    world.state.leader = "ss-2"
    assert isinstance(outcome_of(world), Written)


def test_every_failure_is_a_client_error_of_one_line() -> None:
    """Whoever shows it needs no more than its text."""
    world = World()
    world.state.leader = None
    for operation in (Get(b"k"), Put(b"k", b"v")):
        outcome = world.ask(operation, SECOND)
        assert isinstance(outcome, ClientError)
        assert "\n" not in str(outcome)


@pytest.mark.parametrize("wrong", [5, None, ["a"], (object(),), "\ud800"])
def test_what_is_neither_text_nor_bytes_is_refused_before_it_is_sent(wrong: object) -> None:
    """It belongs to its caller alone, and harms no other operation."""
    with pytest.raises(InvalidRequest):
        calls.put("key", wrong)  # type: ignore[arg-type]  # that is the test
    assert calls.put(bytearray(b"k"), memoryview(b"v")) == Put(b"k", b"v")


def test_a_session_that_ends_tells_what_became_of_everything() -> None:
    """A write that was sent is unknown, one that was not is not done."""
    world = World()
    sent = world.submit(Put(b"a", b"1"))
    world.run(lambda: bool(world["ss-0"].received))
    for replica in world.replicas.values():
        replica.is_up = False
    world.run_for(100_000)
    waiting = world.session.submit(Put(b"b", b"2"), world.now_us, world.now_us + SECOND)
    world.session.abandon()
    ended = {c.handle: c.value for c in world.session.take_completions()}
    assert isinstance(ended.get(waiting), NotDone)
    assert sent in world.completed or isinstance(ended[sent], NotDone | OutcomeUnknown)
