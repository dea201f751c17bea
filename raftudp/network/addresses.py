"""From names to addresses: how they are written, and where the members' mail goes now."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from raftudp.consensus.vocabulary import ServerId
from raftudp.errors import ConfigurationError
from raftudp.limits import ADDRESS_BYTES_MAXIMUM, NAME_BYTES_MAXIMUM, SLOTS_MAXIMUM
from raftudp.network.udp import SocketAddress

SILENCE_US: Final = 2_000_000
"""A peer unheard for this long is looked up again, and again after each such time."""
REFRESH_US: Final = 1_000_000
"""How often silence is looked for."""
IDENTITIES_REMEMBERED_MAXIMUM: Final = 4 * SLOTS_MAXIMUM

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?")


class HostPort(NamedTuple):
    """A host, by name or address, and a UDP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_host_port(text: str) -> HostPort:
    """Read `HOST:PORT` or `[IPV6]:PORT`; raises ConfigurationError."""
    wanted = f"{text!r} is no HOST:PORT; write it like 10.0.0.1:6000, ss-0.ss:6000 or [::1]:6000"
    host, colon, digits = text.strip().rpartition(":")
    if not colon or not digits.isascii() or not digits.isdigit() or len(digits) > 5:
        raise ConfigurationError(wanted)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if not _is_ip(host, 6):
            raise ConfigurationError(wanted)
    elif not _HOST.fullmatch(host):
        raise ConfigurationError(wanted)
    if len(text) > ADDRESS_BYTES_MAXIMUM:
        raise ConfigurationError(f"an address has at most {ADDRESS_BYTES_MAXIMUM} characters")
    port = int(digits)
    if not 1 <= port <= 65_535:
        raise ConfigurationError(f"{text!r}: a port is a number from 1 to 65535")
    return HostPort(host, port)


def parse_named_servers(text: str) -> tuple[tuple[str, str], ...]:
    """Read `NAME=HOST:PORT,...` as (name, `host:port`) in the order given; raises
    ConfigurationError.

    Names are DNS labels; neither a name nor an address may come twice.
    """
    servers: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, address = part.partition("=")
        if not equals:
            raise ConfigurationError(f"{part!r} is no NAME=HOST:PORT")
        check_name(name)
        if name in servers:
            raise ConfigurationError(f"the name {name} is there twice; each server has its own")
        host_port = str(parse_host_port(address))
        if host_port in servers.values():
            raise ConfigurationError(
                f"the address {host_port} is there twice; each server has its own"
            )
        servers[name] = host_port
    if not 1 <= len(servers) <= SLOTS_MAXIMUM:
        raise ConfigurationError(f"name 1 to {SLOTS_MAXIMUM} servers, as NAME=HOST:PORT,...")
    return tuple(servers.items())


def check_name(name: str) -> None:
    """Raise ConfigurationError unless `name` can name a server."""
    if not _NAME.fullmatch(name) or len(name) > NAME_BYTES_MAXIMUM:
        raise ConfigurationError(
            f"{name!r} is no server's name; use letters, digits and inner hyphens,"
            f" at most {NAME_BYTES_MAXIMUM}"
        )


def is_loopback(host: str) -> bool:
    """Whether a host, as written, can only be this machine."""
    if host.lower() == "localhost":
        return True
    return (_is_ip(host, 4) or _is_ip(host, 6)) and ipaddress.ip_address(host).is_loopback


def is_numeric(host_port: str) -> bool:
    """Whether a `host:port` names its host by an address, so that nothing has to be looked up."""
    host = host_port.rpartition(":")[0]
    return _is_ip(host, 4) or _is_ip(host.strip("[]"), 6)


def _is_ip(host: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(host).version == version
    except ValueError:
        return False


Resolver: TypeAlias = Callable[[str, int], SocketAddress]
"""Host and port to an address; may block, raises OSError where there is none."""
Starter: TypeAlias = Callable[[Callable[[], None]], None]
"""Runs a function somewhere else; returns at once."""


def resolver_for(family: int) -> Resolver:
    """A resolver to addresses that a socket of this family can send to."""
    flags = socket.AI_V4MAPPED if family == socket.AF_INET6 else 0

    def resolve(host: str, port: int) -> SocketAddress:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_DGRAM, 0, flags)
        address = found[0][4]
        assert isinstance(address[0], str), "only a Python without IPv6 answers otherwise"
        return address

    return resolve


def start_thread(work: Callable[[], None]) -> None:
    """Run `work` on a thread of its own, which holds nobody up at the end either."""
    threading.Thread(target=work, name="resolver", daemon=True).start()


