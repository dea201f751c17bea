"""Schedules that break the tempting shortcuts, as stories: each passes with the rules as they are,
whatever the seed, and ends in a Violation where a shortcut is planted.

Random runs meet some of them in one of many thousand seeds, or never. Servers are A, B, C, ...;
the first leads term 2 when a story begins, and entries 1 to 3 (the founding, the leader's first
one, the opening) are committed everywhere.
"""

from __future__ import annotations

from raftudp.encoding.records import encode_command
from raftudp.simulation.stage import APPENDS, VOTES, Stage
from raftudp.store.commands import Command, OpenSession, Put

ENTRY_BYTES = 768
"""A command of this size leaves no room for another in the same message."""


# ---- votes


def a_vote_is_for_a_whole_term(seed: int) -> None:
    """B and E campaign in term 3. D votes for B, hears nobody, and thinks of campaigning itself;
    then E's request reaches it.
    """
    stage = Stage("ABCDE", seed)
    stage.campaign("B", voters="CD")
    stage.campaign("E", voters="CD")
    stage.deliver("B", "D", VOTES)
    stage.campaign("D", voters="")
    stage.deliver("E", "D", VOTES)
    stage.deliver("D", "BE", VOTES)
    assert not stage.leads("B") and not stage.leads("E")


def a_vote_that_arrives_twice(seed: int) -> None:
    """B campaigns among five. C's vote arrives, and again."""
    stage = Stage("ABCDE", seed)
    stage.campaign("B", voters="CD")
    stage.deliver("B", "C", VOTES)
    vote = stage.take("C", "B", VOTES)
    stage.hand_over([*vote, *vote])
    assert not stage.leads("B")


def votes_of_a_term_that_is_over(seed: int) -> None:
    """C and D vote for B in term 3, but B has gone on to term 4 when their votes arrive."""
    stage = Stage("ABCDE", seed)
    stage.campaign("B", voters="CD")
    stage.deliver("B", "CD", VOTES)
    votes = stage.take("CD", "B", VOTES)
    stage.campaign("B", voters="CD")
    stage.hand_over(votes)
    assert not stage.leads("B")


def answers_from_a_term_ahead(seed: int) -> None:
    """B campaigns in term 3; C and D are in term 4, for D itself campaigns, when they answer."""
    stage = Stage("ABCDE", seed)
    stage.campaign("B", voters="CD")
    requests = stage.take("B", "CD", VOTES)
    stage.hand_over([mail for mail in requests if mail.receiver.name == "D"])
    stage.campaign("D", voters="CE")
    stage.deliver("D", "C", VOTES)
    stage.lose("CD", "B")
    stage.hand_over(requests)
    stage.deliver("CD", "B", VOTES)
    assert not stage.leads("B")


def a_long_log_is_no_late_one(seed: int) -> None:
    """A piles up entries that nobody gets. B leads term 3 and commits with C. A, whose log is the
    longest, campaigns.
    """
    stage = Stage("ABC", seed)
    for _ in range(5):
        stage.propose("A")
    stage.lose()
    stage.campaign("B", voters="C")
    stage.deliver("B", "AC", VOTES)
    stage.deliver("C", "B", VOTES)
    stage.settle(among="BC")
    assert stage.leads("B") and stage.committed("B") == 4
    stage.lose()
    stage.elect("A", voters="C")
    assert not stage.leads("A")


# ---- logs


def an_entry_of_an_older_term(seed: int) -> None:
    """Figure 8 of the paper. A leaves X on A and B alone; E leads term 3 and leaves an entry on
    itself alone. A leads term 4 and brings X, though not yet its own first entry, to a quorum.
    E may still lead: its log ends with the later term.
    """
    stage = Stage("ABCDE", seed)
    for _ in range(2):
        stage.propose("A", b"X" * ENTRY_BYTES)
    stage.deliver("A", "B", APPENDS)
    stage.lose()
    stage.campaign("E", voters="CD")
    stage.deliver("E", "ACD", VOTES)
    stage.deliver("CD", "E", VOTES)
    assert stage.leads("E")
    stage.lose()
    stage.elect("A", voters="BC")
    assert stage.leads("A")
    stage.deliver("A", "BC", APPENDS)
    stage.deliver("BC", "A", APPENDS)
    stage.hand_over(stage.take("A", "C", APPENDS)[:1])
    stage.deliver("C", "A", APPENDS)
    assert stage.committed("A") == 3
    stage.lose()
    stage.beat("A")
    stage.deliver("A", "E", APPENDS)
    stage.lose()
    stage.elect("E", voters="CD")
    assert stage.leads("E")
    stage.settle(among="CDE")
    assert stage.committed("E") > 3


def a_tail_that_nobody_verified(seed: int) -> None:
    """B holds X and Y of A's term 2. C leads term 3 and commits its first entry without B; a round
    for a read, without entries, agrees with B where the logs still agree.
    """
    stage = Stage("ABCDE", seed)
    stage.propose("A", b"X")
    stage.propose("A", b"Y")
    stage.deliver("A", "B", APPENDS)
    stage.lose()
    stage.elect("C", voters="DE")
    stage.take("C", "B", APPENDS)
    stage.settle(among="CDE")
    assert stage.committed("C") == 4
    stage.propose("C", b"Z")
    requests = stage.take("C", "D", APPENDS)
    stage.lose()
    stage.read("C")
    stage.deliver("C", "B", APPENDS)
    stage.deliver("B", "C", APPENDS)
    stage.hand_over(requests)
    stage.deliver("D", "C", APPENDS)
    assert stage.committed("B") == 3 and stage.committed("C") == 4


