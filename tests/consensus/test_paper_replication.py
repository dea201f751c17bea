"""Log replication, by sentences of the paper (5.3, 5.4.2, figures 2, 7 and 8)."""

from __future__ import annotations

import pytest

from raftudp.consensus.inputs import EntriesPersisted
from raftudp.consensus.messages import (
    AppendEntries,
    AppendEntriesResponse,
    RequestVote,
)
from raftudp.consensus.vocabulary import EntryKind, Role, ServerId
from tests.consensus.cluster import SimulatedCluster, opened
from tests.consensus.one_server import OneServer, command, identity


def terms(one: OneServer) -> list[int]:
    """The terms of the server's log."""
    return [entry.term for entry in one.state.log.between(1, one.state.log.last_index)]


def rejection(one: OneServer, previous: int, hint: int, hint_term: int) -> AppendEntriesResponse:
    """A follower's refusal of the latest round."""
    state = one.state
    return AppendEntriesResponse(
        state.current_term, state.round, False, 0, previous, hint, hint_term
    )


# ---- the follower


def test_a_new_leader_appends_an_entry_of_its_own_term() -> None:
    """Dissertation 6.4: without it nothing older may be committed, and no read answered."""
    one = OneServer()
    one.win()
    assert terms(one) == [1, 2]
    assert one.last.entries[-1].kind is EntryKind.NOOP
    assert one.sent(AppendEntries, "b")[0].entries == (one.last.entries[-1],)


@pytest.mark.parametrize(
    ("previous_index", "previous_term", "hint"),
    [(9, 3, (4, 3)), (4, 4, (4, 3)), (4, 2, (3, 2)), (3, 1, (1, 1)), (4, 0, (0, 0))],
)
def test_a_follower_rejects_where_it_holds_no_entry_of_that_index_and_term(
    previous_index: int, previous_term: int, hint: tuple[int, int]
) -> None:
    """Section 5.3, the consistency check; the hint is where the two logs may still agree."""
    one = OneServer()
    one.follow("b", term=5, terms=[2, 2, 3])
    before = terms(one)
    one.receive("b", AppendEntries(5, 8, previous_index, previous_term, 9, (command(5),)))
    expected = AppendEntriesResponse(5, 8, False, 0, previous_index, *hint)
    assert one.sent(AppendEntriesResponse) == [expected]
    assert terms(one) == before
    assert one.state.commit_index == 1


@pytest.mark.parametrize(
    ("log", "name"),
    [
        ([1, 1, 4, 4, 5, 5, 6, 6], "a"),
        ([1, 1, 4], "b"),
        ([1, 1, 4, 4, 5, 5, 6, 6, 6, 6], "c"),
        ([1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7], "d"),
        ([1, 1, 4, 4, 4, 4], "e"),
        ([1, 1, 2, 2, 2, 3, 3, 3, 3, 3], "f"),
    ],
)
def test_the_leader_brings_every_log_of_figure_7_into_agreement(log: list[int], name: str) -> None:
    """Section 5.3: missing entries arrive, entries that conflict are replaced."""
    leaders_log = [1, 1, 4, 4, 5, 5, 6, 6, 6, 8]
    leader, follower = OneServer(), OneServer()
    leader.follow("b", term=7, terms=leaders_log[:-1])
    follower.follow("c", term=7, terms=log)
    leader.win()
    while leader.state.current_term < 8:
        leader.time_out()
    assert terms(leader) == [1, *leaders_log]
    for _ in range(12):
        asked = leader.sent(AppendEntries, "b")
        if not asked:
            leader.time_out()
            asked = leader.sent(AppendEntries, "b")
        for message in asked:
            follower.receive("c", message)
            leader.receive("b", *follower.sent(AppendEntriesResponse))
        if terms(follower) == terms(leader):
            break
    assert terms(follower) == terms(leader), name
    progress = leader.state.progress[identity("b")]
    assert progress.match_index == leader.state.log.last_index


