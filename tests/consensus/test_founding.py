"""How a blank server comes to belong to a cluster, or is refused (section 2 of the design)."""

from __future__ import annotations

import pytest

from raftudp.consensus.inputs import CommandProposed, FoundRequested, OpenRequested
from raftudp.consensus.messages import (
    AppendEntries,
    Found,
    Greeting,
    GreetingResponse,
    RequestPreVote,
    RequestVote,
    TimeoutNow,
)
from raftudp.consensus.outputs import Refusal
from raftudp.consensus.trace import Action
from raftudp.consensus.vocabulary import (
    ANY_INCARNATION,
    Entry,
    EntryKind,
    Membership,
    Role,
    ServerId,
    Slot,
)
from tests.consensus.cluster import CLUSTER, SimulatedCluster, opened
from tests.consensus.one_server import OneServer, identity, membership_of

ANOTHER = CLUSTER._replace(cluster_id=b"another cluster!")


def test_a_blank_server_never_campaigns() -> None:
    """It greets those whom it expects, for ever."""
    one = OneServer(founded=False)
    for _ in range(100):
        one.time_out()
        assert {mail.receiver for mail in one.last.messages} == {
            ServerId("b", ANY_INCARNATION),
            ServerId("c", ANY_INCARNATION),
        }
        assert one.sent(Greeting) == [Greeting()] * 2
        assert all(mail.cluster is None for mail in one.last.messages)
    assert (one.state.role, one.state.current_term) == (Role.BLANK, 0)


@pytest.mark.parametrize(
    "message",
    [
        RequestVote(2, 9, 9),
        RequestPreVote(2, 1, 9, 9),
        AppendEntries(2, 1, 0, 0, 1, (Entry(1, EntryKind.MEMBERSHIP, membership_of("abc")),)),
        TimeoutNow(2),
    ],
)
def test_a_blank_server_listens_to_nothing_but_foundings_and_answers(message) -> None:
    """It neither votes nor takes entries, whatever cluster they come from."""
    one = OneServer(founded=False)
    outputs = one.receive("b", message)
    assert outputs.misaddressed == 1
    assert one.sent(type(message)) == []
    assert (one.state.role, one.state.log.last_index) == (Role.BLANK, 0)


def test_a_founding_binds_as_entry_1_of_term_1() -> None:
    """It is durable before anything leaves."""
    one = OneServer(founded=False)
    one.give(FoundRequested("t", CLUSTER, membership_of("abc")))
    assert one.last.proposals[0].refusal is None
    assert one.last.hard_state == (1, None)
    assert one.last.entries == [Entry(1, EntryKind.MEMBERSHIP, membership_of("abc"))]
    assert one.server.status(0).cluster == CLUSTER
    assert [event.action for event in one.last.trace] == [Action.BIND]


def test_an_incarnation_binds_once() -> None:
    """The same founding again is no error and changes nothing; another one is refused."""
    one = OneServer()
    one.lead()
    before = (one.state.current_term, one.state.log.last_index)
    one.give(FoundRequested("same", CLUSTER, membership_of("abc")))
    assert one.last.proposals[0].refusal is None
    one.give(FoundRequested("other", ANOTHER, membership_of("abc")))
    assert one.last.proposals[0].refusal is Refusal.ALREADY_BOUND
    outputs = one.receive("b", Found(membership_of("ab")), cluster=ANOTHER)
    assert outputs.misaddressed == 1
    assert (one.state.current_term, one.state.log.last_index) == before
    assert one.state.cluster == CLUSTER


@pytest.mark.parametrize(
    "names", [membership_of("bc"), Membership((Slot("a", "a:6000", b"another life of a"),))]
)
def test_a_founding_that_does_not_name_this_incarnation_does_not_bind_it(
    names: Membership,
) -> None:
    """Not the founder's, nor one that is passed on."""
    one = OneServer(founded=False)
    one.give(FoundRequested("t", CLUSTER, names))
    assert one.last.proposals[0].refusal is Refusal.ALREADY_BOUND
    one.receive("b", Found(names))
    assert one.state.role is Role.BLANK


def test_a_candidate_passes_the_founding_on() -> None:
    """So that one that the founder never reached can vote."""
    cluster = SimulatedCluster()
    cluster.found(["a", "b"])
    cluster.settle()
    cluster.cut_off("b")
    cluster.time_out("a")
    assert cluster.letters("a", "c", Found)
    cluster.settle()
    cluster.advance(2_000)
    assert cluster.status("c").cluster == CLUSTER
    assert cluster.leader() in ("a", "c")


