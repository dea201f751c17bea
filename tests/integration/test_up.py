"""`raftudp up`: from nothing to a cluster and back to nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.integration.up_process import (
    DEADLINE_S,
    command,
    environment,
    files_left,
    replicas_of,
    run_up,
    started_up,
    wait_until_gone,
)


def wait_for_founding(process: subprocess.Popen[str]) -> list[int]:
    """Read on until the cluster is founded; the replicas' processes."""
    assert process.stderr is not None
    for line in process.stderr:
        if "as long as this runs" in line:
            break
    replicas = replicas_of(process.pid)
    assert len(replicas) == 3
    return replicas


def run_one_command(process: subprocess.Popen[str]) -> None:
    """Have the shell read a command and wait for the next."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("submit read a\n")
    process.stdin.flush()
    assert process.stdout.readline() == "a is absent\n"


def test_a_pipeline(tmp_path: Path) -> None:
    """What the README shows: write, read, status, and exit status 0."""
    done = run_up(tmp_path, commands="submit write a 1\nsubmit read a\nstatus\nexit\n")
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert lines[0].startswith("done: a = 1  (revision ")
    assert lines[1].startswith("a = 1  (revision ")
    assert lines[2].split() == [
        "NAME",
        "ROLE",
        "TERM",
        "COMMIT",
        "APPLIED",
        "LAG",
        "LEADER",
        "STATE",
        "UP",
    ]
    assert sorted(line.split()[1] for line in lines[3:]) == ["follower", "follower", "leader"]
    assert "is founded" in done.stderr
    assert files_left(tmp_path) == []


def test_commands_of_the_command_line_as_json(tmp_path: Path) -> None:
    """-c and --json work as in raftudp-shell, and the exit status tells of a failure."""
    first, second = ("-c", "submit write a 1"), ("-c", "submit compare a 2 3")
    done = run_up(tmp_path, "--json", *first, *second, "-c", "status")
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert [found["outcome"] for found in objects[:2]] == ["done", "not done"]
    assert [found["name"] for found in objects[2:]] == ["ss-0", "ss-1", "ss-2"]


def test_a_stopped_replica_is_started_blank(tmp_path: Path) -> None:
    """`stop` ends a real process, the others go on, and `start` brings it back without memory."""
    commands = "submit write a 1\nstop ss-0\nstatus ss-0\nstart ss-0\nsubmit read a\nstop ss-0\n"
    done = run_up(tmp_path, "--json", commands=commands)
    written, stopped, status, started, read, stopped_again = map(
        json.loads, done.stdout.splitlines()
    )
    assert stopped == stopped_again == {"operation": "stop", "name": "ss-0", "outcome": "done"}
    assert list(status) == ["name", "error"]
    assert started["outcome"] == "done"
    assert (read["value"], read["revision"]) == ("1", written["revision"])
    assert done.returncode == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("options", [(), ("--no-shell",)])
def test_a_signal_ends_everything(
    tmp_path: Path, number: signal.Signals, options: tuple[str, ...]
) -> None:
    """Ctrl-C, SIGTERM and SIGHUP leave no process and no file, and are no failure."""
    with started_up(tmp_path, *options) as process:
        replicas = wait_for_founding(process)
        if not options:
            run_one_command(process)
        process.send_signal(number)
        assert process.wait(DEADLINE_S) == 0
    assert wait_until_gone(replicas) == []
    assert files_left(tmp_path) == []


def test_end_of_input_ends_everything(tmp_path: Path) -> None:
    """So does a closed pipe."""
    with started_up(tmp_path) as process:
        replicas = wait_for_founding(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(DEADLINE_S) == 0
    assert wait_until_gone(replicas) == []
    assert files_left(tmp_path) == []


def test_kill_9_leaves_no_replica(tmp_path: Path) -> None:
    """Not even a suspended replica outlives the process that started it."""
    with started_up(tmp_path, "--no-shell") as process:
        replicas = wait_for_founding(process)
        os.kill(replicas[0], signal.SIGSTOP)
        process.kill()
        process.wait(DEADLINE_S)
    assert wait_until_gone(replicas) == []


def test_a_replica_that_died_is_told_and_its_log_kept(tmp_path: Path) -> None:
    """After a crash somebody wants to read the log."""
    with started_up(tmp_path) as process:
        replicas = wait_for_founding(process)
        os.kill(replicas[0], signal.SIGKILL)
        assert wait_until_gone(replicas[:1]) == []
        out, err = process.communicate("submit write a 1\n", timeout=DEADLINE_S)
    assert process.returncode == 0, err
    assert out.startswith("done: ")
    assert "had ended with status -9" in err
    assert len(files_left(tmp_path)) == 1


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    """The error says which port and which option, and nothing is left running or lying about."""
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        done = run_up(tmp_path, "--base-port", str(port), "--replicas", "1")
    assert done.returncode == 2
    assert f"UDP port {port} of 127.0.0.1" in done.stderr
    assert "--base-port" in done.stderr
    assert files_left(tmp_path) == []


def test_settings_of_the_environment_do_not_reach_the_replicas(tmp_path: Path) -> None:
    """A user's RAFTUDP_HTTP, for one, would be the same port for all."""
    done = subprocess.run(
        command("--json"),
        input="submit read a\n",
        env={**environment(tmp_path), "RAFTUDP_HTTP": "127.0.0.1:1", "RAFTUDP_NAME": "nobody"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["found"] is False
