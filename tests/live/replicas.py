"""Replicas on the hosts of a lab: founded, killed, paused, and asked by their logs who led."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

from tests.integration.replicas import PATIENCE_S, ROOT, patiently
from tests.live.lab import Lab

PORT = 6000


class LiveCluster:
    """A replica as a process of `raftudp serve` on each of these hosts."""

    def __init__(self, lab: Lab, names: list[str], directory: Path) -> None:
        self.names = names
        self.alive = set(names)
        """Those with their memory: who was killed stays out, even if it comes back blank."""
        self.addresses = {name: f"{lab.addresses[name]}:{PORT}" for name in names}
        self.key_file = directory / "key"
        self.key_file.write_text(secrets.token_hex(32) + "\n")
        self.key_file.chmod(0o600)
        self._lab = lab
        self._directory = directory
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> LiveCluster:
        try:
            for name in self.names:
                self.start(name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait()

    @property
    def servers(self) -> str:
        """All replicas, as `--servers` takes them."""
        return ",".join(f"{name}={address}" for name, address in self.addresses.items())

    def start(self, name: str) -> None:
        """Start a replica's process, which knows nothing."""
        serve = [
            *(sys.executable, "-m", "raftudp", "serve", "--name", name),
            *("--listen", self.addresses[name], "--servers", self.servers),
            *("--key-file", str(self.key_file), "--log-format", "json"),
        ]
        with self._log(name).open("ab") as log:
            self._processes[name] = subprocess.Popen(
                self._lab.command(name, *serve),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=clean_environment(),
            )

    def found(self, host: str) -> None:
        """Found the cluster, from this host."""
        init = [
            *(sys.executable, "-m", "raftudp", "init", "--servers", self.servers),
            *("--marker", str(self._directory / "marker"), "--key-file", str(self.key_file)),
        ]
        subprocess.run(
            self._lab.command(host, *init),
            check=True,
            cwd=ROOT,
            env=clean_environment(),
            timeout=PATIENCE_S,
        )

    def kill(self, name: str) -> None:
        """kill -9: the process and its memory are gone."""
        self.alive.discard(name)
        process = self._processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def pause(self, name: str) -> None:
        """SIGSTOP."""
        self._processes[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """SIGCONT."""
        self._processes[name].send_signal(signal.SIGCONT)

    def processes(self) -> list[subprocess.Popen[bytes]]:
        """All that run."""
        return list(self._processes.values())

    def fallen(self) -> list[str]:
        """Replicas that ended though nobody killed them."""
        return [name for name, process in self._processes.items() if process.poll() is not None]

    def elections(self) -> dict[int, str]:
        """Who won which term, as the replicas' logs tell."""
        won: dict[int, str] = {}
        for name in self.names:
            for line in self._log(name).read_text().splitlines():
                if '"become_leader"' in line:
                    term = json.loads(line)["term"]
                    assert won.setdefault(term, name) == name, f"two leaders of term {term}"
        return won

    def leader(self) -> str:
        """Who won the latest term of those that are alive; it may have lost touch since."""
        for _ in patiently():
            living = {t: name for t, name in self.elections().items() if name in self.alive}
            if living:
                return living[max(living)]
        raise AssertionError("no leader")

    def _log(self, name: str) -> Path:
        return self._directory / f"{name}.log"


def clean_environment() -> dict[str, str]:
    """This process's environment without settings of raftudp."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RAFTUDP_")}
