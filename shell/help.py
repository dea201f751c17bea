"""The texts behind `help` and `?`, made from the table of verbs."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from shell.answers import HelpShown
from shell.arguments import HelpWanted, Kind, Node, Position, WrongUsage

_ENTER = "<Enter>"

_HINTS = (
    "Words may be cut short while they stay unique: 'sub w k v', 'sta ss-1'.",
    "'?' helps anywhere in a line, Tab completes. Quotes keep spaces together.",
)


def overview(root: Node) -> HelpShown:
    """All commands, a line each."""
    return HelpShown(tuple((verb.usage, verb.help) for verb in root.verbs()), _HINTS)


def at(wanted: HelpWanted, names: Callable[[], Iterable[str]]) -> HelpShown:
    """What may come where a `?` was typed. Raises `WrongUsage` where nothing may."""
    node, position = wanted.position.node, wanted.position
    if not node.path and not wanted.letters:
        return overview(node)
    rows: list[tuple[str, str]] = []
    for word, child in node.children.items():
        if word.startswith(wanted.letters.lower()):
            rows += [(verb.usage, verb.help) for verb in child.verbs()]
    argument = position.argument
    if argument is not None and argument.kind is Kind.SERVER:
        rows += _servers(position, [name for name in names() if name.startswith(wanted.letters)])
    elif argument is not None and not wanted.letters:
        rows.append((argument.name, argument.help))
    if node.verb is not None and not wanted.letters and (argument is None or argument.optional):
        rows.append((_ENTER, node.verb.help if not position.values else "nothing more is expected"))
    if not rows:
        raise WrongUsage(f"nothing here begins with '{wanted.letters}'")
    notes = (f"Usage: {node.verb.usage}",) if node.verb is not None else ()
    return HelpShown(tuple(rows), notes)


def _servers(position: Position, names: Iterable[str]) -> list[tuple[str, str]]:
    argument = position.argument
    assert argument is not None
    known = [(name, "a server") for name in names]
    return known or [(argument.name, argument.help)]
