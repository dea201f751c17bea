"""What can stand at the end of an unfinished line: for the tab key."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable

from shell.arguments import Kind, Node, WrongUsage, locate
from shell.words import Word, split

Names = Callable[[], Iterable[str]]
"""The servers' names."""
Keys = Callable[[str], Iterable[str]]
"""The keys that begin with some letters; as many as are worth showing, in little time."""


def complete(root: Node, line: str, names: Names, keys: Keys) -> tuple[int, list[str]]:
    """Where the last word of `line` begins, and all that it can become, quoted where need be."""
    words = split(line).words
    word = words[-1] if words and line.endswith(words[-1].raw) else Word("", "", len(line))
    before = [other.text for other in words if other.start < word.start]
    return word.start, [_typed(text, word.raw) for text in _meant(root, before, word, names, keys)]


def _meant(root: Node, before: list[str], word: Word, names: Names, keys: Keys) -> Iterable[str]:
    """The texts that begin with the letters of `word` and fit after the words before it."""
    try:
        position = locate(root, before)
        if position.argument is not None and position.argument.kind is Kind.TOPIC:
            position = locate(root, position.values)
    except WrongUsage:
        return []
    if position.node.children:
        return [name for name in position.node.children if name.startswith(word.text.lower())]
    match position.argument and position.argument.kind:
        case Kind.SERVER:
            return [name for name in names() if name.startswith(word.text)]
        case Kind.KEY:
            return [key for key in keys(word.text) if key.startswith(word.text)]
        case _:
            return []


def _typed(text: str, raw: str) -> str:
    """How `text` is typed, quoted in the way that `raw` began with, and a space after it."""
    if raw.startswith('"'):
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}" '
    if raw.startswith("'") and "'" not in text:
        return f"'{text}' "
    return f"{shlex.quote(text)} "
