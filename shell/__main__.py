"""The command `raftudp-shell`: the shell on a running cluster."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from raftudp.client import Client
from raftudp.errors import ClientError, ConfigurationError
from shell.entry import (
    EXIT_STATUS_HELP,
    WrongSettings,
    client_addresses,
    reading_options,
    run_shell,
)
from shell.signals import ending_by_signals

_EXAMPLES = """\b
Examples:
  raftudp-shell --servers 127.0.0.1:6000,127.0.0.1:6001 --key-file key
  raftudp-shell --servers 127.0.0.1:6000 -c 'submit write a 1' -c 'submit read a'
  echo status | raftudp-shell --servers ss-0=10.0.0.1:6000,ss-1=10.0.0.2:6000 --json

"""


@click.command(name="raftudp-shell", epilog=_EXAMPLES + EXIT_STATUS_HELP)
@click.option(
    "--servers",
    required=True,
    envvar="RAFTUDP_SERVERS",
    show_envvar=True,
    metavar="HOST:PORT,...",
    help="Some or all of the servers; NAME=HOST:PORT,... gives their names too.",
)
@click.option(
    "--key-file",
    envvar="RAFTUDP_KEY_FILE",
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="The cluster's key, as `raftudp keygen` made it; without one only loopback is served.",
)
@click.option(
    "--timeout",
    default=10.0,
    show_default=True,
    envvar="RAFTUDP_TIMEOUT",
    show_envvar=True,
    type=click.FloatRange(0.0, 3600.0, min_open=True),
    metavar="SECONDS",
    help="How long a command waits for its answer.",
)
@reading_options
def main(
    servers: str,
    key_file: Path | None,
    timeout: float,
    commands: tuple[str, ...],
    as_json: bool,
) -> None:
    """Look after a raftudp cluster: read and write keys, see and stop servers.

    Commands are typed at a prompt, given by -c, or read from a pipe. Type '?' for help.
    """
    try:
        addresses = client_addresses(servers)
        client = Client(list(addresses), key_file=key_file, timeout=timeout)
    except (ConfigurationError, ClientError) as error:
        raise WrongSettings(str(error)) from error
    named = {name: address for address, name in addresses.items() if name is not None}
    with ending_by_signals(), client:
        status = run_shell(client, named=named, commands=commands, as_json=as_json)
    sys.exit(status)


if __name__ == "__main__":
    main(prog_name="raftudp-shell")
