"""The shell at a terminal: what a person types, and what comes back."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pexpect
import pytest

from tests.integration.up_process import (
    DEADLINE_S,
    command,
    environment,
    files_left,
    replicas_of,
    wait_until_gone,
)

PROMPT = "raftudp> "
CTRL_C, CTRL_D, UP = "\x03", "\x04", "\x1b[A"
PATIENCE_S = 3.0
"""For a key to be completed, before Tab is pressed again."""
_STEERING = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")


class Terminal:
    """A terminal of 80 columns with `raftudp up` in it."""

    def __init__(self, directory: Path) -> None:
        program, *arguments = command()
        self.process = pexpect.spawn(
            program,
            arguments,
            env=environment(directory),
            dimensions=(24, 80),
            encoding="utf-8",
            timeout=DEADLINE_S,
        )
        self.process.delaybeforesend = None
        self.process.expect_exact(PROMPT)
        self.replicas = replicas_of(self.process.pid)

    def type(self, text: str) -> None:
        """Press keys."""
        self.process.send(text)

    def run(self, line: str) -> str:
        """Type a line; what it prints until the next prompt."""
        self.type(f"{line}\r")
        self.process.expect_exact("\n")
        return self.shown()

    def shown(self) -> str:
        """What is printed until the next prompt, without what steers the terminal."""
        self.process.expect_exact(PROMPT)
        return _STEERING.sub("", self.process.before)

    def press_until(self, keys: str, text: str) -> None:
        """Press keys and wait for a text."""
        self.type(keys)
        self.process.expect_exact(text)

    def end(self) -> int:
        """Wait for the end; the exit status."""
        self.process.expect(pexpect.EOF)
        self.process.close()
        assert wait_until_gone(self.replicas) == []
        assert self.process.exitstatus is not None, "ended by a signal"
        return int(self.process.exitstatus)

    def complete(self, keys: str, text: str) -> None:
        """Press keys, then Tab until it brings a text: on a busy machine keys may come too late."""
        self.type(keys)
        while True:
            self.type("\t")
            if self.process.expect_exact([text, pexpect.TIMEOUT], timeout=PATIENCE_S) == 0:
                return


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal at the shell's first prompt."""
    terminal = Terminal(tmp_path)
    try:
        yield terminal
    finally:
        terminal.process.close(force=True)
        assert wait_until_gone(terminal.replicas) == []


def test_a_session(terminal: Terminal, tmp_path: Path) -> None:
    """Prefixes, quoting, help, wrong input and an empty line, and Ctrl-D to leave."""
    assert terminal.run('sub w "two words" "a value"').startswith("done: two words = a value")
    assert terminal.run("sub r 'two words'").startswith("two words = a value  (revision ")
    assert terminal.run("") == ""
    assert "submit compare KEY OLD NEW" in terminal.run("?")
    assert "read a key" in terminal.run("submit ?")
    assert terminal.run("sub ? k v") == terminal.run("submit ?")
    assert "KEY  a key" in terminal.run("sub w ?")
    assert "ss-1     a server" in terminal.run("status ?")
    assert "is ambiguous: status, start, store or stop" in terminal.run("st")
    assert "'nonsense' is unknown" in terminal.run("nonsense")
    assert 'the quote " is not closed' in terminal.run('sub w "two')
    assert "KEY is missing" in terminal.run("sub r")
    assert "known are ss-0, ss-1, ss-2" in terminal.run("stop ss-7")
    assert "incarnation" in terminal.run("sta ss-1")
    terminal.type(CTRL_D)
    assert terminal.end() == 0
    assert files_left(tmp_path) == []


def test_the_tab_key(terminal: Terminal) -> None:
    """Verbs, subverbs, servers and keys are completed, a key with a space in quotes."""
    terminal.run("submit write alpha 1")
    terminal.run("submit write 'beta two' 2")
    terminal.complete("sub", "submit ")
    terminal.complete("r", "read ")
    terminal.complete("al", "alpha ")
    terminal.type("\r")
    assert "alpha = 1" in terminal.shown()
    terminal.complete("submit read b", "'beta two' ")
    terminal.type("\r")
    assert "beta two = 2" in terminal.shown()
    terminal.complete("status \t\t", "ss-0")
    terminal.process.expect_exact("ss-2")
    terminal.shown()
    terminal.type("1\r")
    assert "127.0.0.1" in terminal.shown()
    terminal.press_until("nonsense \t", "nonsense ")
    terminal.type("\r")
    assert "unknown" in terminal.shown()


def test_ctrl_c_clears_the_line_and_breaks_off_a_command(terminal: Terminal) -> None:
    """The replicas don't get it; a write's outcome is then unknown, and the shell goes on."""
    terminal.run("submit write a 1")
    terminal.press_until("submit wri", "submit wri")
    terminal.type(CTRL_C)
    assert "leaves the shell" not in terminal.shown()
    assert terminal.run("submit read a").startswith("a = 1")
    terminal.run("stop ss-0")
    terminal.run("stop ss-1")
    terminal.press_until("submit write a 2\r", "waiting for an answer to 'submit write'")
    terminal.type(CTRL_C)
    assert "its outcome is unknown" in terminal.shown()
    terminal.press_until("submit read a\r", "waiting for an answer to 'submit read'")
    terminal.type(CTRL_C)
    assert "it changes nothing" in terminal.shown()
    terminal.type("exit\r")
    assert terminal.end() == 0


def test_ctrl_c_twice_on_an_empty_line_leaves(terminal: Terminal) -> None:
    """The first says so, and a command in between takes it back."""
    terminal.type(CTRL_C)
    assert "Ctrl-C again, Ctrl-D or 'exit' leaves the shell" in terminal.shown()
    terminal.run("servers")
    terminal.type(CTRL_C)
    assert "Ctrl-C again" in terminal.shown()
    terminal.type(CTRL_C)
    assert terminal.end() == 0


def test_history_is_kept_across_runs_for_its_user_alone(tmp_path: Path) -> None:
    """The up arrow brings back a line of the run before."""
    first = Terminal(tmp_path)
    first.run("submit read remembered")
    first.type(CTRL_D)
    first.end()
    history = tmp_path / "raftudp" / "history"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    second = Terminal(tmp_path)
    second.press_until(UP, "submit read remembered")
    second.type("\r")
    assert "remembered is absent" in second.shown()
    second.type("exit\r")
    assert second.end() == 0


def test_a_long_dump_is_paged(terminal: Terminal) -> None:
    """Keys that are more than the screen holds wait for their reader; other answers don't."""
    terminal.process.setwinsize(5, 80)
    assert "exit" in terminal.run("help")
    for number in range(5):
        terminal.run(f"submit write key-{number} x")
    terminal.type("store\r")
    terminal.process.expect(r":\x1b\[K|--More--")
    terminal.type("q")
    terminal.shown()
    terminal.type(CTRL_D)
    assert terminal.end() == 0


def test_a_closed_terminal_leaves_nothing(terminal: Terminal, tmp_path: Path) -> None:
    """SIGHUP, which the kernel sends then, ends everything."""
    with suppress(pexpect.ExceptionPexpect):  # it ends, but in more than a tenth of a second
        terminal.process.close(force=False)
    assert wait_until_gone([terminal.process.pid, *terminal.replicas]) == []
    assert files_left(tmp_path) == []
