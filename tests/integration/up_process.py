"""Runs `raftudp up` as a process and knows what became of its replicas."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

DEADLINE_S = 50.0
"""For anything that must happen; a busy machine is slow."""


def free_base_port(count: int = 3) -> int:
    """A UDP port of 127.0.0.1 that is free, as are those after it."""
    while True:
        with contextlib.ExitStack() as sockets:
            first = sockets.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            first.bind(("127.0.0.1", 0))
            base_port = int(first.getsockname()[1])
            try:
                for port in range(base_port + 1, base_port + count):
                    other = sockets.enter_context(socket.socket(type=socket.SOCK_DGRAM))
                    other.bind(("127.0.0.1", port))
            except (OSError, OverflowError):
                continue
            return base_port


def environment(directory: Path) -> dict[str, str]:
    """This environment without settings of raftudp, with files under `directory`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAFTUDP_")}
    kept.pop("COLUMNS", None)
    ours = {"TMPDIR": str(directory), "XDG_STATE_HOME": str(directory), "TERM": "xterm"}
    return {**kept, **ours, "PYTHONFAULTHANDLER": "1"}


def command(*options: str) -> list[str]:
    """`raftudp up` on free ports."""
    return [
        *(sys.executable, "-m", "raftudp", "up"),
        *("--base-port", str(free_base_port())),
        *options,
    ]


def run_up(directory: Path, *options: str, commands: str = "") -> subprocess.CompletedProcess[str]:
    """Run it to its end, with commands from a pipe; if it hangs, fail with where it does."""
    with started_up(directory, *options) as process:
        try:
            out, err = process.communicate(commands, timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # faulthandler prints where each thread is
            out, err = process.communicate(timeout=DEADLINE_S)
            pytest.fail(f"raftudp up hangs; it said:\n{out}\n{err}")
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@contextlib.contextmanager
def started_up(directory: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Start it, with pipes to and from it, in a session of its own; kill it at the end."""
    with subprocess.Popen(
        command(*options),
        env=environment(directory),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def replicas_of(parent: int) -> list[int]:
    """The processes that `parent` started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.append(int(stat.parent.name))
    return sorted(found)


def wait_until_gone(processes: list[int]) -> list[int]:
    """Wait until these processes have ended; those that have not, after the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while remaining := [process for process in processes if _is_alive(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return remaining


def _is_alive(process: int) -> bool:
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def files_left(directory: Path) -> list[str]:
    """What `raftudp up` left under its temporary directory."""
    return sorted(path.name for path in directory.glob("raftudp-*"))
