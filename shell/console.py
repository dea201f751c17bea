"""The prompt: line editing, the Tab key, history, Ctrl-C and Ctrl-D."""

from __future__ import annotations

import cmd
import readline
import signal
from types import FrameType
from typing import NoReturn

from shell.completion import complete
from shell.history import kept_history
from shell.operations import Operations
from shell.output import Output
from shell.runner import Runner
from shell.signals import Ended

_WORD_ENDS = " \t\n"
_END_OF_INPUT = "EOF"
"""What `cmd.Cmd` makes of Ctrl-D."""


class Console(cmd.Cmd):
    """Talks with a person at a terminal."""

    prompt = "raftudp> "

    def __init__(self, operations: Operations, runner: Runner, output: Output) -> None:
        super().__init__()
        self._operations = operations
        self._runner = runner
        self._output = output
        self._matches: list[str] = []
        self._is_leaving = False
        """Ctrl-C came on an empty line, and nothing since."""
        self._was_line_empty = True
        """When Ctrl-C came last."""

    def interact(self) -> None:
        """Run what is typed, until `exit`, Ctrl-D, or Ctrl-C twice on an empty line."""
        servers = ", ".join(self._operations.lookups.names()) or "servers that don't answer yet"
        self.intro = f"raftudp shell on {servers}. 'help' or '?' lists the commands."
        before = signal.signal(signal.SIGINT, self._interrupt)
        readline.set_completer_delims(_WORD_ENDS)
        try:
            with kept_history():
                while not self._ran_to_the_end():
                    pass
        finally:
            signal.signal(signal.SIGINT, before)

    def _ran_to_the_end(self) -> bool:
        """Read and run lines; False if Ctrl-C cleared a line, and the next one is to be read."""
        try:
            self.cmdloop()
        except Ended:
            self._output.new_line()
        except KeyboardInterrupt:
            self._output.new_line()
            self.intro = None
            if self._is_leaving and self._was_line_empty:
                return True
            self._is_leaving = self._was_line_empty
            if self._is_leaving:
                self._output.note("Ctrl-C again, Ctrl-D or 'exit' leaves the shell")
            return False
        return True

    def _interrupt(self, _number: int, _frame: FrameType | None) -> NoReturn:
        self._was_line_empty = not readline.get_line_buffer()
        raise KeyboardInterrupt

    def onecmd(self, line: str) -> bool:
        """Run a line; True ends the loop."""
        self._is_leaving = False
        if line == _END_OF_INPUT:
            self._output.new_line()
            return True
        return not self._runner.run(line, paged=True)

    def complete(self, text: str, state: int) -> str | None:  # type: ignore[override]  # typeshed's is narrower
        """The readline library's completer: the candidates one after the other, then None."""
        if state == 0:
            self._matches = self._complete_line(text)
        return self._matches[state] if state < len(self._matches) else None

    def _complete_line(self, text: str) -> list[str]:
        """What `text`, the letters between the last space and the cursor, can become."""
        line = readline.get_line_buffer()[: readline.get_endidx()]
        lookups = self._operations.lookups
        start, words = complete(self._operations.verbs, line, lookups.names, lookups.keys)
        typed = line[start : len(line) - len(text)]
        return [word[len(typed) :] for word in words if word.startswith(typed)]
