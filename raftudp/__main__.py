"""The command `raftudp`, whose subcommands run replicas, found clusters and try them out."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from raftudp import __version__

COMMANDS: Final = {
    "init": "raftudp.commands:init",
    "keygen": "raftudp.runtime.main:keygen",
    "serve": "raftudp.runtime.main:serve",
    "simulate": "raftudp.simulation.command:simulate",
    "up": "raftudp.commands:up",
}


class Commands(click.Group):
    """Imports a subcommand when it is asked for: a replica starts without shell and simulator."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """The names, as `--help` shows them."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # likewise
        """The subcommand of that name, if there is one."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=Commands)
@click.version_option(__version__, prog_name="raftudp")
def main() -> None:
    """A key/value store whose replicas agree by Raft over plain UDP.

    `raftudp up` starts a cluster on this machine and opens a shell on it; nothing else is needed
    to try it out. `raftudp COMMAND --help` says more about a command.
    """


if __name__ == "__main__":
    main(prog_name="raftudp")