@dataclass(slots=True)
class _Place:
    """What is known of one name."""

    host_port: str
    resolved: SocketAddress | None = None
    asked_us: int | None = None
    """When the latest look-up began."""
    under_way: bool = False


class AddressBook:
    """Where each member's mail goes; never blocks.

    A name is looked up on another thread, when it is learned and again whenever its server is
    silent. The source of authenticated mail counts more: it is the address of that identity at
    once, until the identity falls silent and a later look-up says otherwise. Addresses are kept by
    full identity, so a newcomer under a known name does not take the mail of the one before it. A
    look-up that fails changes nothing.
    """

    def __init__(self, own_name: str, resolve: Resolver, start: Starter = start_thread) -> None:
        """`own_name` is never looked up: nobody sends mail to himself."""
        self._own_name = own_name
        self._resolve = resolve
        self._start = start
        self._places: dict[str, _Place] = {}
        self._sources: OrderedDict[ServerId, tuple[SocketAddress, int]] = OrderedDict()
        self._answers: deque[tuple[str, str, SocketAddress | None]] = deque()
        """Filled by resolver threads (a deque's ends are safe to share), emptied by `refresh`."""
        self._refreshed_us = 0

    def learn(self, servers: Iterable[tuple[str, str]], now_us: int) -> None:
        """Take in (name, `host:port`) pairs; new or changed ones are looked up."""
        for name, host_port in servers:
            if name == self._own_name:
                continue
            place = self._places.get(name)
            if place is None or place.host_port != host_port:
                resolved = place.resolved if place else None
                self._places[name] = _Place(host_port, resolved)
                self._ask(name, now_us)

    def heard(self, sender: ServerId, address: SocketAddress, now_us: int) -> None:
        """Authenticated mail of `sender` came from `address`; names that nobody taught are not
        kept.
        """
        if sender.name not in self._places:
            return
        self._sources[sender] = (address, now_us)
        self._sources.move_to_end(sender)
        if len(self._sources) > IDENTITIES_REMEMBERED_MAXIMUM:
            self._sources.popitem(last=False)

    def address_of(self, receiver: ServerId) -> SocketAddress | None:
        """Where to send to `receiver` now; None while that is not known."""
        source = self._sources.get(receiver)
        if source is not None:
            return source[0]
        place = self._places.get(receiver.name)
        return place.resolved if place else None

    def refresh(self, now_us: int) -> None:
        """Take in what look-ups found, and now and then look silent peers up again; cheap, for each
        wake-up.
        """
        self._take_answers(now_us)
        if now_us - self._refreshed_us >= REFRESH_US:
            self._refreshed_us = now_us
            self._look_up_silent(now_us)

    def _look_up_silent(self, now_us: int) -> None:
        """Ask for the names of which nobody was heard lately, unless that was just done."""
        heard_us: dict[str, int] = {}
        for identity, (_, when_us) in self._sources.items():
            heard_us[identity.name] = max(when_us, heard_us.get(identity.name, when_us))
        for name, place in self._places.items():
            recent_us = max(heard_us.get(name, -SILENCE_US), place.asked_us or 0)
            if now_us - recent_us >= SILENCE_US and not place.under_way:
                self._ask(name, now_us)

    def _ask(self, name: str, now_us: int) -> None:
        """Begin a look-up; where an address is written, its answer is there at once."""
        place = self._places[name]
        place.asked_us = now_us
        place.under_way = True
        host_port = place.host_port

        def look_up() -> None:
            found: SocketAddress | None = None
            # An unknown name, a name that IDNA refuses, an address that another server got wrong:
            # all are no answer.
            with contextlib.suppress(OSError, UnicodeError, ConfigurationError):
                found = self._resolve(*parse_host_port(host_port))
            self._answers.append((name, host_port, found))

        if is_numeric(host_port):
            look_up()
            self._take_answers(now_us)
        else:
            self._start(look_up)

    def _take_answers(self, now_us: int) -> None:
        """Take in what look-ups found."""
        while self._answers:
            self._take_answer(*self._answers.popleft(), now_us)

    def _take_answer(
        self, name: str, host_port: str, found: SocketAddress | None, now_us: int
    ) -> None:
        """A look-up ended; it replaces the source addresses of those that are silent."""
        place = self._places.get(name)
        if place is None or place.host_port != host_port:
            return
        place.under_way = False
        if found is None:
            return
        place.resolved = found
        silent = [
            identity
            for identity, (_, when_us) in self._sources.items()
            if identity.name == name and now_us - when_us >= SILENCE_US
        ]
        for identity in silent:
            del self._sources[identity]
