"""Clients' requests and their answers, on real replicas without sockets."""

from __future__ import annotations

import pytest

from raftudp.consensus.vocabulary import Cluster
from raftudp.limits import VALUE_BYTES_MAXIMUM
from raftudp.runtime import reads, writes
from raftudp.runtime.administration import CHALLENGE_LIFE_US
from raftudp.store.commands import CompareAndSet, Delete, Item, Outcome, Put
from raftudp.wire.client_messages import (
    Admin,
    AdminAnswer,
    Answer,
    ChallengeAnswer,
    ChallengeRequest,
    FoundCluster,
    GetRequest,
    Hello,
    HelloAnswer,
    LeaderHint,
    List,
    ListAnswer,
    OpenCluster,
    Part,
    PartsReceived,
    Read,
    ReadAnswer,
    RefusalReason,
    RequestRefused,
    Stop,
    Transfer,
    Write,
    WriteRefused,
    Written,
)
from raftudp.wire.codec import decode_answer, encode_answer, encode_request
from raftudp.wire.parts import IncomingParts, OutgoingParts
from tests.runtime.house import BODY_BYTES, CLUSTER, ELECTION_US, House, Room, Visitor

NOBODY = LeaderHint("", "")


@pytest.fixture(scope="module")
def founded() -> House:
    """A cluster of three; tests that harm it make their own."""
    return House(3).found()


@pytest.fixture
def client(founded: House) -> Visitor:
    client = Visitor(founded)
    client.open_session(founded.leader())
    return client


def written(answers: list[Answer]) -> dict[int, Outcome]:
    """Outcomes by sequence, of all answers."""
    results = [one for answer in answers for one in _written(answer).results]
    return {result.sequence: result.outcome for result in results}


def _written(answer: Answer) -> Written:
    assert isinstance(answer, Written), answer
    return answer


# ---- hello


def test_hello_tells_process_and_leader(founded: House, client: Visitor) -> None:
    """Anyone answers who leads, at which address, and what process a Write must name."""
    follower, leader = founded.follower(), founded.leader()
    (answer,) = client.send(follower, Hello(3))
    slot = founded.membership.slot(leader.identity.name)
    assert slot is not None
    hint = LeaderHint(slot.name, slot.address)
    assert answer == HelloAnswer(3, follower.process, hint, True)


def test_a_blank_replica_says_so() -> None:
    """It knows no leader, takes nothing, and answers no read from its empty store."""
    house = House(3)
    client, room = Visitor(house), house.rooms["ss-0"]
    assert client.send(room, Hello(1)) == [HelloAnswer(1, room.process, NOBODY, False)]
    for read in (
        Read(True, (GetRequest(2, b"a"),)),
        Read(False, (GetRequest(2, b"a"),)),
        List(2, True, b"", None, 10),
    ):
        refused = RequestRefused((2,), RefusalReason.BLANK, NOBODY)
        assert client.send(room, read) == [refused]
    (refusal,) = client.send(room, client.write(room, {1: Put(b"a", b"")}))
    assert isinstance(refusal, WriteRefused)
    assert (refusal.reason, refusal.sequences) == (RefusalReason.BLANK, (1,))


# ---- writes


def test_commands_of_one_write_are_answered_together(founded: House, client: Visitor) -> None:
    """Each operation has its outcome, and one datagram carries them."""
    leader = founded.leader()
    operations = {
        1: Put(b"w1", b"1"),
        2: CompareAndSet(b"w1", b"2", b"3"),
        3: Delete(b"absent"),
        4: Delete(b"w1"),
    }
    answers = client.send(leader, client.write(leader, operations))
    assert len(answers) == 1
    assert written(answers) == {
        1: Outcome.DONE,
        2: Outcome.DIFFERENT,
        3: Outcome.ABSENT,
        4: Outcome.DONE,
    }


def test_many_results_are_cut_to_datagrams(founded: House, client: Visitor) -> None:
    """No answer is larger than what a datagram carries."""
    leader = founded.leader()
    many = {sequence: Delete(b"x") for sequence in range(1, 301)}
    answers = client.send(leader, client.write(leader, many))
    assert len(answers) > 1
    assert all(len(encode_answer(answer)) <= BODY_BYTES for answer in answers)
    assert written(answers).keys() == many.keys()


