"""Opens the shell on a cluster: at a terminal, on commands given, or on those of a pipe."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import click

from raftudp.errors import ConfigurationError
from raftudp.network.addresses import parse_host_port, parse_named_servers
from shell.answers import ExitStatus
from shell.console import Console
from shell.lookups import Lookups
from shell.operations import Operations
from shell.output import Output
from shell.protocols import ClusterClient, Starter
from shell.runner import Runner
from shell.servers import Servers
from shell.verbs import verbs

EXIT_STATUS_HELP = (
    "Exit status: 0 every command succeeded, 1 a command failed, 2 wrong usage or settings, "
    "3 the outcome of a change is unknown; of several the highest. A failed command does not stop "
    "those after it. At a prompt errors are shown at once, so the exit status is 0."
)
JSON_HELP = (
    "Print one JSON object a line and nothing else on standard output: a server's status, a "
    "submit (a list has its keys under 'items'), a server's store; 'error' where one failed."
)

_Command = TypeVar("_Command", bound=Callable[..., object])


class WrongSettings(click.ClickException):
    """A setting is wrong; its text is all that is printed, and the exit status is 2."""

    exit_code = ExitStatus.WRONG_USAGE


def reading_options(command: _Command) -> _Command:
    """Add the options that say where commands come from and how answers look."""
    for option in (
        click.option("--json", "as_json", is_flag=True, envvar="RAFTUDP_JSON", help=JSON_HELP),
        click.option(
            "-c",
            "commands",
            multiple=True,
            metavar="COMMAND",
            help="Run this command instead of reading any; may be repeated.",
        ),
    ):
        command = option(command)
    return command


def client_addresses(text: str) -> dict[str, str | None]:
    """Read `HOST:PORT,...` or `NAME=HOST:PORT,...`: names by address, None where none is given.

    Raises `ConfigurationError`.
    """
    if "=" in text:
        return {address: name for name, address in parse_named_servers(text)}
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise ConfigurationError("no server is given; write --servers HOST:PORT,...")
    return {str(parse_host_port(part)): None for part in parts}


def run_shell(
    client: ClusterClient,
    *,
    named: Mapping[str, str],
    commands: Sequence[str],
    as_json: bool,
    starter: Starter | None = None,
) -> ExitStatus:
    """Run the commands, or those read from standard input, and return the exit status.

    `named` are the addresses of servers whose names are known; `starter` brings the verb `start`.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a locale may know fewer letters
    servers = Servers(client, named)
    lookups = Lookups(client, servers)
    operations = Operations(
        verbs(with_start=starter is not None), client, servers, lookups, starter
    )
    output = Output(as_json=as_json)
    runner = Runner(operations, output)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
    if commands:
        runner.run_all(commands, "command")
    elif sys.stdin.isatty() and sys.stdout.isatty() and not as_json:
        Console(operations, runner, output).interact()
        return ExitStatus.DONE
    else:
        runner.run_all(sys.stdin, "line")
    return runner.status
