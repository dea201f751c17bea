"""Clusters of real replica processes for tests: started on free ports, founded, killed, and always
cleaned up.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from raftudp import Client
from raftudp.client.founding import found
from raftudp.client.marker import FileMarker
from tests.integration.relay import RelayConfiguration, Weather

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE_S = 30.0
"""For what must happen at last; machines are slow at times."""


def free_ports(count: int, kind: socket.SocketKind = socket.SOCK_DGRAM) -> list[int]:
    """Ports of loopback that nobody uses now, UDP if not said otherwise."""
    sockets = [socket.socket(socket.AF_INET, kind) for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class RealCluster:
    """Replicas `ss-0`, ...

    as processes of `raftudp serve`; with `weather`, all mail passes a relay.
    """

    def __init__(
        self,
        directory: Path,
        replicas: int,
        weather: Weather | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self._options = options
        self.names = [f"ss-{i}" for i in range(replicas)]
        ports = free_ports(2 * replicas)
        self._ports = dict(zip(self.names, ports, strict=False))
        public = ports[replicas:] if weather is not None else ports
        self.addresses = {
            name: f"127.0.0.1:{port}" for name, port in zip(self.names, public, strict=False)
        }
        self.http = dict(zip(self.names, free_ports(replicas, socket.SOCK_STREAM), strict=True))
        """Where each replica serves its pages, on loopback."""
        self.key_file = directory / "key"
        self.key_file.write_text(secrets.token_hex(32) + "\n")
        self.key_file.chmod(0o600)
        self.marker = FileMarker(directory / "marker")
        self._weather = weather
        self._relay: subprocess.Popen[bytes] | None = None
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> RealCluster:
        try:
            if self._weather is not None:
                self._start_relay(self._weather)
            for name in self.names:
                self.start(name)
            with self.client() as client:
                found(list(self.addresses.items()), self.marker, client, timeout=PATIENCE_S)
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def _start_relay(self, weather: Weather) -> None:
        public = [int(address.rpartition(":")[2]) for address in self.addresses.values()]
        ports = dict(zip(public, self._ports.values(), strict=True))
        self._relay = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.integration.relay",
                RelayConfiguration(ports, weather).to_json(),
            ],
            stdin=subprocess.PIPE,
            cwd=ROOT,
        )

    def start(self, name: str) -> None:
        """Start a replica's process."""
        servers = ",".join(f"{n}={address}" for n, address in self.addresses.items())
        with (self.directory / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [
                    *(sys.executable, "-m", "raftudp", "serve", "--name", name),
                    *("--listen", f"127.0.0.1:{self._ports[name]}", "--servers", servers),
                    *("--key-file", str(self.key_file), "--log-format", "json"),
                    *("--http", f"127.0.0.1:{self.http[name]}", *self._options),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={k: v for k, v in os.environ.items() if not k.startswith("RAFTUDP_")},
            )

    def kill(self, name: str) -> None:
        """kill -9: the process and its memory are gone."""
        process = self._processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def process(self, name: str) -> subprocess.Popen[bytes]:
        """The living process of a replica."""
        return self._processes[name]

    def client(self, **settings: object) -> Client:
        """A client of this cluster."""
        addresses = list(self.addresses.values())
        return Client(addresses, key_file=self.key_file, **settings)  # type: ignore[arg-type]  # passed on

    def leader(self, client: Client) -> str:
        """The name of the living replica that leads, as soon as one does."""
        for _ in patiently():
            for report in client.status():
                answer = report.answer
                if answer and answer.role == "leader" and answer.name in self._processes:
                    return answer.name
        raise AssertionError("no leader")

    def log(self, name: str) -> str:
        """What a replica has logged."""
        return (self.directory / f"{name}.log").read_text()

    def end(self) -> None:
        """End everything, gently at first."""
        processes = list(self._processes.values())
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + 3
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            process.kill()
            process.wait()
        self._processes.clear()
        if self._relay is not None:
            self._relay.kill()
            self._relay.communicate()
            self._relay = None


def patiently(interval_s: float = 0.05) -> Iterator[None]:
    """Tries, until the caller breaks off or patience ends."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        yield
        time.sleep(interval_s)
