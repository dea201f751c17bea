"""Linearizable reads, by sentences of the dissertation (6.4)."""

from __future__ import annotations

import pytest

from raftudp.consensus.inputs import MailReceived, ReadRequested
from raftudp.consensus.messages import AppendEntries, AppendEntriesResponse, Mail, RequestVote
from raftudp.consensus.outputs import ReadGrant, Refusal
from raftudp.consensus.vocabulary import Role
from tests.consensus.cluster import CLUSTER, SimulatedCluster, opened
from tests.consensus.one_server import OneServer, identity


def test_a_read_is_granted_at_the_commit_index_once_a_quorum_has_answered_its_round() -> None:
    """6.4, steps 2 and 3: no entry is appended for it."""
    one = OneServer("abcde")
    one.lead()
    last = one.state.log.last_index
    one.read("r")
    assert len(one.sent(AppendEntries)) == 4
    assert one.last.reads == []
    one.acknowledge("b")
    assert one.last.reads == []
    one.acknowledge("c")
    assert one.last.reads == [ReadGrant("r", None, last)]
    assert one.state.log.last_index == last


def test_one_round_serves_all_reads_of_a_step() -> None:
    """6.4: the cost of the round is shared."""
    one = OneServer()
    one.lead()
    one.read("r", "s", "t")
    assert len(one.sent(AppendEntries)) == 2
    one.acknowledge("b")
    assert [grant.token for grant in one.last.reads] == ["r", "s", "t"]


def test_a_round_that_was_sent_before_the_read_came_does_not_confirm_it() -> None:
    """6.4, step 3: what proves leadership must have left after the read arrived."""
    one = OneServer()
    one.lead()
    one.time_out()
    earlier = one.answer()
    one.read("r")
    one.receive("b", earlier)
    one.receive("c", earlier)
    assert one.last.reads == []
    one.acknowledge("b")
    assert [grant.token for grant in one.last.reads] == ["r"]


def test_a_later_round_confirms_earlier_reads() -> None:
    """A lost answer costs no more than the next heartbeat."""
    one = OneServer()
    one.lead()
    one.read("r")
    one.time_out()
    one.acknowledge("c")
    assert [grant.token for grant in one.last.reads] == ["r"]


def test_a_refusal_of_the_log_in_the_same_term_confirms_leadership_all_the_same() -> None:
    """The follower has not heard of a higher term; where its log ends does not matter."""
    one = OneServer()
    one.lead()
    one.read("r")
    state = one.state
    one.receive("b", AppendEntriesResponse(state.current_term, state.round, False, 0, 99, 0, 0))
    assert [grant.token for grant in one.last.reads] == ["r"]


def test_answers_of_strangers_confirm_no_read() -> None:
    """Another incarnation of a member, or an unknown name, is no part of a quorum."""
    one = OneServer()
    one.lead()
    one.read("r")
    one.acknowledge(identity("b", life=2))
    one.acknowledge(identity("z"))
    assert one.last.reads == []


def test_doubled_answers_confirm_no_read() -> None:
    """Of five, one follower's answers are one follower's answers."""
    one = OneServer("abcde")
    one.lead()
    one.read("r")
    one.receive("b", *[one.answer()] * 4)
    assert one.last.reads == []


def test_a_read_waits_until_the_leader_has_committed_an_entry_of_its_own_term() -> None:
    """6.4, step 1: before that it does not know the latest commit index."""
    one = OneServer()
    one.lead()
    one.receive("b", RequestVote(4, 99, 4))
    one.win()
    one.read("r")
    one.time_out()
    one.acknowledge("b", match_index=3)
    one.acknowledge("c", match_index=3)
    assert one.last.reads == []
    one.persist()
    one.acknowledge("b")
    assert one.state.commit_index == one.state.first_index_of_term
    assert one.last.reads == []
    one.acknowledge("b")
    assert one.last.reads == [ReadGrant("r", None, one.state.first_index_of_term)]


def test_a_deposed_leader_refuses_waiting_reads() -> None:
    """Whether they have an index already or not: another may have committed since."""
    one = OneServer()
    one.lead()
    one.read("r")
    one.receive("b", RequestVote(9, 99, 9))
    assert one.last.reads == [ReadGrant("r", Refusal.NOT_LEADER)]
    one.win()
    one.read("s")
    one.receive("b", RequestVote(19, 99, 9))
    assert one.last.reads == [ReadGrant("s", Refusal.NOT_LEADER)]


def test_a_leader_that_hears_no_quorum_refuses_waiting_reads() -> None:
    """6.2: a client need not wait for one that is cut off."""
    cluster = opened()
    cluster.cut_off("a")
    cluster.step("a", ReadRequested("r"))
    cluster.advance(1_000)
    assert cluster.machines["a"].reads["r"].refusal is Refusal.NOT_LEADER


def test_a_cut_off_leader_answers_nothing_that_others_have_overtaken() -> None:
    """The point of the round: it may have been deposed without knowing it."""
    cluster = opened()
    cluster.cut_off("a")
    cluster.elect("b")
    cluster.propose("b", "newer")
    cluster.settle()
    assert cluster.role("a") is Role.LEADER
    cluster.step("a", ReadRequested("r"))
    cluster.heal()
    cluster.settle()
    cluster.advance(1_000)
    assert cluster.machines["a"].reads["r"].refusal is Refusal.NOT_LEADER


def test_a_read_and_the_news_of_a_higher_term_in_one_step() -> None:
    """In either order, the read is refused."""
    news = MailReceived(Mail(identity("b"), identity("a"), CLUSTER, RequestVote(9, 99, 9)))
    for inputs in ([ReadRequested("r"), news], [news, ReadRequested("r")]):
        one = OneServer()
        one.lead()
        one.give(*inputs)
        assert one.last.reads == [ReadGrant("r", Refusal.NOT_LEADER)]


@pytest.mark.parametrize("heartbeat_is_due", [False, True])
def test_a_cluster_of_one_confirms_itself(heartbeat_is_due: bool) -> None:
    """At once, whether the read comes with a heartbeat or between two."""
    cluster = SimulatedCluster(["a"])
    cluster.found()
    cluster.advance(1_000)
    cluster.open()
    if heartbeat_is_due:
        cluster.machines["a"].clock_ahead_us += 60_000
    cluster.step("a", ReadRequested("r"))
    assert cluster.machines["a"].reads["r"] == ReadGrant("r", None, 3)


@pytest.mark.parametrize(
    ("make", "refusal"),
    [
        (lambda one: None, Refusal.NOT_LEADER),
        (lambda one: one.campaign(), Refusal.NOT_LEADER),
        (lambda one: one.win(), Refusal.NOT_OPEN),
    ],
)
def test_who_can_not_answer_says_why(make, refusal: Refusal) -> None:
    """A follower, a candidate, and a leader before clients are let in."""
    one = OneServer()
    make(one)
    one.read("r")
    assert one.last.reads == [ReadGrant("r", refusal)]


def test_a_blank_server_refuses_reads() -> None:
    """It knows nothing."""
    one = OneServer(founded=False)
    one.read("r")
    assert one.last.reads == [ReadGrant("r", Refusal.BLANK)]
