"""The table of verbs, from which parsing, help, `?` and completion are made."""

from __future__ import annotations

from shell import operations
from shell.arguments import Argument, Kind, Node, Verb, tree_of

_NAME = Argument("NAME", Kind.SERVER, "a server, as 'servers' lists them")
_KEY = Argument("KEY", Kind.KEY, "a key, at most 1 KiB; in quotes if it has spaces")
_PREFIX = Argument("PREFIX", Kind.KEY, "only keys that begin with this", optional=True)


def _value(name: str, help_text: str) -> Argument:
    return Argument(name, Kind.VALUE, f"{help_text}, at most 1 MiB; in quotes if it has spaces")


_STATUS = Verb(
    ("status",),
    (_NAME._replace(optional=True),),
    "how the servers are, or all that one says of itself",
    operations.status,
)
_START = Verb(
    ("start",),
    (_NAME,),
    "start a stopped server's process again",
    operations.start,
    changes=True,
    yields=True,
)
_REST = (
    Verb(
        ("store",),
        (_NAME._replace(optional=True), _PREFIX),
        "what each server itself holds, and its applied index",
        operations.store,
    ),
    Verb(("stop",), (_NAME,), "end a server's process", operations.stop, changes=True),
    Verb(("submit", "read"), (_KEY,), "read a key, linearizable", operations.read),
    Verb(
        ("submit", "write"),
        (_KEY, _value("VALUE", "the new value")),
        "write a key",
        operations.write,
        changes=True,
    ),
    Verb(("submit", "delete"), (_KEY,), "delete a key", operations.delete, changes=True),
    Verb(
        ("submit", "compare"),
        (_KEY, _value("OLD", "the value expected"), _value("NEW", "the new value")),
        "write NEW if the value is OLD",
        operations.compare,
        changes=True,
    ),
    Verb(("submit", "list"), (_PREFIX,), "list keys, linearizable", operations.list_keys),
    Verb(("servers",), (), "the servers and their addresses", operations.servers),
    Verb(("leader",), (), "who leads", operations.leader),
    Verb(
        ("leader", "transfer"),
        (_NAME,),
        "hand the leadership over",
        operations.transfer,
        changes=True,
    ),
    Verb(
        ("help",),
        (Argument("WORD", Kind.TOPIC, "words of a command", optional=True, repeated=True),),
        "this list; with words, what may follow them",
        operations.explain,
    ),
    Verb(("exit",), (), "leave the shell (also Ctrl-D)", operations.leave),
)


def verbs(*, with_start: bool) -> Node:
    """The tree of all verbs; `start` is there only where the shell can start processes."""
    return tree_of((_STATUS, *([_START] if with_start else []), *_REST))