def test_a_member_passes_the_founding_on_when_greeted() -> None:
    """By one that the founding names."""
    cluster = SimulatedCluster()
    cluster.found(["a"])
    cluster.time_out("c")
    cluster.deliver("c", "a", Greeting)
    cluster.deliver("a", "c", Found)
    assert cluster.role("c") is Role.FOLLOWER


def test_a_founding_that_reached_one_reaches_all() -> None:
    """Whoever it was, and whatever is lost."""
    cluster = SimulatedCluster("abcde")
    cluster.found(["d"])
    cluster.advance(3_000)
    assert {cluster.status(name).commit_index for name in "abcde"} == {2}


def test_a_member_that_has_shown_that_it_is_bound_is_not_told_again() -> None:
    """The founding is passed on as long as it may be news."""
    cluster = opened()
    cluster.time_out("a")
    assert cluster.letters(kind=Found) == []


def test_a_blank_restarted_replica_is_refused_and_knows_that_a_cluster_exists() -> None:
    """Its name has a slot, but its predecessor filled it."""
    cluster = opened()
    cluster.crash("c")
    cluster.start("c")
    cluster.advance(5_000)
    status = cluster.status("c")
    assert (status.role, status.cluster_seen) == (Role.BLANK, CLUSTER)
    assert status.last_log_index == 0
    refused = [
        event
        for name in "ab"
        for event in cluster.machines[name].trace
        if event.action is Action.GREETING_REFUSED
    ]
    assert {event.other for event in refused} == {cluster.machines["c"].identity}
    assert len(refused) == 2, "traced once by each member, however often it greets"
    answered = [event.action for event in cluster.machines["c"].trace]
    assert answered == [Action.GREETING_ANSWERED]
    assert cluster.leader() == "a"


@pytest.mark.parametrize(
    ("stranger", "has_slot"), [(identity("c", life=2), True), (identity("z"), False)]
)
def test_a_stranger_is_told_who_leads_and_whether_its_name_has_a_slot(
    stranger: ServerId, has_slot: bool
) -> None:
    """And gets nothing else."""
    one = OneServer()
    one.follow("b")
    one.receive(stranger, Greeting(), receiver=ServerId("a", ANY_INCARNATION), cluster=None)
    assert [mail.receiver for mail in one.last.messages] == [stranger]
    assert one.sent(GreetingResponse) == [GreetingResponse(identity("b"), has_slot)]


def test_a_greeting_to_another_name_is_misaddressed() -> None:
    """An address may have been given to another replica since."""
    one = OneServer()
    nobody = ServerId("b", ANY_INCARNATION)
    assert one.receive("c", Greeting(), receiver=nobody, cluster=None).misaddressed == 1


def test_blank_servers_do_not_answer_one_another() -> None:
    """None of them knows anything."""
    one = OneServer(founded=False)
    one.time_out()
    one.receive("b", Greeting(), receiver=ServerId("a", ANY_INCARNATION), cluster=None)
    assert one.last.messages == []


def test_clients_are_let_in_by_a_committed_open_entry() -> None:
    """Not before it is committed, and after it at every later leader."""
    cluster = SimulatedCluster()
    cluster.found()
    cluster.settle()
    cluster.elect("a")
    cluster.propose("a", "early")
    assert cluster.machines["a"].proposals[b"early"].refusal is Refusal.NOT_OPEN
    cluster.open()
    assert all(cluster.status(name).is_open for name in "abc")
    cluster.elect("b")
    cluster.propose("b", "later")
    assert cluster.machines["b"].proposals[b"later"].refusal is None


def test_opening_twice_appends_one_entry() -> None:
    """The founder asks until it hears an answer; the entry is named again."""
    one = OneServer()
    one.lead()
    one.give(OpenRequested("again"))
    assert one.last.entries == []
    assert (one.last.proposals[0].index, one.last.proposals[0].term) == (3, 2)


def test_opening_waits_for_an_entry_of_the_leaders_own_term() -> None:
    """And is refused by who does not lead."""
    one = OneServer()
    one.give(OpenRequested("t"))
    assert one.last.proposals[0].refusal is Refusal.NOT_LEADER
    one.win()
    one.give(OpenRequested("t"))
    assert one.last.proposals[0].refusal is Refusal.NOT_READY
    blank = OneServer(founded=False)
    blank.give(OpenRequested("t"), CommandProposed("u", b""))
    assert [p.refusal for p in blank.last.proposals] == [Refusal.BLANK, Refusal.BLANK]
