"""Runs one line after the other; whatever comes of it is an answer and never a traceback."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from raftudp.errors import OutcomeUnknown, RaftudpError
from shell.answers import Answer, ExitStatus, Failed, Farewell, status_of
from shell.arguments import Call, HelpWanted, WrongUsage, parse
from shell.operations import Operations, helped
from shell.output import Output
from shell.signals import Ended

_SUBMIT = "submit"


class Runner:
    """Runs lines on a cluster and remembers how they went."""

    def __init__(self, operations: Operations, output: Output) -> None:
        self._operations = operations
        self._output = output
        self.status = ExitStatus.DONE
        """The highest status of the commands so far."""
        self.was_broken_off = False
        """Whether Ctrl-C broke off the latest command."""
        self._is_ended = False

    def run(self, line: str, *, place: str = "", paged: bool = False) -> bool:
        """Run a line and show its answer; False if the shell shall end."""
        self.was_broken_off = False
        answer = self._answer(line)
        if answer is None:
            return True
        self.status = max(self.status, status_of(answer))
        self._output.show(answer, place=place, paged=paged)
        return not isinstance(answer, Farewell) and not self._is_ended

    def run_all(self, lines: Iterable[str], place: str) -> None:
        """Run lines that nobody types, until `exit`; empty and `#` lines do nothing.

        An interruption ends it too: of a command, which it breaks off, or between two commands,
        which is an end of input like any other.
        """
        with suppress(KeyboardInterrupt, Ended):
            for number, line in enumerate(lines, start=1):
                if line.lstrip().startswith("#"):
                    continue
                if not self.run(line, place=f"{place} {number}") or self.was_broken_off:
                    return

    def _answer(self, line: str) -> Answer | None:
        try:
            wanted = parse(self._operations.verbs, line)
            match wanted:
                case None:
                    return None
                case HelpWanted():
                    return helped(self._operations, wanted)
                case Call():
                    return self._called(wanted)
        except WrongUsage as error:
            return Failed(str(error), ExitStatus.WRONG_USAGE)

    def _called(self, call: Call) -> Answer:
        words = " ".join(call.verb.words)
        try:
            with self._output.progress(
                f"waiting for an answer to '{words}' (Ctrl-C breaks it off)"
            ):
                return call.verb.run(self._operations, *call.values)
        except (KeyboardInterrupt, Ended) as interruption:
            self.was_broken_off = True
            self._is_ended = isinstance(interruption, Ended)
            return _broken_off(call)
        except OutcomeUnknown as error:
            return _failed(call, str(error), ExitStatus.UNKNOWN, error.request_id)
        except RaftudpError as error:
            return _failed(call, str(error), ExitStatus.FAILED)
        except WrongUsage:
            raise
        except Exception as error:  # a fault of ours: one line for the user, and the shell goes on
            kind = type(error).__name__
            return _failed(
                call, f"'{words}' failed by a fault of raftudp ({kind}: {error})", _open(call)
            )


def _open(call: Call) -> ExitStatus:
    """The status of a command of which only the beginning is known."""
    return ExitStatus.UNKNOWN if call.verb.changes else ExitStatus.FAILED


def _broken_off(call: Call) -> Failed:
    words = " ".join(call.verb.words)
    if not call.verb.changes:
        return _failed(call, f"'{words}' was given up; it changes nothing", ExitStatus.FAILED)
    check = f"'submit read {call.values[0]}'" if call.verb.words[0] == _SUBMIT else "'status'"
    return _failed(
        call,
        f"'{words}' was given up, its outcome is unknown: it may have been done, or be done yet; "
        f"{check} shows it",
        ExitStatus.UNKNOWN,
    )


def _failed(call: Call, message: str, status: ExitStatus, request_id: str | None = None) -> Failed:
    """The failure of a command, with what a program needs to know of a `submit`."""
    if call.verb.words[0] != _SUBMIT:
        return Failed(message, status, request_id=request_id)
    key, *values = (*call.values, "")
    value = values[-2] if len(call.values) > 1 else None
    return Failed(message, status, call.verb.words[1], key, value, request_id)
