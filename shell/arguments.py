"""Finds out what a line asks for: a verb of a table, by unique prefixes, then its arguments.

The same walk along the line serves execution, `?` and completion, so that they can't disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from shell.answers import Answer
from shell.words import Word, split


class WrongUsage(Exception):
    """A line makes no sense; the text says what would be right (exit status 2)."""


class Kind(Enum):
    """What an argument names, which decides its help and its completion."""

    SERVER = "server"
    KEY = "key"
    VALUE = "value"
    TOPIC = "topic"


class Argument(NamedTuple):
    """One argument of a verb."""

    name: str
    """In capitals, as help shows it."""
    kind: Kind
    help: str
    optional: bool = False
    repeated: bool = False
    """Takes all the words that are left."""

    @property
    def usage(self) -> str:
        """The argument in a usage line."""
        shown = f"{self.name}..." if self.repeated else self.name
        return f"[{shown}]" if self.optional else shown


class Verb(NamedTuple):
    """One command: its words, what follows them, and what runs it."""

    words: tuple[str, ...]
    arguments: tuple[Argument, ...]
    help: str
    run: Callable[..., Answer]
    """Takes what commands work on (`operations.Operations`), then the arguments' words."""
    changes: bool = False
    """Whether breaking it off leaves open if something was changed."""
    yields: bool = False
    """Gives way where letters fit another verb too: `sta` is status, even where there is start."""

    @property
    def usage(self) -> str:
        """The command in full, `submit read KEY`."""
        return " ".join((*self.words, *(argument.usage for argument in self.arguments)))


@dataclass(slots=True)
class Node:
    """A place in the tree of the verbs' words."""

    path: tuple[str, ...] = ()
    verb: Verb | None = None
    children: dict[str, Node] = field(default_factory=dict)

    def verbs(self) -> list[Verb]:
        """Every verb from here down, in the table's order."""
        here = [self.verb] if self.verb is not None else []
        return here + [verb for child in self.children.values() for verb in child.verbs()]


class Position(NamedTuple):
    """Where in the grammar some words lead."""

    node: Node
    values: tuple[str, ...]
    """The words beyond the verb's own."""

    @property
    def argument(self) -> Argument | None:
        """The argument that comes next, if one does."""
        arguments = self.node.verb.arguments if self.node.verb is not None else ()
        if len(self.values) < len(arguments):
            return arguments[len(self.values)]
        return arguments[-1] if arguments and arguments[-1].repeated else None


class Call(NamedTuple):
    """A command, ready to run."""

    verb: Verb
    values: tuple[str, ...]


class HelpWanted(NamedTuple):
    """A `?` was typed at this position, after these first letters of a word."""

    position: Position
    letters: str


def tree_of(verbs: Iterable[Verb]) -> Node:
    """Join a table of verbs by their words."""
    root: Node = Node()
    for verb in verbs:
        node = root
        for word in verb.words:
            node = node.children.setdefault(word, Node((*node.path, word)))
        assert node.verb is None, f"two verbs are called {verb.words}"
        node.verb = verb
    return root


def candidates(names: Iterable[str], letters: str) -> list[str]:
    """The names that `letters` may stand for: the one spelt out, else all that begin with it."""
    names = list(names)
    return [letters] if letters in names else [name for name in names if name.startswith(letters)]


def locate(root: Node, texts: Sequence[str]) -> Position:
    """Follow words through the tree; raises `WrongUsage` at a word that leads nowhere."""
    node = root
    for number, text in enumerate(texts):
        if not node.children:
            return Position(node, tuple(texts[number:]))
        node = _child(node, text)
    return Position(node, ())


def _child(node: Node, letters: str) -> Node:
    """The word after `node` that `letters` stand for."""
    found = candidates(node.children, letters.lower())
    children = [node.children[word] for word in found]
    firm = [child for child in children if child.verb is None or not child.verb.yields]
    chosen = firm if len(firm) == 1 else children
    if len(chosen) != 1:
        raise WrongUsage(_no_such_word(node, letters, found))
    return chosen[0]


def parse(root: Node, line: str) -> Call | HelpWanted | None:
    """What a whole line asks for; None for an empty one. Raises `WrongUsage`."""
    words, problem = split(line)
    wanted = _help_wanted(root, words)
    if wanted is not None:
        return wanted
    if problem is not None:
        raise WrongUsage(problem)
    if not words:
        return None
    position = locate(root, [word.text for word in words])
    verb = position.node.verb
    if verb is None:
        path = " ".join(position.node.path)
        raise WrongUsage(
            f"'{path}' is not complete: it goes on with {_one_of(position.node.children)}"
        )
    missing = position.argument
    if missing is not None and not missing.optional:
        raise WrongUsage(f"{missing.name} is missing: {verb.usage}")
    taken = len(verb.arguments)
    if len(position.values) > taken and not (verb.arguments and verb.arguments[-1].repeated):
        extra = position.values[taken]
        quoting = "; put a value with spaces in quotes" if _takes_value(verb) else ""
        raise WrongUsage(f"'{extra}' is too much: {verb.usage}{quoting}")
    return Call(verb, position.values)


def _help_wanted(root: Node, words: Sequence[Word]) -> HelpWanted | None:
    """Find the first `?` that asks for help.

    A word of its own asks anywhere. At the end of a word it asks only where a verb or a server is
    due: keys and values may end in a question mark. In quotes it never asks.
    """
    for number, word in enumerate(words):
        if not word.raw.endswith("?"):
            continue
        position = locate(root, [before.text for before in words[:number]])
        if word.raw == "?":
            return HelpWanted(position, "")
        argument = position.argument
        if position.node.children or (argument is not None and argument.kind is Kind.SERVER):
            return HelpWanted(position, word.text.removesuffix("?"))
    return None


def _takes_value(verb: Verb) -> bool:
    return any(argument.kind is Kind.VALUE for argument in verb.arguments)


def _no_such_word(node: Node, text: str, found: Sequence[str]) -> str:
    after = f" after '{' '.join(node.path)}'" if node.path else ""
    if found:
        return f"'{text}'{after} is ambiguous: {_one_of(found)}"
    return f"'{text}' is unknown{after}: try {_one_of(node.children)}"


def _one_of(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
