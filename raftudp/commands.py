"""`raftudp init` and `raftudp up`: founding a cluster, and having a whole one on this machine."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import click

from raftudp.client import Client
from raftudp.client.founding import TIMEOUT_S, Founded, found
from raftudp.client.marker import FileMarker
from raftudp.client.results import Reported
from raftudp.errors import ConfigurationError, RaftudpError
from raftudp.limits import VOTERS_MAXIMUM
from raftudp.network.addresses import parse_named_servers
from raftudp.runtime.local_cluster import LocalCluster
from shell.answers import ExitStatus
from shell.entry import EXIT_STATUS_HELP, WrongSettings, reading_options, run_shell
from shell.output import Output
from shell.signals import Ended, ending_by_signals, undisturbed

QUESTION_TIMEOUT_S = 0.5
FOUNDING_TIMEOUT_S = 30.0
WATCH_INTERVAL_S = 0.2


@click.command(
    epilog="Example: raftudp init --servers ss-0=10.0.0.1:6000,ss-1=10.0.0.2:6000,"
    "ss-2=10.0.0.3:6000 --key-file key --marker marker"
)
@click.option(
    "--servers",
    required=True,
    envvar="RAFTUDP_SERVERS",
    show_envvar=True,
    metavar="NAME=HOST:PORT,...",
    help="All servers of the new cluster.",
)
@click.option(
    "--marker",
    required=True,
    envvar="RAFTUDP_MARKER",
    show_envvar=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file that remembers that the cluster was founded; keep it.",
)
@click.option(
    "--key-file",
    envvar="RAFTUDP_KEY_FILE",
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="The shared key; see `raftudp keygen`.",
)
@click.option(
    "--timeout",
    default=TIMEOUT_S,
    show_default=True,
    envvar="RAFTUDP_TIMEOUT",
    show_envvar=True,
    type=click.FloatRange(0.0, 3600.0, min_open=True),
    metavar="SECONDS",
    help="How long to wait for the servers.",
)
@click.option(
    "--json", "as_json", is_flag=True, envvar="RAFTUDP_JSON", help="Print one JSON object."
)
def init(servers: str, marker: Path, key_file: Path | None, timeout: float, as_json: bool) -> None:
    """Found a cluster, once, of servers that run and are blank.

    Run again it finishes a founding that was broken off, or says which cluster there is; it never
    founds another one under the same marker.
    """
    output = Output(as_json=as_json)
    try:
        expected = parse_named_servers(servers)
        addresses = [address for _, address in expected]
        with Client(addresses, key_file=key_file) as client:
            founded = found(
                expected, FileMarker(marker), client, timeout=timeout, progress=output.note
            )
    except ConfigurationError as error:
        raise WrongSettings(str(error)) from error
    except RaftudpError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        raise click.ClickException("interrupted; run init again to go on") from None
    for notice in founded.notices:
        output.note(notice)
    click.echo(_founded_json(founded) if as_json else _founded_text(founded))


def _founded_text(founded: Founded) -> str:
    cluster_id = founded.cluster.cluster_id.hex()
    return f"cluster {cluster_id} {'is' if founded.is_new else 'was already'} founded"


def _founded_json(founded: Founded) -> str:
    fields = {"cluster_id": founded.cluster.cluster_id.hex(), "epoch": founded.cluster.epoch}
    return json.dumps({**fields, "is_new": founded.is_new})


@click.command(epilog="Example: raftudp up --replicas 5 --base-port 7000\n\n" + EXIT_STATUS_HELP)
@click.option(
    "--replicas",
    default=3,
    show_default=True,
    type=click.IntRange(1, VOTERS_MAXIMUM),
    envvar="RAFTUDP_REPLICAS",
    show_envvar=True,
    help="How many; fewer than three survive no loss.",
)
@click.option(
    "--base-port",
    default=6000,
    show_default=True,
    type=click.IntRange(1, 65_535),
    envvar="RAFTUDP_BASE_PORT",
    show_envvar=True,
    help="The first replica's UDP port; the others take those after it.",
)
@click.option(
    "--no-shell",
    is_flag=True,
    envvar="RAFTUDP_NO_SHELL",
    show_envvar=True,
    help="Read no commands; stay in the foreground until Ctrl-C or SIGTERM.",
)
@reading_options
def up(
    replicas: int, base_port: int, no_shell: bool, commands: tuple[str, ...], as_json: bool
) -> None:
    """Start a cluster on this machine and open the shell on it.

    Replicas ss-0, ss-1, ... run as processes of their own on 127.0.0.1, hold their data in memory
    and end with this command. Commands are typed at a prompt, given by -c, or read from a pipe; all
    that `raftudp-shell` knows is there, and `start NAME` beside it.
    """
    if no_shell and commands:
        raise click.UsageError("--no-shell runs no commands; leave out one or the other")
    directory = Path(tempfile.mkdtemp(prefix="raftudp-"))
    keeps_files = False
    try:
        with ending_by_signals():
            cluster = LocalCluster(directory, replicas=replicas, base_port=base_port)
            try:
                status = _up(cluster, no_shell=no_shell, commands=commands, as_json=as_json)
            finally:
                with undisturbed():
                    failures = cluster.failures()
                    cluster.end()
        keeps_files = _told(failures, directory)
    except ConfigurationError as error:
        raise WrongSettings(str(error)) from error
    except RaftudpError as error:
        keeps_files = True
        raise click.ClickException(f"{error}\nThe logs are kept in {directory}") from error
    except (KeyboardInterrupt, Ended):
        status = ExitStatus.DONE if no_shell else ExitStatus.FAILED
    finally:
        if not keeps_files:
            shutil.rmtree(directory, ignore_errors=True)
    sys.exit(status)


def _up(
    cluster: LocalCluster, *, no_shell: bool, commands: tuple[str, ...], as_json: bool
) -> ExitStatus:
    """Start and found the cluster, and run it as long as the shell, or until a signal comes."""
    output = Output()
    addresses = list(cluster.addresses.values())
    cluster.prepare()
    with output.progress("starting the replicas"):
        cluster.start_all()
        client = Client(addresses, key_file=cluster.key_file)
    with client:
        with output.progress("founding the cluster"):
            _found(cluster, client, output)
        if no_shell:
            _watch(cluster, output)
            return ExitStatus.DONE
        return run_shell(
            client, named=cluster.addresses, commands=commands, as_json=as_json, starter=cluster
        )


def _found(cluster: LocalCluster, client: Client, output: Output) -> None:
    """Wait for all replicas, found the cluster as `raftudp init` does, and say where all is."""

    def silent() -> list[str]:
        addresses = list(cluster.addresses.values())
        outcomes = client.ask_status(addresses, timeout=QUESTION_TIMEOUT_S)
        return [
            name
            for name, address in cluster.addresses.items()
            if not isinstance(outcomes[address], Reported)
        ]

    cluster.wait_until_answering(silent)
    founded = found(
        list(cluster.addresses.items()),
        FileMarker(cluster.marker_file),
        client,
        timeout=FOUNDING_TIMEOUT_S,
    )
    for notice in founded.notices:
        output.note(notice)
    where = ", ".join(f"{name} at {address}" for name, address in cluster.addresses.items())
    output.note(f"{_founded_text(founded)}: {where}")
    output.note(f"key, marker and logs, as long as this runs: {cluster.directory}")


def _watch(cluster: LocalCluster, output: Output) -> None:
    """Stay until a signal comes, and tell of replicas that end by themselves."""
    with suppress(KeyboardInterrupt, Ended):
        told: set[str] = set()
        while True:
            for name in cluster.ended() - told:
                output.note(f"{name} ended")
                told.add(name)
            time.sleep(WATCH_INTERVAL_S)


def _told(failures: dict[str, int], directory: Path) -> bool:
    """Tell which replicas had ended with an error; their logs may say why."""
    for name, exit_status in failures.items():
        click.echo(f"{name} had ended with status {exit_status}; see {directory}", err=True)
    return bool(failures)
