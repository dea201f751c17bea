"""A replica's settings: their defaults, their dangers, and every reason to refuse them, told at
once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from raftudp.errors import ConfigurationError
from raftudp.limits import (
    DATAGRAM_BYTES_LOOPBACK,
    DATAGRAM_BYTES_MAXIMUM,
    DATAGRAM_BYTES_MINIMUM,
    ENVELOPE_BYTES_MAXIMUM,
)
from raftudp.network.addresses import (
    HostPort,
    check_name,
    is_loopback,
    parse_host_port,
    parse_named_servers,
)
from raftudp.wire.envelope import KeyRing

DEFAULTS: Final[Mapping[str, str]] = {
    "heartbeat_ms": "50",
    "election_timeout_ms": "300-600",
    "stop_timeout": "5",
    "log_format": "auto",
    "log_level": "info",
}
"""What is used where neither the command line nor the environment says anything; the only place of
defaults.
"""
LOG_FORMATS: Final = ("auto", "json", "console")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
HEARTBEATS_PER_ELECTION_TIMEOUT: Final = 3
"""So many heartbeats at least fit the shortest election timeout: the loss of one or two starts no
election.
"""
ELECTION_TIMEOUT_MS_LIMIT: Final = 600_000
STOP_TIMEOUT_S_LIMIT: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings of one replica."""

    name: str
    """Which of `servers` this one is; no default."""
    listen: HostPort
    """Where the UDP socket is bound; no default.

    A wildcard takes mail on every interface: not without a key.
    """
    servers: tuple[tuple[str, str], ...]
    """(name, `host:port`) of every server, this one too, as the others reach it; no default.

    Names are looked up again when a peer is silent: give names where addresses change.
    """
    http: HostPort | None
    """Where /livez, /readyz and /metrics are served; none by default.

    Neither sealed nor authenticated: not for everyone's eyes.
    """
    key_file: Path | None
    """The shared keys, one or two lines; none by default.

    Who reads it can do anything to the cluster.
    """
    insecure: bool
    """Serve beyond loopback without a key; off.

    Anyone who reaches the port can then read, write and stop.
    """
    heartbeat_ms: int
    """How often a leader sends at least, milliseconds; default 50.

    Longer: failures are noticed later. Shorter: more to do for an idle cluster.
    """
    election_timeout_ms_minimum: int
    """Shortest silence of the leader before an election, milliseconds; default 300.

    Below the worst pauses of network and machine, leaders change without need.
    """
    election_timeout_ms_maximum: int
    """Longest such silence, milliseconds; default 600.

    Close to the minimum, votes are split.
    """
    stop_timeout_s: float
    """How long a stop waits, seconds, where no quorum would remain without this one; default 5.

    Longer than the grace of whoever stops it (Kubernetes: 30 s), it is killed instead.
    """
    datagram_bytes: int
    """The UDP payload at most, bytes; default 60000 where all hosts are loopback, else 1200.

    More than the path carries: IP fragments, and all is lost with one of them.
    """
    log_format: str
    """auto (console on a terminal, else json), json or console; default auto."""
    log_level: str
    """debug, info, warning or error; default info.

    Above info, changes of leader and membership are no longer told.
    """

    @property
    def body_bytes(self) -> int:
        """The largest encoded message that fits a datagram with its envelope."""
        return self.datagram_bytes - ENVELOPE_BYTES_MAXIMUM


def configuration_from(options: Mapping[str, str | None]) -> Configuration:
    """Check settings given as text, by option name with underscores; `insecure` is "1" or absent.

    Raises one ConfigurationError that has a line for each thing that is wrong.
    """
    return _Checker(options).configuration()


def read_keys(path: Path) -> KeyRing:
    """The keys in a file; raises ConfigurationError."""
    try:
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"key file {path}: {error}; `raftudp keygen {path}` makes one, for replicas and clients"
        ) from error
    try:
        return KeyRing.parse(text)
    except ConfigurationError as error:
        raise ConfigurationError(f"key file {path}: {error}") from error


