"""Where answers and errors go: for people or programs, to a terminal, a pager or a pipe."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import TextIO

import click
from rich.console import Console
from rich.text import Text

from shell import json_lines, rendering
from shell.answers import Answer, Dumped, Listed, error_of

PIPE_WIDTH = 80
PROGRESS_DELAY_S = 1.0
_TRAILING_SPACES = re.compile(" +$", re.MULTILINE)


class Output:
    """Standard output and standard error, as the command line wants them."""

    def __init__(self, *, as_json: bool = False) -> None:
        self._as_json = as_json
        self._out = _console(sys.stdout)
        self._errors = _console(sys.stderr)

    def show(self, answer: Answer, *, place: str = "", paged: bool = False) -> None:
        """Print an answer; `place` says which line or command a failure belongs to.

        `paged`: keys that are more than the screen holds wait for their reader.
        """
        if self._as_json:
            for line in json_lines.lines(answer):
                print(line, flush=True)  # noqa: T201 (this is the program's output)
        error = error_of(answer)
        if error is not None:
            self.error(error, place=place)
        elif not self._as_json:
            self._print(answer, paged)

    def error(self, message: str, *, place: str = "") -> None:
        """Say on standard error what went wrong."""
        head = (f"{place or 'error'}: ", "bold red")
        self._say(Text.assemble(head, rendering.error_text(message)))

    def note(self, message: str) -> None:
        """Say something on standard error that is neither an answer nor an error."""
        self._say(rendering.error_text(message))

    def _say(self, text: Text) -> None:
        self._errors.print(text, soft_wrap=not self._errors.is_terminal)

    def new_line(self) -> None:
        """End the line of the prompt, after Ctrl-C and Ctrl-D."""
        self._out.print()

    def _print(self, answer: Answer, paged: bool) -> None:
        with self._out.capture() as captured:
            rendering.print_answer(answer, self._out)
        text = _TRAILING_SPACES.sub("", captured.get())
        is_dump = isinstance(answer, Dumped | Listed)  # nothing else is long
        if paged and is_dump and self._out.is_terminal and text.count("\n") >= self._out.height:
            click.echo_via_pager(text)
        else:
            self._out.file.write(text)
            self._out.file.flush()

    @contextmanager
    def progress(self, message: str) -> Iterator[None]:
        """If this lasts longer than a second, say so on a terminal, and take it back afterwards."""
        if not self._errors.is_terminal:
            yield
            return
        status = self._errors.status(message)
        timer = Timer(PROGRESS_DELAY_S, status.start)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            status.stop()


def _console(stream: TextIO) -> Console:
    """A console without markup; no terminal is 80 columns wide unless COLUMNS says otherwise."""
    fixed = None if stream.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH
    return Console(file=stream, width=fixed, markup=False, highlight=False, emoji=False)
