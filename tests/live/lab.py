"""Hosts of our own making: network namespaces, joined by a wire that can be made bad, each with a
packet filter that can cut it off.

Nothing outside these namespaces is touched, their names end with this process's id, and they go
when the lab does.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict

from tests.integration.relay import Weather
from tests.integration.replicas import ROOT

SIOCETHTOOL = 0x8946
ETHTOOL_STXCSUM = 0x17
"""`ethtool -K ... tx off`: frames leave with their checksums, and trains as single datagrams."""
END_S = 10


def why_not() -> str | None:
    """What this machine lacks for a lab; None if nothing."""
    if not sys.platform.startswith("linux"):
        return "network namespaces are Linux's"
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    missing = [tool for tool in ("ip", "iptables") if shutil.which(tool) is None]
    if missing:
        return f"{' and '.join(missing)} not found: install iproute2 and iptables"
    probe = f"raftudp-probe-{os.getpid()}"
    words = ["ip", "netns", "add", probe]
    made = subprocess.run(words, check=False, capture_output=True, text=True)
    if made.returncode:
        return f"no network namespace can be made: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", probe], check=True)
    return None


class Lab:
    """Hosts by name, and what happens between them."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self.addresses = {host: f"10.117.0.{number}" for number, host in enumerate(hosts, 1)}
        self._cables = {host: f"ru{os.getpid()}-{n}" for n, host in enumerate(hosts)}
        self._wire: subprocess.Popen[str] | None = None
        self._filtered: set[str] = set()
        self._stack = ExitStack()
        self.dropped = 0
        """Packets that rules have dropped."""
        self.carried: Counter[str] = Counter()
        """What the wire did; known once the lab is closed."""

    def __enter__(self) -> Lab:
        with ExitStack() as stack:
            self._make(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def command(self, host: str, *words: str) -> list[str]:
        """The command that runs `words` on a host; it becomes that process itself."""
        return ["ip", "netns", "exec", _namespace(host), *words]

    # ---- what may be done to it

    def blow(self, weather: Weather) -> None:
        """Change the weather on the wire."""
        assert self._wire is not None and self._wire.stdin is not None
        self._wire.stdin.write(json.dumps(asdict(weather)) + "\n")
        self._wire.stdin.flush()

    def cut(self, receiver: str, senders: Sequence[str]) -> None:
        """`receiver` no longer hears `senders`; they may still hear it."""
        for sender in senders:
            self._filter(receiver, "-s", self.addresses[sender])

    def lose(self, receiver: str, share: float) -> None:
        """`receiver` loses this share of all datagrams."""
        self._filter(receiver, "-m", "statistic", "--mode", "random", "--probability", f"{share}")

    def heal(self) -> None:
        """All rules go, and the weather turns fair."""
        for host in sorted(self._filtered):
            listing = _run(*self.command(host, "iptables", "-w", "-nvxL", "INPUT"))
            rules = [line.split() for line in listing.splitlines()]
            self.dropped += sum(int(rule[0]) for rule in rules if rule[2:3] == ["DROP"])
            _run(*self.command(host, "iptables", "-w", "-F", "INPUT"))
        self._filtered.clear()
        self.blow(Weather())

    def _filter(self, host: str, *matches: str) -> None:
        rule = ["iptables", "-w", "-A", "INPUT", "-p", "udp", *matches, "-j", "DROP"]
        _run(*self.command(host, *rule))
        self._filtered.add(host)

    # ---- how it is made

    def _make(self, stack: ExitStack) -> None:
        stack.enter_context(_made_namespace("wire"))
        for host, address in self.addresses.items():
            stack.enter_context(_made_namespace(host))
            cable, namespace = self._cables[host], _namespace(host)
            _run("ip", "link", "add", cable, "type", "veth", "peer", "name", f"{cable}w")
            try:
                _leave_nothing_to_the_card(cable)
                _run("ip", "link", "set", f"{cable}w", "netns", _namespace("wire"), "up")
                _run("ip", "link", "set", cable, "netns", namespace, "name", "eth0", "up")
            except BaseException:
                subprocess.run(["ip", "link", "del", cable], check=False)
                raise
            _run("ip", "-n", namespace, "address", "add", f"{address}/24", "dev", "eth0")
            _run("ip", "-n", namespace, "link", "set", "lo", "up")
        stack.callback(self._end_wire)
        cables = [f"{cable}w" for cable in self._cables.values()]
        self._wire = subprocess.Popen(
            self.command("wire", sys.executable, "-m", "tests.live.wire", *cables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def _end_wire(self) -> None:
        if self._wire is None:
            return
        try:
            told, _ = self._wire.communicate(timeout=END_S)
            self.carried = Counter(json.loads(told or "{}"))
        finally:
            self._wire.kill()
            self._wire.wait()


def _namespace(host: str) -> str:
    return f"raftudp-{host}-{os.getpid()}"


@contextmanager
def _made_namespace(host: str) -> Iterator[None]:
    _run("ip", "netns", "add", _namespace(host))
    try:
        yield
    finally:
        _run("ip", "netns", "del", _namespace(host))


def _leave_nothing_to_the_card(interface: str) -> None:
    """Have the kernel finish each datagram, since the wire is no card that would do it."""
    setting = ctypes.create_string_buffer(struct.pack("II", ETHTOOL_STXCSUM, 0))
    request = struct.pack("16sP", interface.encode(), ctypes.addressof(setting))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCETHTOOL, request)


def _run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=END_S).stdout