def test_a_follower_truncates_only_where_terms_differ() -> None:
    """Figure 2, receiver rule 3: what agrees is left alone, what follows a conflict goes."""
    one = OneServer()
    one.follow("b", term=5, terms=[2, 2, 3, 3])
    one.receive("b", AppendEntries(5, 2, 2, 2, 1, (command(2), command(4))))
    assert terms(one) == [1, 2, 2, 4]
    assert (one.last.truncate_after, one.last.first_index) == (3, 4)
    assert one.last.entries == [command(4)]


def test_a_late_or_doubled_append_entries_never_truncates() -> None:
    """A shorter message that agrees says nothing about what follows it."""
    one = OneServer()
    first = AppendEntries(2, 1, 1, 1, 1, (command(2), command(2)))
    second = AppendEntries(2, 2, 3, 2, 1, (command(2), command(2)))
    one.receive("b", first, second)
    assert len(terms(one)) == 5
    for late in (first, first._replace(entries=first.entries[:1]), first._replace(entries=())):
        one.receive("b", late)
        assert len(terms(one)) == 5
        assert (one.last.truncate_after, one.last.entries) == (None, [])


def test_a_late_append_entries_never_uncommits() -> None:
    """Its lower leader_commit doesn't move the commit index back."""
    one = OneServer()
    late = AppendEntries(2, 1, 1, 1, 1, (command(2),))
    one.receive("b", late)
    one.receive("b", AppendEntries(2, 2, 2, 2, 2, ()))
    assert one.state.commit_index == 2
    one.receive("b", late)
    assert one.state.commit_index == 2
    assert one.last.committed == []


@pytest.mark.parametrize(
    ("previous", "entries", "commit_index"), [(1, 0, 1), (1, 1, 2), (2, 1, 3), (3, 0, 3), (1, 3, 4)]
)
def test_a_follower_commits_only_up_to_what_the_message_verified(
    previous: int, entries: int, commit_index: int
) -> None:
    """Figure 2, receiver rule 5: entries beyond it may conflict with the leader's."""
    one = OneServer()
    one.follow("b", term=2, terms=[2, 2, 2, 2])
    previous_term = 1 if previous == 1 else 2
    message = AppendEntries(2, 2, previous, previous_term, 99, (command(2),) * entries)
    one.receive("b", message)
    assert one.state.commit_index == commit_index


def test_a_success_names_what_the_message_verified_and_not_the_whole_log() -> None:
    """The follower may hold more than this leader has."""
    one = OneServer()
    one.follow("b", term=3, terms=[2, 2, 2])
    one.receive("b", AppendEntries(3, 2, 1, 1, 1, (command(2),)))
    assert one.sent(AppendEntriesResponse) == [AppendEntriesResponse(3, 2, True, 2, 0, 0, 0)]


def test_two_leaders_messages_in_one_step_end_in_one_cut_and_one_append() -> None:
    """What the first leader brought and the second replaced is never asked to be written."""
    one = OneServer()
    one.follow("b", term=2, terms=[2])
    one.receive(
        "b",
        AppendEntries(2, 2, 2, 2, 1, (command(2), command(2))),
    )
    one.receive(
        "c",
        AppendEntries(3, 1, 3, 2, 1, (command(3), command(3))),
        AppendEntries(3, 1, 1, 1, 1, (command(3),)),
    )
    assert terms(one) == [1, 3]
    assert (one.last.truncate_after, one.last.first_index) == (1, 2)
    assert one.last.entries == [command(3)]


# ---- the leader


def test_a_leader_never_overwrites_or_deletes_entries_in_its_log() -> None:
    """Section 5.3, leader append-only: a message of its own term from elsewhere changes nothing."""
    one = OneServer()
    one.lead()
    one.propose(b"mine")
    before = terms(one)
    one.receive("b", AppendEntries(2, 99, 1, 1, 1, (command(1),)))
    assert (terms(one), one.state.role) == (before, Role.LEADER)
    assert one.last.messages == []


