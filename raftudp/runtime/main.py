"""The commands `raftudp serve` and `raftudp keygen`: settings to a running replica, and its end."""

from __future__ import annotations

import logging
import os
import platform
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from raftudp import __version__
from raftudp.consensus.server import Server, ServerConfiguration
from raftudp.consensus.vocabulary import ServerId
from raftudp.encoding.records import decode_command
from raftudp.errors import ConfigurationError
from raftudp.limits import IDENTIFIER_BYTES
from raftudp.network.addresses import AddressBook, resolver_for
from raftudp.network.udp import UdpSocket
from raftudp.runtime.clock import monotonic_us
from raftudp.runtime.configuration import (
    DEFAULTS,
    LOG_FORMATS,
    LOG_LEVELS,
    Configuration,
    configuration_from,
    read_keys,
)
from raftudp.runtime.health import Board, serve_health
from raftudp.runtime.leash import tie_to_parent
from raftudp.runtime.loop import Loop
from raftudp.runtime.mailroom import Mailroom
from raftudp.runtime.replica import Identity, MemoryStorage, Replica
from raftudp.runtime.telemetry import Telemetry, configure_logging
from raftudp.store.state_machine import StateMachine
from raftudp.wire.envelope import KeyRing
from raftudp.wire.keys import SHARED_KEY_BYTES

WRONG_SETTINGS: Final = 2
"""Exit status."""


def _option(
    name: str, metavar: str, text: str
) -> Callable[[click.decorators.FC], click.decorators.FC]:
    """An option that is also RAFTUDP_NAME in the environment, taken as text: all are checked
    together.
    """
    variable = f"RAFTUDP_{name.strip('-').replace('-', '_').upper()}"
    default = DEFAULTS.get(name.strip("-").replace("-", "_"))
    told = f"{text} [{variable}{f'; default {default}' if default else ''}]"
    return click.option(name, envvar=variable, metavar=metavar, help=told)


@click.command(
    epilog="Example: raftudp serve --name ss-0 --listen 127.0.0.1:6000"
    " --servers ss-0=127.0.0.1:6000,ss-1=127.0.0.1:6001,ss-2=127.0.0.1:6002 --key-file key"
)
@_option("--name", "NAME", "Which of the servers this replica is.")
@_option("--listen", "HOST:PORT", "Where to listen, UDP.")
@_option("--servers", "NAME=HOST:PORT,...", "All servers of the cluster, this one too.")
@_option("--http", "HOST:PORT", "Serve /livez, /readyz and /metrics there.")
@_option("--key-file", "FILE", "The shared key; see `raftudp keygen`.")
@click.option(
    "--insecure",
    is_flag=True,
    help="Serve beyond loopback without a key: anyone can then do anything. [RAFTUDP_INSECURE]",
)
@_option("--heartbeat-ms", "MS", "How often a leader sends at least.")
@_option("--election-timeout-ms", "MIN-MAX", "Silence of the leader before an election.")
@_option("--stop-timeout", "SECONDS", "How long to wait at a stop that leaves no quorum.")
@_option("--datagram-bytes", "BYTES", "UDP payload at most; 60000 on loopback alone, else 1200.")
@_option("--log-format", "|".join(LOG_FORMATS), "How lines are written to standard output.")
@_option("--log-level", "|".join(LOG_LEVELS), "How much is written.")
def serve(insecure: bool, **options: str | None) -> None:
    """Run one replica until it is told to stop."""
    tie_to_parent()
    if not __debug__:
        _refuse(
            "Python runs with -O, which strips the assertions that guard the data; run it without"
        )
    flag = "1" if insecure else os.environ.get("RAFTUDP_INSECURE")
    try:
        configuration = configuration_from({**options, "insecure": flag})
        run_replica(configuration)
    except ConfigurationError as error:
        _refuse(str(error))


def _refuse(problems: str) -> None:
    """Say what is wrong with the settings, a line each, and end."""
    for line in problems.splitlines():
        click.echo(f"raftudp serve: {line}", err=True)
    sys.exit(WRONG_SETTINGS)