def test_a_write_for_another_process_is_refused(founded: House, client: Visitor) -> None:
    """A refusal is final only if no other process could take the datagram."""
    leader = founded.leader()
    write = client.write(leader, {1: Put(b"a", b"1")}, process=b"x" * 16)
    (refusal,) = client.send(leader, write)
    assert isinstance(refusal, WriteRefused)
    assert refusal.reason is RefusalReason.OTHER_PROCESS
    assert (refusal.attempt, refusal.sequences) == (write.attempt, (1,))


def test_a_follower_points_to_the_leader(founded: House, client: Visitor) -> None:
    """Writes and linearizable reads are refused with the leader's name and address."""
    follower, leader = founded.follower(), founded.leader()
    refusal, other = client.send(
        follower,
        client.write(follower, {1: Put(b"a", b"1")}),
        Read(False, (GetRequest(9, b"a"), GetRequest(10, b"b"))),
    )
    assert isinstance(refusal, WriteRefused)
    assert isinstance(other, RequestRefused)
    assert refusal.reason is other.reason is RefusalReason.NOT_LEADER
    assert refusal.leader.name == other.leader.name == leader.identity.name
    assert other.requests == (9, 10)


def test_a_write_repeated_while_under_way_is_answered_once_at_the_new_address() -> None:
    """A duplicate is not proposed again; its origin takes the place of the first."""
    house = House(3).found()
    client, leader = Visitor(house), house.leader()
    client.open_session(leader)
    house.cut_off.add(leader.identity.name)
    write = client.write(leader, {1: Put(b"a", b"1")})
    before = leader.replica.status(house.now_us).last_log_index
    assert client.send(leader, write) == []
    old = client.origin
    client.origin = old._replace(address=("10.0.0.9", 1))
    assert client.send(leader, write._replace(attempt=99)) == []
    assert leader.replica.status(house.now_us).last_log_index == before + 1
    house.cut_off.clear()
    house.run(100_000)
    assert written(client.take(leader)) == {1: Outcome.DONE}
    assert not [answer for answer in leader.answers if answer.origin == old]


def test_a_write_repeated_afterwards_gets_the_first_result(founded: House, client: Visitor) -> None:
    """From any replica that has applied it, with the revision of the first time."""
    leader = founded.leader()
    first = client.send(leader, client.write(leader, {1: Put(b"again", b"1")}))
    founded.run(100_000)
    for room in founded.rooms.values():
        assert client.send(room, client.write(room, {1: Put(b"again", b"1")})) == first


def test_both_attempts_of_one_wake_up_are_refused(founded: House, client: Visitor) -> None:
    """The client counts refusals by attempt, so each must get its own."""
    follower = founded.follower()
    both = [client.write(follower, {1: Put(b"a", b"1")}) for _ in range(2)]
    refusals = client.send(follower, *both)
    attempts = {one.attempt for one in refusals if isinstance(one, WriteRefused)}
    assert attempts == {write.attempt for write in both}


