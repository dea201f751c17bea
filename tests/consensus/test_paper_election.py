"""Elections, by sentences of the paper (5.2, 5.4.1, figure 2) and the dissertation (9.6, 6.2)."""

from __future__ import annotations

import pytest

from raftudp.consensus.messages import (
    AppendEntries,
    AppendEntriesResponse,
    RequestPreVote,
    RequestPreVoteResponse,
    RequestVote,
    RequestVoteResponse,
)
from raftudp.consensus.trace import Action
from raftudp.consensus.vocabulary import Cluster, Role, ServerId
from tests.consensus.cluster import CLUSTER, SimulatedCluster, opened
from tests.consensus.one_server import OneServer, identity

# ---- terms


@pytest.mark.parametrize("make", ["follow", "campaign", "win"])
def test_if_a_message_shows_a_higher_term_it_is_adopted_and_the_server_follows(make: str) -> None:
    """Figure 2, rules for all servers: a follower, candidate or leader steps down to it."""
    one = OneServer()
    getattr(one, make)()
    one.receive("c", RequestVote(9, 0, 0))
    assert (one.state.current_term, one.state.role) == (9, Role.FOLLOWER)
    assert one.last.hard_state is not None
    assert one.last.hard_state.current_term == 9


def test_a_request_with_a_stale_term_is_rejected_with_the_current_one() -> None:
    """Section 5.1: the answer deposes the leader, and refuses the candidate, of a bygone term."""
    one = OneServer()
    one.follow("b", term=5)
    one.receive("c", AppendEntries(4, 7, 1, 1, 1, ()))
    assert one.sent(AppendEntriesResponse) == [AppendEntriesResponse(5, 7, False, 0, 1, 0, 0)]
    assert one.state.leader == identity("b")
    one.receive("c", RequestVote(4, 99, 4))
    assert one.sent(RequestVoteResponse) == [RequestVoteResponse(5, False)]


# ---- pre-vote


def test_a_pre_vote_changes_nothing_at_the_one_asked() -> None:
    """Dissertation 9.6: no term, vote, role or deadline moves, whatever the answer."""
    one = OneServer()
    before = (one.state.current_term, one.state.voted_for, one.state.role)
    deadline_us = one.server.next_deadline()
    one.receive("b", RequestPreVote(2, 1, 1, 1))
    one.receive("c", RequestPreVote(99, 1, 1, 1))
    assert one.sent(RequestPreVoteResponse) == [RequestPreVoteResponse(1, 1, True)]
    assert (one.state.current_term, one.state.voted_for, one.state.role) == before
    assert one.server.next_deadline() == deadline_us
    assert one.last.hard_state is None


def test_asking_for_pre_votes_raises_no_term() -> None:
    """Dissertation 9.6: one that can't win disturbs nobody, however long it tries."""
    one = OneServer()
    for _ in range(50):
        one.time_out()
    assert (one.state.current_term, one.state.role) == (1, Role.PRE_CANDIDATE)


def test_one_that_hears_a_leader_refuses_pre_votes() -> None:
    """Dissertation 4.2.3: until the shortest election timeout has passed without a word of it."""
    one = OneServer()
    one.follow("b", term=2)
    one.now_us += 299_999
    one.receive("c", RequestPreVote(3, 1, 99, 2))
    assert one.sent(RequestPreVoteResponse) == [RequestPreVoteResponse(2, 1, False)]
    one.now_us += 1
    one.receive("c", RequestPreVote(3, 2, 99, 2))
    assert one.sent(RequestPreVoteResponse) == [RequestPreVoteResponse(2, 2, True)]


def test_a_leader_refuses_pre_votes() -> None:
    """A leader would not vote: it hears itself."""
    one = OneServer()
    one.lead()
    one.receive("c", RequestPreVote(9, 1, 99, 9))
    assert one.sent(RequestPreVoteResponse) == [RequestPreVoteResponse(2, 1, False)]


@pytest.mark.parametrize(
    ("term", "last_index", "last_term", "granted"),
    [(4, 3, 3, True), (3, 3, 3, False), (4, 2, 3, False), (4, 9, 2, False), (4, 1, 4, True)],
)
def test_a_pre_vote_is_granted_where_a_vote_would_be(
    term: int, last_index: int, last_term: int, granted: bool
) -> None:
    """Dissertation 9.6: the term must be higher and the log at least as up-to-date."""
    one = OneServer()
    one.follow("b", term=3, terms=[2, 3])
    one.now_us += 300_000
    one.receive("c", RequestPreVote(term, 1, last_index, last_term))
    assert one.sent(RequestPreVoteResponse) == [RequestPreVoteResponse(3, 1, granted)]


