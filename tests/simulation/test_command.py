"""`raftudp simulate` as a user meets it: reports, exit statuses, replays, and what it says of a
failure.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from raftudp.simulation import command, runner
from raftudp.simulation.command import simulate
from raftudp.simulation.plants import find_plant, planted
from raftudp.simulation.settings import FAULTS
from raftudp.simulation.violations import Stuck
from raftudp.simulation.world import World

FIELDS = [
    *("seeds", "servers", "digest", "leaders", "commits", "crashes", "returns"),
    *("messages_lost", "simulated_s", "real_s", "violations"),
]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(simulate, ["--seconds", "2", "--jobs", "1", *arguments])


def test_a_clean_run_reports_what_happened() -> None:
    """Exit status 0, and figures that show that something was tried."""
    result = run("--seeds", "2", "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert list(report) == FIELDS
    assert report["seeds"] == 2
    assert report["servers"] == 3
    assert report["leaders"] >= 2
    assert report["commits"] > 0


def test_the_report_for_people_names_the_same_things() -> None:
    """One line a figure, nothing wider than a terminal."""
    result = run("--seeds", "1")
    assert result.exit_code == 0
    for words in (
        "leaders elected",
        "writes committed",
        "crashes",
        "returns",
        "digest",
        "s simulated in",
    ):
        assert words in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 80


def test_a_violation_is_told_with_its_story_and_how_to_see_it_again() -> None:
    """Exit status 1; the seed, the check, the last events, the command."""
    plant = find_plant("half-is-a-quorum")
    assert plant is not None
    with planted(plant):
        result = run("--seeds", "1", "--servers", "5")
    assert result.exit_code == 1
    assert "seed 0: violation: " in result.stderr
    assert " ** " in result.stderr
    assert "raftudp simulate --replay 0 --servers 5 --seconds 2 --trace FILE" in result.stderr


def test_exit_statuses_tell_a_stuck_run_from_a_crash_of_the_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """2 and 3; a violation outranks both."""

    def stuck(_: World) -> None:
        raise Stuck("nobody leads")

    def crash(_: World) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(runner.World, "run", stuck)
    assert run("--seeds", "1").exit_code == 2
    monkeypatch.setattr(runner.World, "run", crash)
    assert run("--seeds", "1").exit_code == 3
    assert command.describe(AssertionError("x"))[0] is runner.Failure.VIOLATION


def test_a_replay_writes_the_whole_run(tmp_path: Path) -> None:
    """Every event, from the founding on, one a line."""
    trace = tmp_path / "run.txt"
    result = run("--replay", "1", "--trace", str(trace), "--json")
    assert result.exit_code == 0
    lines = trace.read_text().splitlines()
    assert len(lines) > 500
    assert any("** Bind" in line for line in lines)
    assert any("AppendEntriesResponse" in line for line in lines)
    assert json.loads(result.stdout)["seeds"] == 1


def test_faults_are_chosen_by_name() -> None:
    """Without any fault nothing is lost; an unknown one is told with those that there are."""
    clean = json.loads(run("--seeds", "3", "--faults", "none", "--json").stdout)
    assert clean["messages_lost"] == 0
    assert clean["crashes"] == 0
    lossy = json.loads(run("--seeds", "3", "--faults", "loss,crashes", "--json").stdout)
    assert lossy["messages_lost"] > 0
    unknown = run("--faults", "rain")
    assert unknown.exit_code == 2
    assert all(fault in unknown.stderr.replace("\n", " ") for fault in FAULTS)


def test_wrong_usage_says_what_to_do() -> None:
    """Exit status 2, one sentence."""
    assert run("--servers", "4").exit_code == 2
    assert "--replay" in run("--trace", "x").stderr
    unknown = run("--plant", "no-such-bug")
    assert unknown.exit_code == 2
    assert "vote-not-kept" in unknown.stderr


def test_a_planted_bug_is_caught_and_named() -> None:
    """As section 9 of the design words it."""
    result = run("--plant", "half-is-a-quorum")
    assert result.exit_code == 0
    assert result.stdout == "half-is-a-quorum caught by election at seed 0 after 1 seeds\n"
