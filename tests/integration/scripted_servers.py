"""Scripted replicas on real sockets of loopback, for the clients: sealed, and on one thread."""

from __future__ import annotations

import os
import selectors
import threading
from types import TracebackType

from raftudp.consensus.vocabulary import ServerId
from raftudp.errors import EnvelopeError
from raftudp.limits import DATAGRAMS_PER_WAKEUP, IDENTIFIER_BYTES
from raftudp.network.udp import UdpSocket
from raftudp.wire.envelope import KeyRing, Kind, Opener, Sealer
from tests.client.world import Replica, State

KEY = bytes(range(32))


class ScriptedServers:
    """Replicas `ss-0`, ... that agree by sharing one state."""

    def __init__(self, count: int = 3, host: str = "127.0.0.1") -> None:
        self.state = State()
        self.replicas: dict[str, Replica] = {}
        self.sockets: dict[str, UdpSocket] = {}
        self._sealers: dict[str, Sealer] = {}
        self._openers: dict[str, Opener] = {}
        for number in range(count):
            name = f"ss-{number}"
            socket = UdpSocket(host, 0)
            port = socket.local_address[1]
            address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            replica = Replica(name, address, self.state, self.replicas)
            replica.process = os.urandom(IDENTIFIER_BYTES)
            self.replicas[name] = replica
            self.sockets[name] = socket
            self._sealers[name] = Sealer(KeyRing([KEY]), replica.process)
            self._openers[name] = Opener(KeyRing([KEY]))
        self.receiver: ServerId | None = None
        """Whom answers name, if not the client that asked."""
        self._is_ending = False
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def addresses(self) -> list[str]:
        return [replica.address for replica in self.replicas.values()]

    def __enter__(self) -> ScriptedServers:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_ending = True
        self._thread.join()
        for socket in self.sockets.values():
            socket.close()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            for name, socket in self.sockets.items():
                selector.register(socket, selectors.EVENT_READ, name)
            while not self._is_ending:
                for key, _ in selector.select(0.02):
                    self._serve_one(key.data)

    def _serve_one(self, name: str) -> None:
        replica, socket = self.replicas[name], self.sockets[name]
        for datagram, address in socket.receive_batch(DATAGRAMS_PER_WAKEUP):
            try:
                opened = self._openers[name].open(datagram)
            except EnvelopeError:
                continue
            if not replica.is_up:
                continue
            seal = self._sealers[name].seal
            receiver = self.receiver or opened.sender
            answers = [
                (seal(Kind.ANSWER, replica.identity, receiver, replica.cluster, body), address)
                for body in replica.take(opened.body)
            ]
            socket.send_batch(answers)