def a_message_that_arrives_again(seed: int) -> None:
    """A sends X, then Y, and B acknowledges both, so A commits them. The message with X arrives at
    B once more; then B leads.
    """
    stage = Stage("ABC", seed)
    stage.propose("A", b"X")
    first = stage.take("A", "B", APPENDS)
    stage.propose("A", b"Y")
    stage.hand_over(first)
    stage.deliver("A", "B", APPENDS)
    stage.deliver("B", "A", APPENDS)
    assert stage.committed("A") == 5
    stage.lose()
    stage.hand_over(first)
    stage.elect("B", voters="C")
    assert stage.leads("B")


def a_rejection_that_arrives_again(seed: int) -> None:
    """X is lost on its way to B, so B rejects Y, and A sends both again. After B has acknowledged
    them the rejection arrives once more.
    """
    stage = Stage("ABC", seed)
    stage.propose("A", b"X")
    stage.lose()
    stage.propose("A", b"Y")
    stage.deliver("A", "B", APPENDS)
    rejection = stage.take("B", "A", APPENDS)
    stage.hand_over(rejection)
    stage.settle(among="AB")
    assert stage.committed("A") == 5
    stage.hand_over(rejection)
    stage.settle()


def half_a_command(seed: int) -> None:
    """A's large command is cut short: B gets its first part, leads term 3, and runs a small one."""
    stage = Stage("ABC", seed)
    client = bytes(16)
    stage.propose("A", encode_command(Command(client, 0, 0, 0, OpenSession())))
    stage.settle()
    stage.beat("A")
    stage.settle()
    large, small = Put(b"large", b"." * 3 * ENTRY_BYTES), Put(b"small", b"value")
    stage.propose("A", encode_command(Command(client, 4, 1, 1, large)))
    stage.hand_over(stage.take("A", "B", APPENDS)[:1])
    stage.lose()
    stage.elect("B", voters="C")
    stage.settle(among="BC")
    stage.propose("B", encode_command(Command(client, 4, 2, 1, small)))
    stage.settle(among="BC")
    stage.beat("B")
    stage.settle(among="BC")
    stage.compare_stores()


# ---- reads


def a_read_of_a_leader_that_was(seed: int) -> None:
    """A has just heard B and C; one more answer of each is under way. B leads term 3 and commits
    with C. A is asked for a read; the late answers arrive, then one from term 3.
    """
    stage = Stage("ABC", seed)
    stage.beat("A")
    stage.settle()
    stage.beat("A")
    stage.deliver("A", "BC", APPENDS)
    late = stage.take("BC", "A", APPENDS)
    stage.elect("B", voters="C")
    stage.settle(among="BC")
    assert stage.committed("B") == 4
    read = stage.read("A")
    stage.hand_over(late)
    assert read not in stage.actors["A"].granted
    stage.deliver("A", "C", APPENDS)
    stage.deliver("C", "A", APPENDS)
    assert stage.actors["A"].refused and not stage.leads("A")


def a_read_before_the_first_commit(seed: int) -> None:
    """A commits X with B. B, not yet told of it, leads term 3 and is asked for a read; C, which
    lacks X, answers the round and acknowledges no entry.
    """
    stage = Stage("ABC", seed)
    stage.propose("A", b"X")
    stage.deliver("A", "B", APPENDS)
    stage.deliver("B", "A", APPENDS)
    assert stage.committed("A") == 4
    stage.lose()
    stage.elect("B", voters="C")
    assert stage.committed("B") == 3
    read = stage.read("B")
    stage.deliver("B", "C", APPENDS)
    stage.deliver("C", "B", APPENDS)
    assert read not in stage.actors["B"].granted
    stage.settle(among="BC")
    assert stage.actors["B"].granted[read] >= 4


# ---- names and incarnations


def a_vote_from_beyond_the_grave(seed: int) -> None:
    """The first schedule of section 2, while nobody can return. A leads term 4 and has not heard
    B. C asks for term 5, B grants, the vote is held. B crashes and comes back blank; A brings it X.
    The vote arrives.
    """
    stage = Stage("ABC", seed)
    stage.elect("B", voters="C")
    stage.settle()
    stage.beat("B")
    stage.settle()
    stage.elect("A", voters="C")
    stage.settle(among="AC")
    stage.deliver("A", "B")
    stage.lose()
    assert stage.leads("A") and stage.committed("A") == 5
    stage.campaign("C", voters="B")
    stage.deliver("C", "B", VOTES)
    vote = stage.take("B", "C", VOTES)
    stage.crash("B")
    stage.lose()
    _come_back(stage, "B", hears="A")
    stage.propose("A", b"X")
    for _ in range(3):
        stage.beat("A")
        stage.settle(among="AB")
    assert stage.committed("A") == 5
    stage.hand_over(vote)
    assert stage.leads("C")


def the_blank_one_helps_to_elect(seed: int) -> None:
    """The fifth schedule of section 2. A and C hold X; C's acknowledgement is delayed past its
    crash. C comes back blank, and B, without X, campaigns.
    """
    stage = Stage("ABC", seed)
    stage.propose("A", b"X")
    stage.deliver("A", "C", APPENDS)
    acknowledgement = stage.take("C", "A", APPENDS)
    stage.crash("C")
    stage.lose()
    _come_back(stage, "C", hears="B")
    stage.elect("B", voters="C")
    assert not stage.leads("B")
    stage.hand_over(acknowledgement)
    assert stage.committed("A") == 4


def _come_back(stage: Stage, name: str, hears: str) -> None:
    """A blank replica of that name greets, and one server answers."""
    stage.start(name)
    stage.step(name)
    stage.deliver(name, hears)
    stage.deliver(hears, name)
    stage.lose()
