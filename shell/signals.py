"""Turns the signals that end a program into an exception, so that it tidies up on its way out."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Ended(BaseException):
    """SIGTERM or SIGHUP came; no `except Exception` shall stop it."""


@contextmanager
def ending_by_signals() -> Iterator[None]:
    """Within this, SIGTERM and SIGHUP raise `Ended` in the main thread."""
    before = {number: signal.signal(number, _end) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Within this, which must be short, neither these signals nor Ctrl-C have an effect."""
    before = {
        number: signal.signal(number, signal.SIG_IGN) for number in (*_SIGNALS, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Ended
