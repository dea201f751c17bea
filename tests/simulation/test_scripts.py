"""Scripted schedules: each passes with the rules as they are, and shows the bugs it is about."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from raftudp.simulation import scripts
from raftudp.simulation.plants import Caught, find_plant, run_plant

Script = Callable[[int], None]

ABOUT: dict[Script, tuple[str, ...]] = {
    scripts.a_vote_is_for_a_whole_term: ("vote-not-kept", "vote-reset-within-term"),
    scripts.a_vote_that_arrives_twice: ("vote-counted-twice",),
    scripts.votes_of_a_term_that_is_over: ("vote-of-older-term-counted",),
    scripts.answers_from_a_term_ahead: ("higher-vote-taken-for-granted",),
    scripts.a_long_log_is_no_late_one: ("longer-log-gets-votes", "outdated-log-gets-votes"),
    scripts.an_entry_of_an_older_term: (
        "prior-term-commit",
        "consistency-unchecked",
        "conflict-kept",
    ),
    scripts.a_tail_that_nobody_verified: ("match-index-from-whole-log", "commit-beyond-verified"),
    scripts.a_message_that_arrives_again: ("truncation-on-any-overlap",),
    scripts.a_rejection_that_arrives_again: ("late-rejection-rewinds",),
    scripts.half_a_command: ("parts-joined-across-terms",),
    scripts.a_read_of_a_leader_that_was: (
        "read-acknowledged-by-another-round",
        "read-unconfirmed",
        "lease-on-any-clock",
        "higher-term-unheeded",
    ),
    scripts.a_read_before_the_first_commit: ("read-before-own-term-commit",),
    scripts.a_vote_from_beyond_the_grave: ("counted-by-name",),
    scripts.the_blank_one_helps_to_elect: ("counted-by-name",),
}


def title(script: Script) -> str:
    return script.__name__


@pytest.mark.parametrize("script", ABOUT, ids=title)
@pytest.mark.parametrize("seed", range(10))
def test_the_rules_stand_the_schedule(script: Script, seed: int) -> None:
    """Nothing unsafe happens, and the story ends as it says, whatever the seed."""
    script(seed)


@pytest.mark.parametrize(
    ("script", "name"),
    [(script, name) for script, names in ABOUT.items() for name in names],
    ids=lambda one: one if isinstance(one, str) else title(one),
)
def test_the_schedule_shows_the_shortcut(script: Script, name: str) -> None:
    """With the shortcut planted, the check meant for it stops the schedule at every seed."""
    plant = find_plant(name)
    assert plant is not None
    for seed in range(3):
        assert isinstance(run_plant(plant._replace(script=script), seed, 1), Caught)


def test_every_script_is_about_something() -> None:
    """No schedule is left out of the table above."""
    stories = {
        one
        for name, one in vars(scripts).items()
        if callable(one) and one.__module__ == scripts.__name__ and not name.startswith("_")
    }
    assert stories == set(ABOUT)
