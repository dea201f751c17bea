"""Where a client's datagrams go: the servers' names, looked up on another thread.

A name may stand for several addresses. One is used until its server falls silent; then the next
one's turn comes, and the name is looked up again, for it may have moved.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Final, TypeAlias

from raftudp.errors import ConfigurationError
from raftudp.network.addresses import Starter, parse_host_port, start_thread
from raftudp.network.udp import SocketAddress

LOOK_UP_US: Final = 1_000_000
"""A silent server's name is looked up at most once in this time."""
SERVERS_REMEMBERED_MAXIMUM: Final = 1_024

LookUp: TypeAlias = Callable[[str, int], list[SocketAddress]]
"""Host and port to addresses that the client's socket can send to; may block, or raise OSError."""


def parse_servers(servers: str | Iterable[str]) -> list[str]:
    """Read a list of `HOST:PORT`, or a text with commas between them, each written in one way.

    Raises ConfigurationError.
    """
    texts = servers.split(",") if isinstance(servers, str) else servers
    parsed = [str(parse_host_port(text)) for text in texts if text.strip()]
    if not parsed:
        raise ConfigurationError("no servers given; name at least one, as HOST:PORT,...")
    return list(dict.fromkeys(parsed))


def look_up_for(family: int) -> LookUp:
    """A look-up of addresses for a socket of this family; an IPv6 one takes IPv4 mapped into it."""

    def look_up(host: str, port: int) -> list[SocketAddress]:
        wanted = 0 if family == socket.AF_INET6 else family
        found = socket.getaddrinfo(host, port, wanted, socket.SOCK_DGRAM)
        addresses: list[SocketAddress] = []
        for found_family, _, _, _, address in found:
            if found_family == socket.AF_INET and family == socket.AF_INET6:
                addresses.append((f"::ffff:{address[0]}", port, 0, 0))
            elif found_family == family:
                addresses.append(address)  # type: ignore[arg-type]  # of these two families
        return addresses

    return look_up


def _is_numeric(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(address: SocketAddress) -> bool:
    ip = ip_address(address[0].partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return (mapped or ip).is_loopback


@dataclass(slots=True)
class _Place:
    """What is known of one server's address."""

    addresses: list[SocketAddress] = field(default_factory=list)
    """The first one is in use."""
    is_loopback: bool = False
    asked_us: int | None = None
    is_under_way: bool = False


class ServerAddresses:
    """The addresses of the servers that a client speaks to; for one thread, and never blocking."""

    def __init__(
        self, look_up: LookUp, wake: Callable[[], None], start: Starter = start_thread
    ) -> None:
        self._look_up = look_up
        self._wake = wake
        """Called from another thread when a look-up has ended; `refresh` is wanted then."""
        self._start = start
        self._places: dict[str, _Place] = {}
        self._servers: dict[SocketAddress, str] = {}
        self._found: deque[tuple[str, list[SocketAddress]]] = deque()
        """Filled by other threads (a deque's ends are safe to share), emptied by `refresh`."""

    def address_of(self, server: str, now_us: int) -> SocketAddress | None:
        """Where to send to a server now; None while that is not known."""
        place = self._places.get(server)
        if place is None:
            if len(self._places) >= SERVERS_REMEMBERED_MAXIMUM:
                self._forget(next(iter(self._places)))
            place = self._places[server] = _Place()
            self._ask(server, now_us)
        return place.addresses[0] if place.addresses else None

    def server_of(self, address: SocketAddress) -> str:
        """Which server has this address; '' for none."""
        return self._servers.get(address, "")

    def is_loopback(self, server: str) -> bool:
        """Whether a server is known to be on this machine."""
        place = self._places.get(server)
        return place is not None and place.is_loopback

    def fell_silent(self, servers: Iterable[str], now_us: int) -> None:
        """Servers did not answer: try their next addresses, and look their names up again."""
        for server in servers:
            place = self._places.get(server)
            if place is None or place.is_under_way:
                continue
            if place.asked_us is None or now_us - place.asked_us >= LOOK_UP_US:
                self._use(server, place, place.addresses[1:] + place.addresses[:1])
                self._ask(server, now_us)

    def refresh(self) -> bool:
        """Take in what look-ups found; True if there was any."""
        is_news = bool(self._found)
        while self._found:
            server, addresses = self._found.popleft()
            place = self._places.get(server)
            if place is not None:
                place.is_under_way = False
                self._take(server, place, addresses)
        return is_news

    def _ask(self, server: str, now_us: int) -> None:
        """Look a server's name up: at once if it is an address, else on another thread."""
        place = self._places[server]
        place.asked_us = now_us
        try:
            host, port = parse_host_port(server)
        except ConfigurationError:
            return  # a hint from elsewhere that is no address leads nowhere
        if _is_numeric(host):
            self._take(server, place, self._look_up_safely(host, port))
            return
        place.is_under_way = True

        def work() -> None:
            self._found.append((server, self._look_up_safely(host, port)))
            self._wake()

        self._start(work)

    def _look_up_safely(self, host: str, port: int) -> list[SocketAddress]:
        try:
            return self._look_up(host, port)
        except (OSError, UnicodeError):
            return []  # an unknown name, or one that IDNA refuses

    def _take(self, server: str, place: _Place, addresses: list[SocketAddress]) -> None:
        """A look-up ended; what was used last stays in use only if nothing else is known."""
        known = place.addresses
        if addresses and set(addresses) != set(known):
            self._use(server, place, addresses)

    def _use(self, server: str, place: _Place, addresses: list[SocketAddress]) -> None:
        for address in place.addresses:
            if self._servers.get(address) == server:
                del self._servers[address]
        place.addresses = addresses
        place.is_loopback = bool(addresses) and all(_is_loopback(a) for a in addresses)
        for address in addresses:
            self._servers.setdefault(address, server)

    def _forget(self, server: str) -> None:
        self._use(server, self._places[server], [])
        del self._places[server]