def test_an_entry_is_committed_once_a_majority_holds_it() -> None:
    """Section 5.3: of five, the leader and two others; all before it are committed with it."""
    one = OneServer("abcde")
    one.lead()
    one.propose(b"x", b"y")
    one.persist()
    last = one.state.log.last_index
    one.acknowledge("b")
    assert one.state.commit_index == last - 2
    one.acknowledge("c", match_index=last - 1)
    assert one.state.commit_index == last - 1
    one.acknowledge("d")
    assert one.state.commit_index == last
    assert [entry.data for entry in one.last.committed] == [b"y"]


def test_an_acknowledgement_is_counted_once_for_each_identity() -> None:
    """Doubled answers make no quorum."""
    one = OneServer("abcde")
    one.lead()
    one.propose(b"x")
    one.persist()
    before = one.state.commit_index
    one.receive("b", *[one.answer()] * 9)
    assert one.state.commit_index == before


@pytest.mark.parametrize("stranger", [identity("b", life=2), identity("z"), identity("a", life=2)])
def test_acknowledgements_of_those_who_fill_no_slot_are_not_counted(stranger: ServerId) -> None:
    """Another incarnation under a member's name holds nothing of what its predecessor held."""
    one = OneServer()
    one.lead()
    one.propose(b"x")
    one.persist()
    before = one.state.commit_index
    one.acknowledge(stranger)
    assert one.state.commit_index == before
    one.acknowledge("b")
    assert one.state.commit_index == before + 1


def test_answers_of_an_older_term_are_not_counted() -> None:
    """What was held in an earlier term may have been replaced since."""
    one = OneServer()
    one.lead()
    one.propose(b"x")
    one.persist()
    before = one.state.commit_index
    answer = one.answer()
    assert isinstance(answer, AppendEntriesResponse)
    one.receive("b", answer._replace(term=1))
    assert one.state.commit_index == before


def test_answers_of_rounds_that_were_never_sent_are_not_counted() -> None:
    """No follower can answer what it has not been asked."""
    one = OneServer()
    one.lead()
    one.propose(b"x")
    one.persist()
    before = one.state.commit_index
    one.acknowledge("b", round_=one.state.round + 1)
    assert one.state.commit_index == before


def test_a_leader_counts_itself_only_after_its_own_write() -> None:
    """Dissertation 10.2.1: it may send before it has written, but it must not count."""
    one = OneServer()
    one.lead()
    one.propose(b"x")
    last = one.state.log.last_index
    one.acknowledge("b")
    assert one.state.commit_index == last - 1
    one.persist()
    assert one.state.commit_index == last


def test_the_others_can_commit_without_the_leaders_own_write() -> None:
    """Dissertation 10.2.1: a majority of the others is a majority."""
    one = OneServer()
    one.lead()
    one.propose(b"x")
    one.acknowledge("b")
    one.acknowledge("c")
    assert one.state.commit_index == one.state.log.last_index


@pytest.mark.parametrize(("index", "term"), [(4, 1), (4, 3), (5, 2), (99, 2)])
def test_a_late_notice_of_a_write_that_was_cut_since_says_nothing(index: int, term: int) -> None:
    """The entry that was written is not the one that lies there now."""
    one = OneServer()
    one.lead()
    one.propose(b"x")
    assert one.state.log.last_index == 4
    one.give(EntriesPersisted(index, term))
    one.acknowledge("b")
    assert one.state.commit_index == 3


def test_only_entries_of_the_leaders_term_are_committed_by_counting() -> None:
    """Section 5.4.2: an older entry is committed by one of the own term that follows it."""
    one = OneServer()
    one.follow("b", term=2, terms=[2, 2])
    one.win()
    one.persist()
    assert terms(one) == [1, 2, 2, 3]
    one.acknowledge("b", match_index=3)
    one.acknowledge("c", match_index=3)
    assert one.state.commit_index == 1
    one.acknowledge("b", match_index=4)
    assert one.state.commit_index == 4
    assert len(one.last.committed) == 3