def test_pre_vote_answers_of_another_ballot_are_not_counted() -> None:
    """An answer to an earlier attempt says nothing about this one."""
    one = OneServer()
    one.pre_campaign()
    ballot = one.state.ballot
    while one.state.ballot == ballot:
        one.time_out()
    one.receive("b", RequestPreVoteResponse(1, ballot, True))
    assert one.state.role is Role.PRE_CANDIDATE
    one.receive("b", RequestPreVoteResponse(1, ballot + 1, True))
    assert one.state.role is Role.CANDIDATE


def test_pre_votes_are_never_taken_for_votes() -> None:
    """A candidate that gets more pre-votes than it needed leads nothing by them."""
    one = OneServer("abcde")
    one.pre_campaign()
    answer = RequestPreVoteResponse(1, one.state.ballot, True)
    one.receive("b", answer)
    one.receive("c", answer)
    assert one.state.role is Role.CANDIDATE
    one.receive("d", answer, answer._replace(ballot=one.state.ballot))
    one.receive("e", answer, answer._replace(ballot=one.state.ballot))
    assert one.state.role is Role.CANDIDATE


def test_a_server_that_was_cut_off_does_not_depose_the_leader_when_it_returns() -> None:
    """Dissertation 9.6: its term has not grown, and nobody who hears the leader would vote."""
    cluster = opened()
    cluster.cut_off("c")
    cluster.advance(5_000)
    cluster.heal()
    cluster.advance(2_000)
    assert cluster.leader() == "a"
    assert {cluster.status(name).term for name in "abc"} == {2}


# ---- votes


def test_a_candidate_votes_for_itself_and_asks_all_others() -> None:
    """Section 5.2: it increments its term; both are durable before any request leaves."""
    one = OneServer()
    one.campaign()
    assert one.last.hard_state == (2, one.identity)
    assert [mail.receiver for mail in one.last.messages if isinstance(mail.message, RequestVote)]
    assert one.sent(RequestVote, "b") == one.sent(RequestVote, "c") == [RequestVote(2, 1, 1)]


def test_a_server_votes_once_a_term_first_come_first_served() -> None:
    """Section 5.2: the second candidate of a term is refused, the first one told again."""
    one = OneServer()
    one.receive("b", RequestVote(2, 1, 1))
    assert one.sent(RequestVoteResponse, "b") == [RequestVoteResponse(2, True)]
    assert one.last.hard_state == (2, identity("b"))
    one.receive("c", RequestVote(2, 99, 2))
    assert one.sent(RequestVoteResponse, "c") == [RequestVoteResponse(2, False)]
    one.receive("b", RequestVote(2, 1, 1))
    assert one.sent(RequestVoteResponse, "b") == [RequestVoteResponse(2, True)]
    one.receive("c", RequestVote(3, 1, 1))
    assert one.sent(RequestVoteResponse, "c") == [RequestVoteResponse(3, True)]


def test_two_incarnations_of_a_name_are_two_candidates() -> None:
    """Section 2 of the design: a vote for the old one is no vote for the new one."""
    one = OneServer()
    one.receive("b", RequestVote(2, 1, 1))
    one.receive(identity("b", life=2), RequestVote(2, 1, 1))
    assert one.sent(RequestVoteResponse) == [RequestVoteResponse(2, False)]


@pytest.mark.parametrize(
    ("last_index", "last_term", "granted"),
    [(3, 3, True), (4, 3, True), (2, 3, False), (99, 2, False), (1, 4, True), (0, 0, False)],
)
def test_the_voter_denies_its_vote_if_its_own_log_is_more_up_to_date(
    last_index: int, last_term: int, granted: bool
) -> None:
    """Section 5.4.1: the later last term wins, then the longer log; equal is enough."""
    one = OneServer()
    one.follow("b", term=3, terms=[2, 3])
    one.receive("c", RequestVote(4, last_index, last_term))
    assert one.sent(RequestVoteResponse) == [RequestVoteResponse(4, granted)]


