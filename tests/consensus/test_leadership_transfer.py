"""Handing leadership over, by sentences of the dissertation (3.10)."""

from __future__ import annotations

from raftudp.consensus.inputs import ReadRequested, TransferRequested
from raftudp.consensus.messages import AppendEntries, RequestPreVote, RequestVote, TimeoutNow
from raftudp.consensus.outputs import Outputs, Refusal
from raftudp.consensus.trace import Action
from raftudp.consensus.vocabulary import Role
from tests.consensus.cluster import opened
from tests.consensus.one_server import OneServer, identity


def transfer(one: OneServer, target: str | None) -> Outputs:
    """Asks the server to hand over."""
    return one.give(TransferRequested("t", target))


def test_a_target_that_holds_the_whole_log_is_told_to_campaign_at_once() -> None:
    """3.10, step 3."""
    one = OneServer()
    one.lead()
    transfer(one, "b")
    assert one.last.proposals[0].refusal is None
    assert one.sent(TimeoutNow, "b") == [TimeoutNow(2)]
    assert one.sent(TimeoutNow, "c") == []


def test_the_leader_waits_until_the_targets_log_is_its_own() -> None:
    """3.10, step 2."""
    one = OneServer()
    one.lead()
    one.propose(b"x", b"y")
    transfer(one, "b")
    assert one.sent(TimeoutNow) == []
    one.acknowledge("b", match_index=one.state.log.last_index - 1)
    assert one.sent(TimeoutNow) == []
    one.acknowledge("c")
    assert one.sent(TimeoutNow) == []
    one.acknowledge("b")
    assert one.sent(TimeoutNow, "b") == [TimeoutNow(2)]


def test_timeout_now_is_sent_again_at_each_heartbeat() -> None:
    """It may be lost."""
    one = OneServer()
    one.lead()
    transfer(one, "b")
    one.time_out()
    assert one.sent(TimeoutNow, "b") == [TimeoutNow(2)]


def test_the_leader_takes_no_commands_meanwhile() -> None:
    """3.10, step 1: else the target might never catch up. Reads go on."""
    one = OneServer()
    one.lead()
    transfer(one, "b")
    one.propose(b"x")
    assert one.last.proposals[0].refusal is Refusal.TRANSFERRING
    assert one.server.status(one.now_us).is_transferring
    one.give(ReadRequested("r"))
    one.acknowledge("c")
    assert one.last.reads[0].refusal is None


def test_the_leader_gives_up_after_an_election_timeout() -> None:
    """3.10: the target may be dead, and clients wait; no TimeoutNow leaves afterwards."""
    one = OneServer()
    one.lead()
    transfer(one, "b")
    began_us = one.now_us
    while one.server.status(one.now_us).is_transferring:
        assert one.now_us < began_us + 600_000
        one.time_out()
        one.acknowledge("c")
    assert one.now_us == began_us + 600_000
    assert one.state.role is Role.LEADER
    one.propose(b"x")
    assert one.last.proposals[0].refusal is None
    one.time_out()
    assert one.sent(TimeoutNow) == []


def test_the_target_campaigns_without_asking_first() -> None:
    """3.10: no pre-vote, which those who hear the leader would refuse."""
    one = OneServer()
    one.follow("b", term=2)
    one.receive("b", TimeoutNow(2))
    assert (one.state.role, one.state.current_term) == (Role.CANDIDATE, 3)
    assert one.sent(RequestPreVote) == []
    assert one.sent(RequestVote, "b") == [RequestVote(3, 1, 1)]


def test_a_late_or_doubled_timeout_now_starts_one_campaign() -> None:
    """One of a bygone term starts none."""
    one = OneServer()
    one.follow("b", term=2)
    one.receive("b", TimeoutNow(2), TimeoutNow(2))
    assert one.state.current_term == 3
    one.receive("c", AppendEntries(3, 1, 1, 1, 1, ()))
    one.receive("b", TimeoutNow(2))
    assert (one.state.role, one.state.current_term) == (Role.FOLLOWER, 3)


def test_leadership_moves_at_once_and_nothing_is_lost() -> None:
    """No election timeout passes."""
    cluster = opened()
    cluster.propose("a", "before")
    cluster.step("a", TransferRequested("t", "c"))
    cluster.settle()
    assert cluster.role("c") is Role.LEADER
    assert cluster.status("a").term == 3
    cluster.propose("c", "after")
    cluster.settle()
    assert cluster.commands("c") == [b"before", b"after"]


def test_without_a_name_the_furthest_of_those_heard_lately_is_chosen() -> None:
    """It will be the fastest to take over; who is silent is not trusted with it."""
    one = OneServer("abcd")
    one.lead()
    one.propose(b"x")
    one.acknowledge("c")
    transfer(one, None)
    assert one.sent(TimeoutNow, "c") == [TimeoutNow(2)]


def test_without_anyone_heard_lately_there_is_no_target() -> None:
    """A name that is unknown, or one's own, is none either."""
    one = OneServer()
    one.win()
    for target in (None, "z", "a"):
        transfer(one, target)
        assert one.last.proposals[0].refusal is Refusal.NO_TARGET
    assert not one.server.status(one.now_us).is_transferring


def test_only_a_leader_hands_over() -> None:
    """A follower has nothing to hand."""
    one = OneServer()
    transfer(one, "b")
    assert one.last.proposals[0].refusal is Refusal.NOT_LEADER


def test_a_deposed_leader_forgets_the_hand_over() -> None:
    """A new term begins without it."""
    one = OneServer()
    one.lead()
    transfer(one, "b")
    one.receive("c", RequestVote(9, 99, 9))
    one.lead()
    assert not one.server.status(one.now_us).is_transferring
    one.propose(b"x")
    assert one.last.proposals[0].refusal is None


def test_what_became_of_a_hand_over_is_traced() -> None:
    """Its begin, and that it was given up."""
    one = OneServer()
    one.lead()
    transfer(one, "b")
    assert [(e.action, e.other) for e in one.last.trace] == [(Action.TRANSFER, identity("b"))]
    one.wait(600)
    assert Action.TRANSFER_ENDED in {event.action for event in one.last.trace}