def figure_8() -> SimulatedCluster:
    """The paper's figure up to (c): a, elected again in term 4, has brought its entry of term 2 to
    a majority (a, b, c), and knows it; e keeps an entry of term 3. The message to c with a's entry
    of term 4 is still under way.
    """
    cluster = opened("abcde", body_bytes=860)
    # (a) a leads term 2 and replicates an entry to b alone. It fills a message.
    cluster.cut_off("a", "b")
    cluster.propose("a", b"2" * 768)
    cluster.settle()
    # (b) e is elected in term 3 by c and d, and keeps its first entry to itself.
    cluster.win("e")
    cluster.take("e")
    # (c) a is elected in term 4 by b and c.
    cluster.heal()
    cluster.cut_off("d", "e")
    cluster.win("a")
    cluster.mailbag = [m for m in cluster.mailbag if m.mail.message.term == 4]
    cluster.deliver("a", "b", AppendEntries)
    cluster.deliver("a", "c", AppendEntries)
    cluster.drop_early("c")
    cluster.deliver(kind=AppendEntriesResponse)
    older, newer = cluster.letters("a", "c", AppendEntries)
    cluster.hand_over([older])
    cluster.mailbag.remove(older)
    cluster.deliver("c", "a", AppendEntriesResponse)
    assert cluster.terms("a") == [1, 2, 2, 2, 4]
    assert cluster.terms("b") == [1, 2, 2, 2, 4]
    assert cluster.terms("c") == [1, 2, 2, 2]
    assert cluster.terms("e") == [1, 2, 2, 3]
    assert isinstance(newer.mail.message, AppendEntries)
    assert newer.mail.message.entries[0].term == 4
    return cluster


def test_figure_8_an_older_entry_on_a_majority_may_still_be_overwritten() -> None:
    """Section 5.4.2, (d): e is elected by c and d, so a must not have committed the entry."""
    cluster = figure_8()
    assert cluster.status("a").commit_index == 3
    cluster.take()
    cluster.heal()
    cluster.cut_off("a", "b")
    cluster.elect("e")
    cluster.heal()
    cluster.advance(2_000)
    assert all(cluster.terms(name) == [1, 2, 2, 3, 5] for name in "abcde")


def test_figure_8_with_an_entry_of_its_own_term_it_is_safe() -> None:
    """Section 5.4.2, (e): once term 4 is on a majority e can't win, and both are committed."""
    cluster = figure_8()
    cluster.settle()
    assert cluster.status("a").commit_index == 5
    cluster.heal()
    cluster.advance(3_000)
    assert all(cluster.terms(name)[:5] == [1, 2, 2, 2, 4] for name in "abcde")


def test_a_late_rejection_never_moves_next_index_back_past_match_index() -> None:
    """What a follower has once verified in this term it keeps."""
    one = OneServer()
    one.lead()
    one.propose(b"x", b"y")
    late = rejection(one, previous=3, hint=1, hint_term=1)
    one.acknowledge("b")
    progress = one.state.progress[identity("b")]
    matched = progress.match_index
    for answer in (late, rejection(one, previous=matched, hint=0, hint_term=0)):
        one.receive("b", answer)
        assert (progress.match_index, progress.next_index) == (matched, matched + 1)
        assert one.sent(AppendEntries) == [], "nothing is sent again for it"


def test_a_rejection_of_an_earlier_leadership_says_nothing() -> None:
    """A message that was held since the server led before, and is refused in the term that it leads
    now, does not make it send its whole log.
    """
    one = OneServer()
    one.lead()
    old_round = one.state.round
    one.receive("c", RequestVote(3, 0, 0))
    one.win()
    assert one.state.current_term == 4
    one.receive("b", AppendEntriesResponse(4, old_round, False, 0, 3, 0, 0))
    assert one.sent(AppendEntries) == []
    assert one.state.progress[identity("b")].next_index == one.state.first_index_of_term