def test_pending_writes_are_bounded(
    founded: House, client: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound they are refused as overload; at the bound they are taken."""
    monkeypatch.setattr(writes, "PENDING_WRITES_MAXIMUM", 2)
    leader = founded.leader()
    three = {sequence: Put(b"a", b"1") for sequence in (1, 2, 3)}
    answers = client.send(leader, client.write(leader, three))
    refused = [answer for answer in answers if isinstance(answer, WriteRefused)]
    assert [(one.reason, one.sequences) for one in refused] == [(RefusalReason.OVERLOADED, (3,))]
    assert written([one for one in answers if one not in refused]).keys() == {1, 2}


def test_lost_leadership_gives_pending_requests_up() -> None:
    """Writes under way are refused as PENDING_LOST, waiting reads as NOT_LEADER."""
    house = House(3).found()
    client, leader = Visitor(house), house.leader()
    client.open_session(leader)
    house.cut_off.add(leader.identity.name)
    read = Read(False, (GetRequest(9, b"a"),))
    assert client.send(leader, client.write(leader, {1: Put(b"a", b"1")}), read) == []
    house.run(ELECTION_US)
    lost, refused = client.take(leader)
    assert isinstance(lost, WriteRefused)
    assert isinstance(refused, RequestRefused)
    assert (lost.reason, lost.attempt, lost.sequences) == (RefusalReason.PENDING_LOST, 0, (1,))
    assert (refused.reason, refused.requests) == (RefusalReason.NOT_LEADER, (9,))
    assert len(leader.replica.service.writes) == len(leader.replica.service.reads) == 0
    outcomes = [report.outcome for report in leader.watcher.reports]
    assert outcomes == ["pending_lost"]


@pytest.mark.parametrize("commands", [(), (b"nonsense",)])
def test_malformed_commands_cost_a_counter(
    founded: House, client: Visitor, commands: tuple[bytes, ...]
) -> None:
    """What is no command is not answered, and nothing of its Write is taken."""
    leader = founded.leader()
    before = leader.replica.service.refusals["malformed"]
    assert client.send(leader, Write(leader.process, 1, commands)) == []
    assert leader.replica.service.refusals["malformed"] == before + 1


def test_commands_of_two_clients_do_not_share_a_write(founded: House, client: Visitor) -> None:
    """One Write, one client."""
    other, leader = Visitor(founded), founded.leader()
    mixed = (client.encoded(1, Delete(b"a")), other.encoded(1, Delete(b"a")))
    assert client.send(leader, Write(leader.process, 1, mixed)) == []


def test_slow_requests_are_reported() -> None:
    """What took longer than 100 ms is told to the observer, with who asked."""
    house = House(3).found()
    client, leader = Visitor(house), house.leader()
    client.open_session(leader)
    others = {room.identity.name for room in house.rooms.values() if room is not leader}
    house.cut_off |= others
    client.send(
        leader,
        client.write(leader, {1: Put(b"a", b"1")}),
        Read(False, (GetRequest(9, b"a"),)),
    )
    house.run(150_000)
    house.cut_off.clear()
    house.run(100_000)
    kinds = {report.kind: report for report in leader.watcher.reports}
    assert kinds.keys() == {"write", "read"}
    assert kinds["write"].client_id == client.client_id
    assert all(report.duration_us > 100_000 for report in kinds.values())


# ---- reads


def test_a_linearizable_read_waits_for_a_quorum() -> None:
    """Without a quorum's answer it is not answered; then it is, from the applied state."""
    house = House(3).found()
    client, leader = Visitor(house), house.leader()
    house.cut_off.add(leader.identity.name)
    assert client.send(leader, Read(False, (GetRequest(9, b"a"),))) == []
    house.cut_off.clear()
    house.run(100_000)
    (answer,) = client.take(leader)
    assert isinstance(answer, ReadAnswer)


def test_reads_of_a_wake_up_are_answered_together(founded: House, client: Visitor) -> None:
    """Many gets, one answer; they share one read index."""
    leader = founded.leader()
    gets = tuple(GetRequest(number, b"r%d" % number) for number in range(5))
    (answer,) = client.send(leader, Read(False, gets[:2]), Read(False, gets[2:]))
    assert isinstance(answer, ReadAnswer)
    assert [result.request for result in answer.results] == [0, 1, 2, 3, 4]
    assert all(result.value is None for result in answer.results)


def test_pending_reads_are_bounded(
    founded: House, client: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound they are refused as overload."""
    monkeypatch.setattr(reads, "PENDING_READS_MAXIMUM", 1)
    leader = founded.leader()
    answers = client.send(leader, Read(False, (GetRequest(1, b"a"), GetRequest(2, b"a"))))
    refused = [answer for answer in answers if isinstance(answer, RequestRefused)]
    assert [(one.reason, one.requests) for one in refused] == [(RefusalReason.OVERLOADED, (2,))]


def test_a_list_is_paged(founded: House, client: Visitor) -> None:
    """In order, after the last key of the page before, until nothing is left."""
    leader = founded.leader()
    put = {number: Put(b"page%d" % number, b"v") for number in range(1, 6)}
    client.send(leader, client.write(leader, put))
    after, found = None, []
    while True:
        (answer,) = client.send(leader, List(1, False, b"page", after, 2))
        assert isinstance(answer, ListAnswer)
        found += [item.key for item in answer.items]
        if not answer.more:
            break
        after = answer.items[-1].key
    assert found == [b"page1", b"page2", b"page3", b"page4", b"page5"]


# ---- parts


def receive_in_parts(client: Visitor, room: Room, answers: list[Answer], loses: int) -> bytes:
    """Gather an answer in parts as a client does, losing every `loses`-th part once."""
    incoming, lost = None, set()
    for _ in range(10_000):
        for part in answers:
            assert isinstance(part, Part)
            if part.number % loses == 1 and part.number not in lost:
                lost.add(part.number)
                continue
            incoming = incoming or IncomingParts(part)
            incoming.add(part)
        assert incoming is not None
        if incoming.complete:
            assert client.send(room, incoming.received()) == []
            return incoming.body()
        answers = client.send(room, incoming.received())
    raise AssertionError("the transfer does not end")


@pytest.mark.parametrize("loses", [2, 7])
def test_a_large_value_travels_both_ways_in_parts(loses: int) -> None:
    """The greatest value is written and read, though parts are lost on the way."""
    house = House(1).found()
    client, leader = Visitor(house), house.leader()
    client.open_session(leader)
    value = bytes(range(256)) * (VALUE_BYTES_MAXIMUM // 256)
    body = encode_request(client.write(leader, {1: Put(b"large", value)}))
    outgoing = OutgoingParts(1, body, BODY_BYTES - 64)
    parts, lost, answers = outgoing.parts(0, (), 32), set[int](), list[Answer]()
    for _ in range(10_000):
        if not parts:
            break
        kept = [part for part in parts if part.number % loses != 1 or part.number in lost]
        lost |= {part.number for part in parts}
        answers += client.send(leader, *kept)
        acknowledged = [one for one in answers if isinstance(one, PartsReceived)]
        last = acknowledged[-1]
        parts = outgoing.parts(last.received_below, last.missing, 32)
    assert written([one for one in answers if isinstance(one, Written)]) == {1: Outcome.DONE}
    first = client.send(leader, Read(False, (GetRequest(2, b"large"),)))
    answer = decode_answer(receive_in_parts(client, leader, first, loses))
    assert isinstance(answer, ReadAnswer)
    assert answer.results[0].value == value


def test_parts_that_come_again_do_not_write_again(founded: House, client: Visitor) -> None:
    """A complete transfer is acknowledged again, and not taken again."""
    leader = founded.leader()
    body = encode_request(client.write(leader, {1: Put(b"twice", bytes(2_000))}))
    parts = OutgoingParts(1, body, 800).parts(0, (), 32)
    first = client.send(leader, *parts)
    assert {type(answer) for answer in first} == {PartsReceived, Written}
    assert client.send(leader, *parts) == [PartsReceived(1, len(parts), ())]


def test_parts_within_parts_are_refused(founded: House, client: Visitor) -> None:
    """What is joined must be a request of its own."""
    leader = founded.leader()
    before = leader.replica.service.refusals["malformed"]
    body = encode_request(Part(2, 0, 1, 1, b"x"))
    (answer,) = client.send(leader, *OutgoingParts(1, body, 800).parts(0, (), 32))
    assert isinstance(answer, PartsReceived)
    assert leader.replica.service.refusals["malformed"] == before + 1


def test_a_page_larger_than_a_datagram_comes_in_parts(founded: House, client: Visitor) -> None:
    """So does every answer that one datagram can't carry."""
    leader = founded.leader()
    put = {number: Put(b"wide%d" % number, bytes(500)) for number in range(1, 6)}
    client.send(leader, client.write(leader, put))
    first = client.send(leader, List(1, True, b"wide", None, 10))
    answer = decode_answer(receive_in_parts(client, leader, first, 100))
    assert isinstance(answer, ListAnswer)
    assert len(answer.items) == 5
    assert isinstance(answer.items[0], Item)


# ---- administration


def challenge(client: Visitor, room: Room) -> bytes:
    """A fresh challenge."""
    (answer,) = client.send(room, ChallengeRequest(client.request()))
    assert isinstance(answer, ChallengeAnswer)
    return answer.challenge


def refused(reason: RefusalReason, answers: list[Answer]) -> bool:
    """Whether there is one answer, this refusal."""
    (answer,) = answers
    return isinstance(answer, RequestRefused) and answer.reason is reason


def test_a_challenge_is_good_for_one_request(founded: House, client: Visitor) -> None:
    """The same request gets the same answer again; another under the same challenge is refused."""
    leader = founded.leader()
    opening = Admin(5, challenge(client, leader), OpenCluster(CLUSTER))
    assert client.send(leader, opening) == [AdminAnswer(5)]
    assert client.send(leader, opening) == [AdminAnswer(5)]
    assert refused(RefusalReason.CHALLENGE, client.send(leader, opening._replace(request=6)))
    other = opening._replace(action=Transfer(""))
    assert refused(RefusalReason.CHALLENGE, client.send(leader, other))


def test_a_challenge_is_good_for_a_short_while(founded: House, client: Visitor) -> None:
    """Ten seconds, and not one microsecond longer."""
    leader = founded.leader()
    early = Admin(1, challenge(client, leader), OpenCluster(CLUSTER))
    late = Admin(2, challenge(client, leader), OpenCluster(CLUSTER))
    founded.run(CHALLENGE_LIFE_US - 1)
    assert client.send(leader, early) == [AdminAnswer(1)]
    founded.run(1)
    assert refused(RefusalReason.CHALLENGE, client.send(leader, late))


def test_a_challenge_is_good_for_its_process(founded: House, client: Visitor) -> None:
    """Another process can't use it, and a made-up one is no challenge."""
    leader, other = founded.leader(), Visitor(founded)
    mine = Admin(1, challenge(client, leader), Stop())
    assert refused(RefusalReason.CHALLENGE, other.send(leader, mine))
    made_up = Admin(1, b"?" * 16, Stop())
    assert refused(RefusalReason.CHALLENGE, client.send(leader, made_up))
    assert not leader.replica.service.stop_requested


def test_stop_is_answered_and_then_wanted() -> None:
    """The answer leaves before the replica does."""
    house = House(1)
    room = house.rooms["ss-0"]
    assert isinstance(Visitor(house).command(room, Stop()), AdminAnswer)
    assert room.replica.service.stop_requested


def test_leadership_is_transferred_by_name() -> None:
    """The named server leads afterwards; an unknown name and a follower's refusal are told."""
    house = House(3).found()
    client, leader, follower = Visitor(house), house.leader(), house.follower()
    answer = client.command(leader, Transfer("ss-9"))
    assert refused(RefusalReason.NO_TARGET, [answer])
    assert refused(RefusalReason.NOT_LEADER, [client.command(follower, Transfer(""))])
    assert isinstance(client.command(leader, Transfer(follower.identity.name)), AdminAnswer)
    house.run(ELECTION_US)
    assert house.leader() is follower


def test_founding_binds_once() -> None:
    """The same founding again is fine, another is refused, and so is one that names others."""
    house = House(3)
    client, room = Visitor(house), house.rooms["ss-0"]
    other = Cluster(b"another-cluster!", 1, b"another-epoch-id")
    strange = FoundCluster(CLUSTER, House(1).membership.__class__(house.membership.slots[1:]))
    assert refused(RefusalReason.ALREADY_BOUND, [client.command(room, strange)])
    for _ in range(2):
        founding = FoundCluster(CLUSTER, house.membership)
        assert isinstance(client.command(room, founding), AdminAnswer)
    founding = FoundCluster(other, house.membership)
    assert refused(RefusalReason.ALREADY_BOUND, [client.command(room, founding)])


def test_clients_are_let_in_when_the_opening_is_committed() -> None:
    """Before, writes are refused as not open; the founder's answer comes with the commitment."""
    house = House(3)
    client = Visitor(house)
    blank = house.rooms["ss-0"]
    assert refused(RefusalReason.BLANK, [client.command(blank, OpenCluster(CLUSTER))])
    for room in house.rooms.values():
        client.command(room, FoundCluster(CLUSTER, house.membership))
    house.run(ELECTION_US)
    leader = house.leader()
    (answer,) = client.send(leader, client.write(leader, {1: Delete(b"a")}))
    assert isinstance(answer, WriteRefused)
    assert answer.reason is RefusalReason.NOT_OPEN
    house.cut_off.add(leader.identity.name)
    opening = Admin(8, challenge(client, leader), OpenCluster(CLUSTER))
    assert client.send(leader, opening) == []
    house.cut_off.clear()
    house.run(100_000)
    assert client.take(leader) == [AdminAnswer(8)]
    other = Cluster(b"another-cluster!", 1, b"another-epoch-id")
    assert refused(RefusalReason.ALREADY_BOUND, [client.command(leader, OpenCluster(other))])


def test_an_opening_under_way_is_lost_with_leadership() -> None:
    """The founder is told that it does not know, and asks the next leader."""
    house = House(3)
    client = Visitor(house)
    for room in house.rooms.values():
        client.command(room, FoundCluster(CLUSTER, house.membership))
    house.run(ELECTION_US)
    leader = house.leader()
    opening = Admin(8, challenge(client, leader), OpenCluster(CLUSTER))
    house.cut_off.add(leader.identity.name)
    client.send(leader, opening)
    house.run(ELECTION_US)
    assert refused(RefusalReason.PENDING_LOST, client.take(leader))
