"""Who is taken for the leader, and when that is given up."""

from __future__ import annotations

from itertools import count
from random import Random

from raftudp.client.leadership import ASKED_AT_A_TIME, LeaderSearch
from raftudp.client.roster import Roster, Server, Source
from raftudp.client.timers import Timers
from raftudp.consensus.vocabulary import ServerId
from raftudp.wire.client_messages import Hello, HelloAnswer, LeaderHint, RefusalReason
from tests.client.world import CLUSTER, NOBODY, SECOND


class Search:
    """A search among five servers, each of which is answered for by the test."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Hello]] = []
        self.changes = 0
        self.timers = Timers()
        self.roster = Roster(tuple(f"host-{number}" for number in range(5)))
        self.search = LeaderSearch(
            roster=self.roster,
            timers=self.timers,
            random=Random(1),
            numbers=count(1),
            send_hello=lambda server, hello, _: self.asked.append((server, hello)),
            is_wanted=lambda: True,
            on_leader=self.change,
        )

    def change(self) -> None:
        self.changes += 1

    def server(self, number: int) -> Server:
        return self.roster.servers[f"host-{number}"]

    def answer(self, number: int, leader: int | None) -> None:
        """Let a server answer the latest Hello that it got."""
        address = f"host-{number}"
        request = next(h.request for server, h in reversed(self.asked) if server == address)
        name = f"ss-{number}"
        source = Source(address, ServerId(name, bytes(16)), name.encode().ljust(16), CLUSTER)
        hint = NOBODY if leader is None else LeaderHint(f"ss-{leader}", f"host-{leader}")
        server = self.server(number)
        assert self.roster.admit(source, server, SECOND)
        self.search.receive(
            server, source, HelloAnswer(request, source.process, hint, True), SECOND
        )

    def started(self) -> Search:
        self.search.want(SECOND)
        return self


def test_a_round_asks_a_few_and_the_next_one_others() -> None:
    """Each server has its turn."""
    search = Search().started()
    assert len(search.asked) == ASKED_AT_A_TIME
    search.timers.fire(2 * SECOND)
    assert {server for server, _ in search.asked} == set(search.roster.servers)


def test_who_says_that_it_leads_is_believed() -> None:
    """And everybody who waits is told."""
    search = Search().started()
    search.answer(1, leader=1)
    assert search.search.open_leader is search.server(1)
    assert search.changes == 1


def test_a_second_claim_counts_only_once_the_first_is_doubted() -> None:
    """Of two that say that they lead, one was deposed and may not know it."""
    search = Search().started()
    search.answer(0, leader=0)
    search.answer(1, leader=1)
    assert search.search.leader is search.server(0)
    search.search.doubt(search.server(0), SECOND)
    search.timers.fire(3 * SECOND)
    search.answer(1, leader=1)
    assert search.search.leader is search.server(1)


def test_a_hint_leads_to_a_question() -> None:
    """The one that is named must say so itself, if nothing is known of it."""
    search = Search().started()
    search.answer(0, leader=4)
    assert search.search.leader is None
    assert search.asked[-1][0] == "host-4"
    search.answer(4, leader=4)
    assert search.search.leader is search.server(4)


def test_a_leader_that_names_another_is_left() -> None:
    """Its refusal says who leads now."""
    search = Search().started()
    search.answer(1, leader=1)
    search.search.refused(
        search.server(1), RefusalReason.NOT_LEADER, LeaderHint("ss-3", "host-3"), SECOND
    )
    assert search.search.leader is None
    assert search.asked[-1][0] == "host-3"


def test_a_refusal_by_a_server_that_was_left_changes_nothing() -> None:
    """It comes late."""
    search = Search().started()
    search.answer(0, leader=0)
    search.search.refused(search.server(1), RefusalReason.NOT_LEADER, NOBODY, SECOND)
    assert search.search.leader is search.server(0)


def test_nobody_is_asked_once_a_leader_is_known() -> None:
    """The rounds end."""
    search = Search().started()
    search.answer(0, leader=0)
    asked = len(search.asked)
    search.timers.fire(10 * SECOND)
    assert len(search.asked) == asked
    assert search.timers.next_us() is None
