"""A relay between replicas, and between clients and replicas, that loses, doubles, delays and
reorders.

Runs as a process of its own (`python -m tests.integration.relay CONFIGURATION`), one socket for
each replica that it stands for. Whoever sends there gets a socket of its own towards the replica,
as through a translating router, so answers come back through the relay, and suffer as well.
"""

from __future__ import annotations

import heapq
import json
import random
import selectors
import socket
import sys
import time
from dataclasses import asdict, dataclass, field

Address = tuple[str, int]
RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Weather:
    """What happens to a datagram."""

    loss: float = 0.0
    doubling: float = 0.0
    delay_ms: float = 0.0
    """At most, evenly spread: so later ones overtake."""
    seed: int = 0

    def copies(self, chance: random.Random) -> list[float]:
        """How long each copy of a datagram is held, in seconds; none where it is lost."""
        if chance.random() < self.loss:
            return []
        copies = 2 if chance.random() < self.doubling else 1
        if not self.delay_ms:
            return [0.0] * copies
        return [chance.random() * self.delay_ms / 1e3 for _ in range(copies)]


@dataclass(frozen=True)
class RelayConfiguration:
    """From each relay's port to its replica's."""

    ports: dict[int, int]
    weather: Weather = field(default_factory=Weather)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> RelayConfiguration:
        fields = json.loads(text)
        ports = {int(port): target for port, target in fields["ports"].items()}
        return RelayConfiguration(ports, Weather(**fields["weather"]))


class Relay:
    """Forwards until its standard input ends."""

    def __init__(self, configuration: RelayConfiguration) -> None:
        self._weather = configuration.weather
        self._random = random.Random(configuration.weather.seed)
        self._selector = selectors.DefaultSelector()
        self._outward: dict[tuple[int, Address], socket.socket] = {}
        self._due: list[tuple[float, int, socket.socket, bytes, Address]] = []
        self._order = 0
        for port, target in configuration.ports.items():
            inward = self._socket(port)
            self._selector.register(inward, selectors.EVENT_READ, (port, target))
        self._selector.register(sys.stdin.fileno(), selectors.EVENT_READ, None)

    def run(self) -> None:
        while True:
            timeout = max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
            for key, _ in self._selector.select(timeout):
                if key.data is None:
                    return
                self._drain(key.fileobj, key.data)
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                _, _, out, data, address = heapq.heappop(self._due)
                self._send(out, data, address)

    def _socket(self, port: int) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        made.bind(("127.0.0.1", port))
        made.setblocking(False)
        return made

    def _drain(self, arrived: socket.socket, data: tuple) -> None:
        while True:
            try:
                datagram, source = arrived.recvfrom(65_535)
            except BlockingIOError:
                return
            except OSError:
                continue
            if len(data) == 2:
                port, target = data
                out = self._towards(port, source, arrived)
                self._forward(out, datagram, ("127.0.0.1", target))
            else:
                inward, back_to, _ = data
                self._forward(inward, datagram, back_to)

    def _towards(self, port: int, source: Address, inward: socket.socket) -> socket.socket:
        out = self._outward.get((port, source))
        if out is None:
            out = self._outward[port, source] = self._socket(0)
            self._selector.register(out, selectors.EVENT_READ, (inward, source, None))
        return out

    def _forward(self, out: socket.socket, datagram: bytes, address: Address) -> None:
        for delay_s in self._weather.copies(self._random):
            if not delay_s:
                self._send(out, datagram, address)
                continue
            self._order += 1
            due = time.monotonic() + delay_s
            heapq.heappush(self._due, (due, self._order, out, datagram, address))

    @staticmethod
    def _send(out: socket.socket, datagram: bytes, address: Address) -> None:
        try:
            out.sendto(datagram, address)
        except OSError:
            return  # lost, as anything may be


if __name__ == "__main__":
    Relay(RelayConfiguration.from_json(sys.argv[1])).run()
