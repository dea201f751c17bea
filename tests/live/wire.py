"""The wire between the hosts of a `Lab`: forwards Ethernet frames, and may lose, double, delay and
reorder those that carry UDP.

Runs as a process of its own in the namespace where all the hosts' cables end
(`python -m tests.live.wire INTERFACE...`). Unlike a relay between sockets it leaves addresses as
they are, so that rules of iptables still see who sent what. Each line of its standard input is the
weather from there on; at the end of its input it prints what it did.
"""

from __future__ import annotations

import heapq
import json
import os
import random
import selectors
import socket
import sys
import time
from collections import Counter

from tests.integration.relay import RECEIVE_BUFFER_BYTES, Weather

ETHERTYPE_ALL = 0x0003
SOL_PACKET = 263
PACKET_IGNORE_OUTGOING = 23
"""Linux 4.20: what this process sends does not come back to it (`man 7 packet`)."""
FRAME_BYTES_MAXIMUM = 65_600
FRAMES_PER_TURN = 256
GROUP_BIT = 1
IPV4, UDP = b"\x08\x00", 17


class Wire:
    """A switch: it learns behind which cable a host is from what the host sends."""

    def __init__(self, interfaces: list[str]) -> None:
        self._weather = Weather()
        self._random = random.Random(0)
        self._cables = [self._cable(interface) for interface in interfaces]
        self._hosts: dict[bytes, socket.socket] = {}
        self._held: list[tuple[float, int, socket.socket, bytes]] = []
        self._number = 0
        self._latest = 0
        self.counts: Counter[str] = Counter()

    def run(self) -> None:
        """Forward until standard input ends."""
        selector = selectors.DefaultSelector()
        for cable in self._cables:
            selector.register(cable, selectors.EVENT_READ)
        selector.register(sys.stdin.fileno(), selectors.EVENT_READ, "weather")
        while True:
            timeout = max(0.0, self._held[0][0] - time.monotonic()) if self._held else None
            for key, _ in selector.select(timeout):
                if key.data is None:
                    self._drain(key.fileobj)
                elif not self._read_weather():
                    return
            now = time.monotonic()
            while self._held and self._held[0][0] <= now:
                _, number, cable, frame = heapq.heappop(self._held)
                self._send(cable, frame, number)

    @staticmethod
    def _cable(interface: str) -> socket.socket:
        cable = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE_ALL))
        cable.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        cable.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        cable.bind((interface, ETHERTYPE_ALL))
        cable.setblocking(False)
        return cable

    def _read_weather(self) -> bool:
        """Take the latest line; False at the end."""
        lines = os.read(sys.stdin.fileno(), 65_536).splitlines()
        if lines:
            self._weather = Weather(**json.loads(lines[-1]))
        return bool(lines)

    def _drain(self, cable: socket.socket) -> None:
        for _ in range(FRAMES_PER_TURN):
            try:
                frame = cable.recv(FRAME_BYTES_MAXIMUM)
            except OSError:
                return
            self._hosts[frame[6:12]] = cable
            target = self._hosts.get(frame[:6])
            if target is None or frame[0] & GROUP_BIT:
                targets = [other for other in self._cables if other is not cable]
            else:
                targets = [target]
            for each in targets:
                self._forward(each, frame)

    def _forward(self, cable: socket.socket, frame: bytes) -> None:
        if frame[12:14] != IPV4 or frame[23] != UDP:
            self._transmit(cable, frame)
            return
        self.counts["forwarded"] += 1
        delays = self._weather.copies(self._random)
        self.counts["lost"] += not delays
        self.counts["doubled"] += len(delays) > 1
        for delay_s in delays:
            self._number += 1
            if delay_s:
                self.counts["delayed"] += 1
                due = time.monotonic() + delay_s
                heapq.heappush(self._held, (due, self._number, cable, frame))
            else:
                self._send(cable, frame, self._number)

    def _send(self, cable: socket.socket, frame: bytes, number: int) -> None:
        self.counts["overtaken"] += number < self._latest
        self._latest = max(self._latest, number)
        self._transmit(cable, frame)

    def _transmit(self, cable: socket.socket, frame: bytes) -> None:
        try:
            cable.send(frame)
        except OSError:
            self.counts["failed"] += 1  # lost, as anything may be


if __name__ == "__main__":
    wire = Wire(sys.argv[1:])
    wire.run()
    print(json.dumps(wire.counts))