def test_a_denied_vote_does_not_put_off_the_voters_own_campaign() -> None:
    """Figure 2: only a granted vote or the current leader restarts the election timer."""
    one = OneServer()
    one.follow("b", term=3, terms=[3])
    deadline_us = one.server.next_deadline()
    one.now_us += 1_000
    one.receive("c", RequestVote(3, 1, 1))
    assert one.server.next_deadline() == deadline_us
    one.now_us = deadline_us - 1
    one.receive("c", RequestVote(3, 2, 3))
    assert one.sent(RequestVoteResponse) == [RequestVoteResponse(3, True)]
    assert one.server.next_deadline() >= deadline_us - 1 + 300_000


def test_a_candidate_wins_with_votes_of_a_majority_of_the_same_term() -> None:
    """Section 5.2: of five, two others must vote."""
    one = OneServer("abcde")
    one.campaign()
    one.receive("b", RequestVoteResponse(2, True))
    assert one.state.role is Role.CANDIDATE
    one.receive("c", RequestVoteResponse(2, False))
    one.receive("d", RequestVoteResponse(2, True))
    assert one.state.role is Role.LEADER


def test_a_vote_is_counted_once_for_each_identity() -> None:
    """A doubled datagram is not a second vote."""
    one = OneServer("abcde")
    one.campaign()
    one.receive("b", *[RequestVoteResponse(2, True)] * 5)
    assert one.state.role is Role.CANDIDATE


def test_votes_of_an_older_term_are_not_counted() -> None:
    """A vote answers one term's campaign alone."""
    one = OneServer()
    one.campaign()
    ballot = one.state.ballot
    while one.state.ballot == ballot:
        one.time_out()
    one.receive("b", RequestPreVoteResponse(2, one.state.ballot, True))
    assert (one.state.role, one.state.current_term) == (Role.CANDIDATE, 3)
    one.receive("b", RequestVoteResponse(2, True))
    one.receive("c", RequestVoteResponse(2, True))
    assert one.state.role is Role.CANDIDATE


@pytest.mark.parametrize("stranger", [identity("b", life=2), identity("z"), identity("a", life=2)])
def test_votes_of_those_who_fill_no_slot_are_not_counted(stranger: ServerId) -> None:
    """Another incarnation under a member's name is as much a stranger as an unknown name."""
    one = OneServer()
    one.pre_campaign()
    one.receive(stranger, RequestPreVoteResponse(1, one.state.ballot, True))
    assert one.state.role is Role.PRE_CANDIDATE
    one.receive("b", RequestPreVoteResponse(1, one.state.ballot, True))
    one.receive(stranger, RequestVoteResponse(2, True))
    assert one.state.role is Role.CANDIDATE


def test_a_quorum_is_a_majority_of_all_slots_vacant_or_filled() -> None:
    """Section 2 of the design: with two of four slots vacant, both who are left are no quorum."""
    one = OneServer("abCD")
    one.pre_campaign()
    one.receive("b", RequestPreVoteResponse(1, one.state.ballot, True))
    assert one.state.role is Role.PRE_CANDIDATE
    three = OneServer("abcD")
    three.win()
    assert three.state.role is Role.LEADER


def test_requests_are_sent_again_to_those_who_have_not_answered() -> None:
    """There is no other retransmission: within a ballot, at the heartbeat's pace."""
    one = OneServer()
    one.campaign()
    one.receive("b", RequestVoteResponse(2, False))
    one.time_out()
    assert one.sent(RequestVote, "b") == []
    assert one.sent(RequestVote, "c") == [RequestVote(2, 1, 1)]
    assert one.state.current_term == 2


def test_a_candidate_that_hears_the_terms_leader_returns_to_follower() -> None:
    """Section 5.2: it recognises the leader as legitimate."""
    one = OneServer()
    one.campaign()
    one.receive("b", AppendEntries(2, 1, 1, 1, 1, ()))
    assert (one.state.role, one.state.leader) == (Role.FOLLOWER, identity("b"))
    assert one.state.voted_for == one.identity


def test_a_candidate_that_hears_a_leader_of_an_older_term_stays_candidate() -> None:
    """Section 5.2: it rejects the message."""
    one = OneServer()
    one.campaign()
    one.receive("b", AppendEntries(1, 1, 1, 1, 1, ()))
    assert one.state.role is Role.CANDIDATE
    assert one.sent(AppendEntriesResponse)[0].term == 2