def run_replica(configuration: Configuration) -> None:
    """Be a replica until SIGTERM, SIGINT or an administrator's stop; raises ConfigurationError."""
    configure_logging(configuration.log_format, configuration.log_level)
    now_us = monotonic_us()
    incarnation = os.urandom(IDENTIFIER_BYTES)
    telemetry = Telemetry(configuration.name, incarnation)
    udp_socket = _bind(configuration)
    board = Board()
    _serve_http(configuration, board)
    addresses = AddressBook(configuration.name, resolver_for(udp_socket.family))
    addresses.learn(configuration.servers, now_us)
    keys = _KeyFile(configuration.key_file)
    me = ServerId(configuration.name, incarnation)
    process = os.urandom(IDENTIFIER_BYTES)
    mailroom = Mailroom(me, process, keys.ring, udp_socket, addresses)
    replica = Replica(
        server=Server(_server_configuration(configuration, me), random.SystemRandom(), now_us),
        state_machine=StateMachine(decode_command),
        storage=MemoryStorage(),
        transport=mailroom,
        observer=telemetry,
        identity=Identity(process, __version__, now_us),
        random_bytes=os.urandom,
        body_bytes=configuration.body_bytes,
    )
    loop = Loop(
        replica=replica,
        udp_socket=udp_socket,
        mailroom=mailroom,
        addresses=addresses,
        telemetry=telemetry,
        board=board,
        clock=monotonic_us,
        stop_timeout_us=int(configuration.stop_timeout_s * 1_000_000),
        keep_house=lambda: keys.replace_if_changed(mailroom, telemetry),
    )
    signal.signal(signal.SIGTERM, lambda *_: loop.request_stop())
    signal.signal(signal.SIGINT, lambda *_: loop.request_stop())
    signal.signal(signal.SIGHUP, lambda *_: loop.request_housekeeping())
    _say_started(telemetry, configuration, replica, udp_socket, keys)
    loop.run()
    udp_socket.close()
    telemetry.say(logging.INFO, "stopped", last_applied=replica.last_applied)


def _bind(configuration: Configuration) -> UdpSocket:
    try:
        return UdpSocket(*configuration.listen)
    except OSError as error:
        raise ConfigurationError(
            f"--listen: {configuration.listen} can't be had ({error.strerror}); is another replica"
            " running there?"
        ) from error


def _serve_http(configuration: Configuration, board: Board) -> None:
    if configuration.http is None:
        return
    try:
        serve_health(configuration.http, board)
    except OSError as error:
        raise ConfigurationError(
            f"--http: {configuration.http} can't be had ({error.strerror}); choose another port"
        ) from error


def _server_configuration(configuration: Configuration, me: ServerId) -> ServerConfiguration:
    return ServerConfiguration(
        identity=me,
        peers=configuration.servers,
        body_bytes=configuration.body_bytes,
        heartbeat_ms=configuration.heartbeat_ms,
        election_timeout_ms_minimum=configuration.election_timeout_ms_minimum,
        election_timeout_ms_maximum=configuration.election_timeout_ms_maximum,
    )


def _say_started(
    telemetry: Telemetry,
    configuration: Configuration,
    replica: Replica,
    udp_socket: UdpSocket,
    keys: _KeyFile,
) -> None:
    """The line that says with what a replica runs."""
    telemetry.say(
        logging.INFO,
        "started",
        version=__version__,
        python=platform.python_version(),
        incarnation_whole=replica.transition.identity.incarnation.hex(),
        listen=str(configuration.listen),
        http=str(configuration.http) if configuration.http else None,
        servers=dict(configuration.servers),
        sealed=keys.ring is not None,
        keys=keys.ring.key_ids_hex() if keys.ring else [],
        durability=replica.durability,
        heartbeat_ms=configuration.heartbeat_ms,
        election_timeout_ms=f"{configuration.election_timeout_ms_minimum}"
        f"-{configuration.election_timeout_ms_maximum}",
        datagram_bytes=configuration.datagram_bytes,
        receive_buffer_bytes=udp_socket.receive_buffer_bytes,
        trains=udp_socket.trains,
    )


class _KeyFile:
    """The shared keys, read again when their file changes."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp = self._look()
        self.ring: KeyRing | None = None if path is None else read_keys(path)

    def replace_if_changed(self, mailroom: Mailroom, telemetry: Telemetry) -> None:
        """Use new keys, if there are any; what can't be read changes nothing."""
        stamp = self._look()
        if self._path is None or stamp is None or stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.ring = read_keys(self._path)
        except ConfigurationError as error:
            telemetry.say(logging.ERROR, "keys_refused", why=str(error))
            return
        mailroom.replace_keys(self.ring)
        telemetry.say(logging.INFO, "keys_replaced", keys=self.ring.key_ids_hex())

    def _look(self) -> tuple[int, int, int] | None:
        """What tells one content of the file from another; None while it is not there."""
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size


@click.command(epilog="Example: raftudp keygen key")
@click.argument("file", required=False, type=click.Path(path_type=Path))
def keygen(file: Path | None) -> None:
    """Make a shared key, in FILE (which must not be there yet) or on standard output."""
    text = KeyRing.generate_text(os.urandom(SHARED_KEY_BYTES))
    if file is None:
        click.echo(text, nl=False)
        return
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        click.echo(f"raftudp keygen: {file}: {error.strerror}; nothing was written", err=True)
        sys.exit(1)
    with os.fdopen(descriptor, "w", encoding="ascii") as opened:
        opened.write(text)
