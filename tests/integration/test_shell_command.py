"""`raftudp-shell` and `raftudp init` as programs, on a cluster that runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.integration.up_process import DEADLINE_S, environment, started_up


class Place(NamedTuple):
    """Where a cluster is."""

    addresses: dict[str, str]
    """By name."""
    directory: Path

    @property
    def named(self) -> str:
        """All servers as NAME=HOST:PORT,..."""
        return ",".join(f"{name}={address}" for name, address in self.addresses.items())

    @property
    def settings(self) -> dict[str, str]:
        """What a client needs to know, as environment."""
        key_file = str(self.directory / "key")
        return {"RAFTUDP_SERVERS": ",".join(self.addresses.values()), "RAFTUDP_KEY_FILE": key_file}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A cluster of three, for all tests here: none of them harms it."""
    directory = tmp_path_factory.mktemp("up")
    with started_up(directory, "--no-shell") as process:
        assert process.stderr is not None
        founded, files = process.stderr.readline(), process.stderr.readline()
        replicas = founded.strip().split(": ")[1].split(", ")
        addresses = dict(replica.split(" at ") for replica in replicas)
        yield Place(addresses, Path(files.strip().split(": ")[1]))
        process.terminate()
        process.wait(DEADLINE_S)


def run_program(
    place: Place, *arguments: str, commands: str = "", **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run a module of ours with the place in the environment, and `settings` beside it."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        input=commands,
        env={**environment(place.directory), **place.settings, **settings},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def test_servers_and_key_come_from_the_environment(place: Place) -> None:
    """Nothing but the command needs to be given, and names are learned from the servers."""
    done = run_program(place, "shell", "--json", "-c", "servers", "-c", "status ss-1")
    *servers, status = map(json.loads, done.stdout.splitlines())
    assert done.returncode == 0, done.stderr
    assert [server["name"] for server in servers] == list(place.addresses)
    assert status["name"] == "ss-1"


def test_the_command_line_is_read_first(place: Place) -> None:
    """--servers counts more than RAFTUDP_SERVERS, and may give names."""
    done = run_program(
        place,
        *("shell", "--servers", place.named),
        commands="submit write k v\nsubmit read k\n",
        RAFTUDP_SERVERS="127.0.0.1:1",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].startswith("k = v  (revision ")


def test_a_leader_transfer(place: Place) -> None:
    """The one named leads then."""
    done = run_program(place, "shell", "--json", "-c", "leader")
    leader = json.loads(done.stdout)["name"]
    other = next(name for name in place.addresses if name != leader)
    done = run_program(place, "shell", "--json", "-c", f"lea tr {other}", "-c", "leader")
    transferred, now = map(json.loads, done.stdout.splitlines())
    assert transferred == {"operation": "leader transfer", "name": other, "outcome": "done"}
    assert now["name"] == other


def test_a_wrong_key_is_told(place: Place, tmp_path: Path) -> None:
    """Nobody answers then, and the error says that the key may be why."""
    key_file = tmp_path / "key"
    key_file.write_text("ab" * 32 + "\n")
    done = run_program(
        place, "shell", "--timeout", "1", "-c", "submit read k", RAFTUDP_KEY_FILE=str(key_file)
    )
    assert done.returncode == 1
    assert "key" in done.stderr


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--servers", "nonsense"), "is no HOST:PORT"),
        (("--servers", ""), "--servers"),
        (("--timeout", "never"), "--timeout"),
        (("--key-file", "/nonexistent"), "/nonexistent"),
        (("--nonsense",), "--nonsense"),
    ],
)
def test_wrong_settings_are_named(place: Place, options: tuple[str, ...], text: str) -> None:
    """Exit status 2, and a line that says what is wrong."""
    done = run_program(place, "shell", *options, "-c", "status")
    assert done.returncode == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_init_again_says_which_cluster_there_is(place: Place) -> None:
    """The marker of a founded cluster keeps anyone from founding another, and that is success."""
    marker = place.directory / "marker"
    again = ("raftudp", "init", "--servers", place.named, "--marker", str(marker))
    cluster_id = json.loads(marker.read_text())["cluster_id"]
    done = run_program(place, *again)
    assert (done.returncode, done.stdout) == (0, f"cluster {cluster_id} was already founded\n")
    done = run_program(place, *again, "--json")
    assert json.loads(done.stdout) == {"cluster_id": cluster_id, "epoch": 1, "is_new": False}


def test_init_without_the_marker_founds_nothing(place: Place, tmp_path: Path) -> None:
    """Servers that belong to a cluster are never founded anew."""
    marker = tmp_path / "marker"
    done = run_program(place, "raftudp", "init", "--servers", place.named, "--marker", str(marker))
    assert done.returncode == 1
    assert "belongs to the cluster" in done.stderr
    assert not marker.exists()