def test_a_single_server_elects_itself_and_commits_what_it_has_written() -> None:
    """A cluster of one needs nobody, but its own disk."""
    cluster = SimulatedCluster(["a"])
    cluster.found()
    cluster.machines["a"].persists_at_once = False
    cluster.advance(700)
    assert (cluster.role("a"), cluster.status("a").commit_index) == (Role.LEADER, 0)
    cluster.persist("a")
    assert cluster.status("a").commit_index == 2


def test_election_timeouts_are_random_within_their_bounds() -> None:
    """Section 5.2: so that split votes are rare and soon resolved."""
    one = OneServer()
    timeouts = []
    for _ in range(200):
        one.receive("b", AppendEntries(2, 1, 1, 1, 1, ()))
        one.now_us = one.server.next_deadline()
        timeouts.append(one.state.election_timeout_us)
        one.give()
    assert all(300_000 <= timeout <= 600_000 for timeout in timeouts)
    assert len(set(timeouts)) > 100


def test_a_split_vote_ends_with_the_next_timeouts() -> None:
    """Section 5.2: no leader in that term, one in a later one."""
    cluster = SimulatedCluster("abcd")
    cluster.found()
    cluster.settle()
    for name in "ab":
        cluster.time_out(name)
    for letter in cluster.take(kind=RequestPreVote):
        cluster.hand_over([letter])
    cluster.deliver(kind=RequestPreVoteResponse)
    for sender, receiver in (("a", "c"), ("b", "d")):
        cluster.deliver(sender, receiver, RequestVote)
    cluster.settle()
    assert [cluster.role(name) for name in "ab"] == [Role.CANDIDATE] * 2
    cluster.advance(3_000)
    assert 2 not in cluster.safety.leaders
    assert cluster.role(cluster.leader()) is Role.LEADER


# ---- check-quorum


def test_a_leader_steps_down_if_no_quorum_answers_within_an_election_timeout() -> None:
    """Dissertation 6.2: so that clients don't wait for one that can do nothing."""
    cluster = opened()
    cluster.cut_off("a")
    cluster.advance(599)
    assert cluster.role("a") is Role.LEADER
    cluster.advance(200)
    assert cluster.role("a") in (Role.FOLLOWER, Role.PRE_CANDIDATE)
    assert Action.QUORUM_UNHEARD in {event.action for event in cluster.machines["a"].trace}
    assert cluster.status("a").term == 2


def test_a_leader_that_a_quorum_answers_stays() -> None:
    """Half of the others may be gone."""
    cluster = opened("abcde")
    cluster.cut_off("d", "e")
    cluster.advance(5_000)
    assert cluster.leader() == "a"
    assert cluster.status("a").term == 2


def test_an_answer_says_that_the_follower_lived_when_its_round_was_sent() -> None:
    """However late it arrives, it proves nothing about now."""
    one = OneServer()
    one.lead()
    one.time_out()
    sent_us, late = one.now_us, one.answer()
    while one.now_us < sent_us + 550_000:
        one.time_out()
    assert one.state.role is Role.LEADER
    one.receive("b", late)
    assert one.state.role is Role.LEADER
    while one.now_us < sent_us + 700_000:
        one.time_out()
    assert one.state.role is not Role.LEADER


# ---- the envelope


@pytest.mark.parametrize(
    ("receiver", "cluster"),
    [
        (identity("a", life=2), CLUSTER),
        (identity("b"), CLUSTER),
        (ServerId("a", bytes(16)), CLUSTER),
        (identity("a"), None),
        (identity("a"), CLUSTER._replace(cluster_id=b"another cluster!")),
        (identity("a"), CLUSTER._replace(epoch=2)),
        (identity("a"), CLUSTER._replace(epoch_id=b"another epoch of")),
    ],
)
def test_mail_for_another_incarnation_cluster_or_epoch_is_dropped_and_counted(
    receiver: ServerId, cluster: Cluster | None
) -> None:
    """It costs one count, gets no answer and changes nothing."""
    one = OneServer()
    outputs = one.receive("b", RequestVote(9, 99, 9), receiver=receiver, cluster=cluster)
    assert outputs.misaddressed == 1
    assert outputs.messages == []
    assert (one.state.current_term, one.state.voted_for) == (1, None)
