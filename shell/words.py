"""Cuts a line into words as a POSIX shell would, and remembers how each word was typed."""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

_SPACE = re.compile(r"[ \t\r\n]*")
_WORD = re.compile(
    r"""(?: [^ \t\r\n'"\\]++ | \\. | '[^']*' | "(?: [^"\\]++ | \\. )*+" )*+""",
    re.VERBOSE | re.DOTALL,
)


class Word(NamedTuple):
    """One word of a line."""

    text: str
    """What it means, quotes and backslashes resolved."""
    raw: str
    """What was typed."""
    start: int
    """Where `raw` begins in the line, in characters."""


class Words(NamedTuple):
    """A line's words."""

    words: tuple[Word, ...]
    problem: str | None
    """Why the last word is unfinished (a quote that nobody closed), or None."""


def split(line: str) -> Words:
    """Cut `line`; any text gives words, and an unfinished last word is kept."""
    words: list[Word] = []
    start = _end_of(_SPACE, line, 0)
    while start < len(line):
        end = _end_of(_WORD, line, start)
        if end < len(line) and line[end] in "'\"\\":
            return Words((*words, _unfinished(line[start:], line[end], start)), _problem(line[end]))
        words.append(Word(_meaning(line[start:end]), line[start:end], start))
        start = _end_of(_SPACE, line, end)
    return Words(tuple(words), None)


def _end_of(pattern: re.Pattern[str], line: str, start: int) -> int:
    """Where a match of a pattern that matches always ends."""
    match = pattern.match(line, start)
    assert match is not None
    return match.end()


def _meaning(raw: str) -> str:
    return shlex.split(raw)[0] if any(mark in raw for mark in "'\"\\") else raw


def _unfinished(raw: str, mark: str, start: int) -> Word:
    """A last word whose quote or backslash (`mark`) is left open, as if it were finished here."""
    if mark == "'":
        return Word(_meaning(raw + "'"), raw, start)
    backslashes = len(raw) - len(raw.rstrip("\\"))
    finished = raw[: len(raw) - backslashes % 2] + (mark if mark == '"' else "")
    return Word(_meaning(finished) if finished else "", raw, start)


def _problem(mark: str) -> str:
    if mark == "\\":
        return "the line ends in a backslash with nothing after it; put the value in quotes"
    return f"the quote {mark} is not closed"