@pytest.mark.parametrize(("hint", "hint_term", "messages"), [(1, 1, 4), (2, 1, 1), (4, 3, 1)])
def test_until_the_logs_are_known_to_agree_one_message_is_under_way_at_a_time(
    hint: int, hint_term: int, messages: int
) -> None:
    """Section 5.3: a hint that the leader's own log confirms ends the search; any other goes on."""
    one = OneServer()
    entries = tuple(command(2, bytes(700)) for _ in range(4))
    one.receive("b", AppendEntries(4, 1, 1, 1, 1, entries))
    one.win()
    assert terms(one) == [1, 2, 2, 2, 2, 5]
    one.receive("b", rejection(one, previous=5, hint=hint, hint_term=hint_term))
    assert len(one.sent(AppendEntries, "b")) == messages


def test_a_late_acknowledgement_never_moves_match_index_back() -> None:
    """Answers overtake one another."""
    one = OneServer()
    one.lead()
    one.propose(b"x", b"y")
    one.acknowledge("b")
    progress = one.state.progress[identity("b")]
    one.acknowledge("b", match_index=2)
    assert progress.match_index == one.state.log.last_index


def test_a_lost_append_entries_is_healed_by_the_next_heartbeat() -> None:
    """There is no other retransmission; the heartbeat carries the consistency check."""
    cluster = opened()
    cluster.propose("a", "x")
    cluster.take()
    cluster.beat()
    assert b"x" in cluster.commands("a")
    assert cluster.terms("a") == cluster.terms("b") == cluster.terms("c")


def test_a_later_message_shows_a_lost_one_before_the_heartbeat() -> None:
    """The follower refuses what does not fit, and its hint tells where to go on."""
    cluster = opened()
    cluster.propose("a", "x")
    cluster.take()
    cluster.propose("a", "y")
    cluster.settle()
    assert cluster.commands("a") == [b"x", b"y"]


def test_reordered_append_entries_end_in_the_same_log() -> None:
    """Each stands alone."""
    cluster = opened()
    for data in "uvwxyz":
        cluster.propose("a", data)
    held = cluster.take()
    cluster.hand_over(held[::-1])
    cluster.settle()
    assert cluster.commands("a") == [b"u", b"v", b"w", b"x", b"y", b"z"]
    assert cluster.terms("a") == cluster.terms("b") == cluster.terms("c")


def test_every_message_doubled_changes_nothing() -> None:
    """Everything is delivered again and again while it is under way."""
    cluster = opened()
    cluster.propose("a", "x")
    for _ in range(3):
        cluster.deliver(keep=True)
    cluster.settle()
    assert cluster.commands("a") == [b"x"]


def test_a_deposed_leaders_uncommitted_entry_is_overwritten() -> None:
    """Section 5.3: the new leader's log wins."""
    cluster = opened()
    cluster.cut_off("a")
    cluster.propose("a", "lost")
    cluster.settle()
    cluster.elect("b")
    cluster.propose("b", "kept")
    cluster.settle()
    cluster.heal()
    cluster.advance(1_000)
    assert cluster.terms("a") == cluster.terms("b") == cluster.terms("c")
    assert all(cluster.commands(name) == [b"kept"] for name in "bc")
    assert cluster.commands("a") == [b"kept"]


def test_votes_and_acknowledgements_wait_for_the_write() -> None:
    """Figure 2: persistent state is updated before responding."""
    cluster = opened()
    cluster.machines["b"].persists_at_once = False
    cluster.cut_off("c")
    cluster.propose("a", "x")
    cluster.settle()
    assert cluster.commands("a") == []
    cluster.persist("b")
    cluster.settle()
    assert cluster.commands("a") == [b"x"]


def test_a_server_that_leads_again_starts_counting_from_nothing() -> None:
    """What it knew of its followers belonged to another term."""
    one = OneServer()
    one.lead()
    one.receive("c", RequestVote(5, 99, 5))
    assert one.state.role is Role.FOLLOWER
    one.win()
    assert one.state.progress[identity("b")].match_index == 0
    assert one.state.persisted_index == 0