class _Checker:
    """Reads setting after setting and gathers what is wrong with them."""

    def __init__(self, options: Mapping[str, str | None]) -> None:
        self._options = {name: value for name, value in options.items() if value is not None}
        self._problems: list[str] = []

    def configuration(self) -> Configuration:
        """Everything, or the error that lists the problems."""
        listen = self._host_port("listen", required=True)
        servers = self._servers()
        election_timeout_ms = self._election_timeout()
        key_file = self._key_file()
        values = Configuration(
            name=self._name(servers),
            listen=listen or HostPort("", 0),
            servers=servers,
            http=self._host_port("http", required=False),
            key_file=key_file,
            insecure=self._flag("insecure"),
            heartbeat_ms=self._heartbeat(election_timeout_ms[0]),
            election_timeout_ms_minimum=election_timeout_ms[0],
            election_timeout_ms_maximum=election_timeout_ms[1],
            stop_timeout_s=self._number("stop_timeout", 0, STOP_TIMEOUT_S_LIMIT),
            datagram_bytes=self._datagram_bytes(_is_all_loopback(listen, servers)),
            log_format=self._choice("log_format", LOG_FORMATS),
            log_level=self._choice("log_level", LOG_LEVELS),
        )
        if (
            key_file is None
            and not values.insecure
            and not _is_all_loopback(listen, servers)
            and listen
            and servers
        ):
            self._problem(
                "key-file",
                "without a key a replica serves loopback only; `raftudp keygen FILE` makes one"
                " (or --insecure, and anyone who reaches the port can do anything)",
            )
        if self._problems:
            raise ConfigurationError("\n".join(self._problems))
        return values

    def _problem(self, option: str, text: str) -> None:
        self._problems.append(f"--{option.replace('_', '-')}: {text}")

    def _text(self, option: str) -> str | None:
        return self._options.get(option, DEFAULTS.get(option))

    def _host_port(self, option: str, *, required: bool) -> HostPort | None:
        text = self._text(option)
        if text is None:
            if required:
                self._problem(option, "is missing; say HOST:PORT, for example 0.0.0.0:6000")
            return None
        try:
            return parse_host_port(text)
        except ConfigurationError as error:
            self._problem(option, str(error))
            return None

    def _servers(self) -> tuple[tuple[str, str], ...]:
        text = self._text("servers")
        if text is None:
            self._problem("servers", "is missing; list all servers as NAME=HOST:PORT,...")
            return ()
        try:
            return parse_named_servers(text)
        except ConfigurationError as error:
            self._problem("servers", str(error))
            return ()

    def _name(self, servers: tuple[tuple[str, str], ...]) -> str:
        name = self._text("name")
        if name is None:
            self._problem("name", "is missing; say which of --servers this one is")
            return ""
        try:
            check_name(name)
        except ConfigurationError as error:
            self._problem("name", str(error))
            return name
        if servers and name not in dict(servers):
            names = ", ".join(dict(servers))
            self._problem("name", f"{name} is not among --servers ({names}); add it there")
        return name

    def _key_file(self) -> Path | None:
        text = self._text("key_file")
        if text is None:
            return None
        path = Path(text)
        try:
            read_keys(path)
        except ConfigurationError as error:
            self._problem("key_file", str(error))
        return path

    def _flag(self, option: str) -> bool:
        text = (self._text(option) or "").lower()
        if text not in ("", "0", "1", "false", "true", "no", "yes", "off", "on"):
            self._problem(option, f"{text!r} is neither yes nor no")
        return text in ("1", "true", "yes", "on")

    def _number(self, option: str, least: float, most: float) -> float:
        """A number in a range; the least one in place of one that is not."""
        text = self._text(option) or ""
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not least <= number <= most:
            self._problem(option, f"{text!r} is no number from {least:g} to {most:g}")
            return least
        return number

    def _whole_number(self, option: str, least: int, most: int) -> int:
        """Likewise, without a fraction."""
        text = self._text(option) or ""
        if not text.isascii() or not text.isdigit() or not least <= int(text[:20]) <= most:
            self._problem(option, f"{text!r} is no whole number from {least} to {most}")
            return least
        return int(text)

    def _election_timeout(self) -> tuple[int, int]:
        text = self._text("election_timeout_ms") or ""
        least, dash, most = text.partition("-")
        try:
            bounds = (int(least), int(most))
        except ValueError:
            bounds = (0, 0)
        if not dash or not 0 < bounds[0] < bounds[1] <= ELECTION_TIMEOUT_MS_LIMIT:
            self._problem(
                "election_timeout_ms",
                f"{text!r} is no MIN-MAX in milliseconds with MIN below MAX, like 300-600",
            )
            return (0, 0)
        return bounds

    def _heartbeat(self, election_timeout_ms_minimum: int) -> int:
        heartbeat_ms = self._whole_number("heartbeat_ms", 1, ELECTION_TIMEOUT_MS_LIMIT)
        if 0 < election_timeout_ms_minimum < HEARTBEATS_PER_ELECTION_TIMEOUT * heartbeat_ms:
            self._problem(
                "heartbeat_ms",
                f"{heartbeat_ms} is too long: the shortest election timeout,"
                f" {election_timeout_ms_minimum} ms, must be at least"
                f" {HEARTBEATS_PER_ELECTION_TIMEOUT} heartbeats; lower one or raise the other",
            )
        return heartbeat_ms

    def _datagram_bytes(self, all_loopback: bool) -> int:
        if self._text("datagram_bytes") is None:
            return DATAGRAM_BYTES_LOOPBACK if all_loopback else DATAGRAM_BYTES_MINIMUM
        return self._whole_number("datagram_bytes", DATAGRAM_BYTES_MINIMUM, DATAGRAM_BYTES_MAXIMUM)

    def _choice(self, option: str, choices: tuple[str, ...]) -> str:
        text = (self._text(option) or "").lower()
        if text not in choices:
            self._problem(option, f"{text!r} is unknown; choose one of {', '.join(choices)}")
        return text


def _is_all_loopback(listen: HostPort | None, servers: tuple[tuple[str, str], ...]) -> bool:
    """Whether nothing that this replica listens on or sends to can be another machine."""
    hosts = [parse_host_port(address).host for _, address in servers]
    return listen is not None and all(map(is_loopback, [listen.host, *hosts]))
