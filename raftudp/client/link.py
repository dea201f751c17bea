"""A session on a socket: what both clients share, whoever wakes them.

Neither a thread nor an event loop is known here. A client calls `turn` whenever the socket has
something, something was submitted or a deadline has passed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Final

from raftudp.client.addresses import ServerAddresses, look_up_for, parse_servers
from raftudp.client.roster import Source
from raftudp.client.session import Completion, Session
from raftudp.client.transfers import Outgoing
from raftudp.consensus.vocabulary import ANY_INCARNATION, ServerId
from raftudp.errors import ConfigurationError, RemoteError
from raftudp.limits import (
    DATAGRAM_BYTES_LOOPBACK,
    DATAGRAM_BYTES_MINIMUM,
    DATAGRAMS_PER_WAKEUP,
    IDENTIFIER_BYTES,
)
from raftudp.network.udp import Datagram, UdpSocket
from raftudp.wire.envelope import KeyRing, Kind, Opener, Sealer

HELD_MAXIMUM: Final = 64
"""Requests kept while their server's name is looked up for the first time."""

_ANYBODY: Final = ServerId("", ANY_INCARNATION)


def key_ring(key: str | bytes | None, key_file: str | Path | None) -> KeyRing | None:
    """The shared keys: a key file's text, 32 bytes, or a file; None for plain mode.

    Raises ConfigurationError.
    """
    if key is not None and key_file is not None:
        raise ConfigurationError("give either key or key_file, not both")
    if key_file is not None:
        try:
            key = Path(key_file).read_text("ascii")
        except (OSError, UnicodeError) as error:
            raise ConfigurationError(f"the key file {key_file} can't be read: {error}") from None
    if key is None:
        return None
    return KeyRing([key]) if isinstance(key, bytes) else KeyRing.parse(key)


def now_us() -> int:
    """This process's monotonic clock, in microseconds."""
    return time.monotonic_ns() // 1_000


def _open_socket() -> UdpSocket:
    """A socket for both families; for IPv4 alone where the machine has no IPv6."""
    try:
        return UdpSocket("::", 0)
    except OSError:
        return UdpSocket("0.0.0.0", 0)  # noqa: S104  # a client's port answers no one's requests


class Link:
    """One client's socket, seal, addresses and session; for one thread."""

    def __init__(
        self,
        servers: str | Sequence[str],
        key: str | bytes | None,
        key_file: str | Path | None,
        wake: Callable[[], None],
    ) -> None:
        """Raises ConfigurationError. `wake` is called from another thread when `turn` is wanted."""
        keys = key_ring(key, key_file)
        self.servers = parse_servers(servers)
        process = os.urandom(IDENTIFIER_BYTES)
        self._identity = ServerId("", process)
        self._sealer = Sealer(keys, process)
        self._opener = Opener(keys)
        self._overhead_bytes = self._sealer.overhead(self._identity, _ANYBODY)
        self._held: list[Outgoing] = []
        self.session = Session(
            self.servers,
            client_id=process,  # so that reads and writes bear one id in the replicas' logs
            random=Random(os.urandom(IDENTIFIER_BYTES)),  # noqa: S311  # no secret comes from it
            body_bytes=self._body_bytes,
        )
        self.socket = _open_socket()
        self._addresses = ServerAddresses(look_up_for(self.socket.family), wake)
        for server in self.servers:
            self._addresses.address_of(server, now_us())

    def _body_bytes(self, server: str) -> int:
        is_near = self._addresses.is_loopback(server)
        datagram_bytes = DATAGRAM_BYTES_LOOPBACK if is_near else DATAGRAM_BYTES_MINIMUM
        return datagram_bytes - self._overhead_bytes

    def turn(self) -> list[Completion]:
        """Take in what arrived, do what is due, send what is to be sent; returns what ended."""
        arrived = self.socket.receive_batch(DATAGRAMS_PER_WAKEUP)
        time_us = now_us()
        for datagram in arrived:
            self._take(datagram, time_us)
        session = self.session
        session.handle_timer(time_us)
        outgoing = session.take_outgoing(time_us)
        if self._addresses.refresh():
            outgoing = self._held + outgoing
            self._held = []
        self._send(outgoing, time_us)
        self._addresses.fell_silent(session.roster.take_newly_silent(), time_us)
        return session.take_completions()

    def _take(self, datagram: Datagram, time_us: int) -> None:
        data, address = datagram
        try:
            opened = self._opener.open(data)
            if opened.kind is not Kind.ANSWER or opened.receiver != self._identity:
                return
            server = self._addresses.server_of(address)
            source = Source(server, opened.sender, opened.process, opened.cluster)
            self.session.receive(source, opened.body, time_us)
        except RemoteError:
            pass  # what is no answer is none; whatever was asked is asked again

    def _send(self, outgoing: list[Outgoing], time_us: int) -> None:
        datagrams: list[Datagram] = []
        for message in outgoing:
            address = self._addresses.address_of(message.server, time_us)
            if address is not None:
                body = message.body
                sealed = self._sealer.seal(Kind.REQUEST, self._identity, _ANYBODY, None, body)
                datagrams.append((sealed, address))
            elif len(self._held) < HELD_MAXIMUM:
                self._held.append(message)
        self.socket.send_batch(datagrams)

    def wait_s(self) -> float | None:
        """How long nothing needs to be done, if nothing arrives; None for ever."""
        deadline_us = self.session.next_deadline()
        return None if deadline_us is None else max(0, deadline_us - now_us()) / 1_000_000

    def close(self) -> None:
        """Give the socket back."""
        self.socket.close()
