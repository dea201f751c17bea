"""A whole cluster on this machine: replica processes on 127.0.0.1, started and ended together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from raftudp.errors import ConfigurationError, RaftudpError
from raftudp.runtime.leash import PARENT_VARIABLE
from raftudp.wire.envelope import KeyRing
from raftudp.wire.keys import SHARED_KEY_BYTES

HOST = "127.0.0.1"
STOP_TIMEOUT_S = 0.5
"""How long a replica that stops waits for the others; at the end all stop, and none remains."""
END_TIMEOUT_S = 3.0
"""How long replicas may take to end after SIGTERM, before SIGKILL."""
ANSWER_TIMEOUT_S = 20.0
"""From a replica's start to its first answer; an interpreter on a busy machine is slow."""
_LOG_LINES_SHOWN = 5


class LocalReplica(NamedTuple):
    """One replica's place."""

    name: str
    port: int
    log_file: Path

    @property
    def address(self) -> str:
        """Where it listens, `host:port`."""
        return f"{HOST}:{self.port}"


class LocalCluster:
    """Replicas `ss-0`, `ss-1`, ... at `base_port` and after it; their files in `directory`."""

    def __init__(self, directory: Path, *, replicas: int, base_port: int) -> None:
        """Raise `ConfigurationError` if the ports would be beyond the last one."""
        if base_port + replicas - 1 > 65_535:
            raise ConfigurationError(
                f"--base-port {base_port} leaves no room for {replicas} ports below 65536; "
                "choose a lower one"
            )
        self.directory = directory
        self.key_file = directory / "key"
        self.marker_file = directory / "marker"
        self.replicas = tuple(
            LocalReplica(f"ss-{number}", base_port + number, directory / f"ss-{number}.log")
            for number in range(replicas)
        )
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def addresses(self) -> dict[str, str]:
        """All replicas' `host:port`, by name."""
        return {replica.name: replica.address for replica in self.replicas}

    def prepare(self) -> None:
        """Make the shared key; raise `ConfigurationError` if a port is in use."""
        for replica in self.replicas:
            _require_free_port(replica.port)
        descriptor = os.open(self.key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(KeyRing.generate_text(os.urandom(SHARED_KEY_BYTES)))

    def start_all(self) -> None:
        """Start every replica's process."""
        for replica in self.replicas:
            self.start(replica.name)

    def start(self, name: str) -> None:
        """Start the process of the replica `name`; raise `RaftudpError` if it runs already."""
        replica = next(replica for replica in self.replicas if replica.name == name)
        if self.is_running(name):
            raise RaftudpError(f"{name} runs already, as process {self._processes[name].pid}")
        with replica.log_file.open("ab") as log:
            self._processes[name] = subprocess.Popen(  # noqa: S603 (our own program)
                self._command(replica),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                start_new_session=True,  # Ctrl-C in the terminal is for the shell alone
            )

    def _command(self, replica: LocalReplica) -> list[str]:
        servers = ",".join(f"{name}={address}" for name, address in self.addresses.items())
        return [
            *(sys.executable, "-m", "raftudp", "serve"),
            *("--name", replica.name),
            *("--listen", replica.address),
            *("--servers", servers),
            *("--key-file", str(self.key_file)),
            *("--stop-timeout", str(STOP_TIMEOUT_S)),
        ]

    def is_running(self, name: str) -> bool:
        """Whether the replica `name` has a process now."""
        process = self._processes.get(name)
        return process is not None and process.poll() is None

    def wait_until_ended(self, name: str, timeout_s: float) -> bool:
        """Wait for the process of `name` to end; False if it runs on."""
        try:
            self._processes[name].wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def wait_until_answering(self, silent: Callable[[], list[str]]) -> None:
        """Wait until `silent` returns no names any more.

        Raises `RaftudpError` if a replica ends or takes too long.
        """
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while names := silent():
            for replica in self.replicas:
                if not self.is_running(replica.name):
                    raise RaftudpError(f"{replica.name} ended at its start{_last_lines(replica)}")
            if time.monotonic() > deadline:
                raise RaftudpError(
                    f"no answer from {', '.join(names)} within {ANSWER_TIMEOUT_S:.0f} s; "
                    f"see the logs in {self.directory}"
                )
            time.sleep(0.02)

    def ended(self) -> set[str]:
        """The replicas whose processes were started and have ended."""
        return {name for name, process in self._processes.items() if process.poll() is not None}

    def failures(self) -> dict[str, int]:
        """The exit statuses of processes that ended with an error (below zero: by that signal)."""
        return {
            name: process.returncode
            for name, process in self._processes.items()
            if process.poll() not in {None, 0}
        }

    def end(self) -> None:
        """End every process, by SIGTERM, and after `END_TIMEOUT_S` by SIGKILL."""
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + END_TIMEOUT_S
        for process in self._processes.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _require_free_port(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ConfigurationError(
                f"UDP port {port} of {HOST} can't be used ({error.strerror}); "
                "is another `raftudp up` running? Choose other ports with --base-port"
            ) from None


def _environment() -> dict[str, str]:
    """This process's environment without settings of raftudp: each replica is given its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAFTUDP_")}
    return {**kept, PARENT_VARIABLE: str(os.getpid())}


def _last_lines(replica: LocalReplica) -> str:
    """What the replica wrote last, for an error's text."""
    text = replica.log_file.read_text(encoding="utf-8", errors="backslashreplace")
    lines = text.splitlines()[-_LOG_LINES_SHOWN:]
    return "".join(f"\n  {line}" for line in lines) + f"\n  (all of its log: {replica.log_file})"
