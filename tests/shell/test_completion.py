"""What the Tab key offers."""

from __future__ import annotations

import pytest

from shell.completion import complete
from shell.verbs import verbs
from tests.shell.fakes import FakeCluster, operations_on

KEYS = {b"alpha": (b"1", 1), b"alpine": (b"2", 2), b"my key": (b"3", 3), b"it's": (b"4", 4)}


def offered(line: str, cluster: FakeCluster | None = None) -> list[str]:
    """All that the last word of `line` can become."""
    cluster = cluster or FakeCluster(values=dict(KEYS))
    lookups = operations_on(cluster).lookups
    start, words = complete(verbs(with_start=True), line, lookups.names, lookups.keys)
    assert start == len(line) or not line[start].isspace()
    return words


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sto", ["store ", "stop "]),
        ("sub", ["submit "]),
        ("submit ", ["read ", "write ", "delete ", "compare ", "list "]),
        ("sub w", ["write "]),
        ("lea tr", ["transfer "]),
        ("status ", ["ss-0 ", "ss-1 ", "ss-2 "]),
        ("lea tr ss-1", ["ss-1 "]),
        ("sub r al", ["alpha ", "alpine "]),
        ("store ss-0 alpi", ["alpine "]),
        ("help sub r", ["read "]),
        ("help ", None),
        ("sub w k ", []),
        ("nonsense ", []),
        ("sub r k more", []),
    ],
)
def test_what_fits_is_offered(line: str, expected: list[str] | None) -> None:
    """Verbs, subverbs, server names and keys, after words that may be cut short."""
    if expected is None:
        assert "submit " in offered(line)
    else:
        assert offered(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sub r my", ["'my key' "]),
        ('sub r "my k', ['"my key" ']),
        ("sub r 'my k", ["'my key' "]),
        ('sub r "it', ['"it\'s" ']),
    ],
)
def test_a_key_is_quoted_where_that_is_needed(line: str, expected: list[str]) -> None:
    """A completed key can be sent as it stands, in the kind of quotes that was begun with."""
    assert offered(line) == expected


def test_a_key_that_cannot_be_typed_is_not_offered() -> None:
    """Control characters and bytes that are no text would spoil the line."""
    cluster = FakeCluster(values={b"a\x1b[2J": (b"", 1), b"a\xff": (b"", 2), b"ab": (b"", 3)})
    assert offered("sub r a", cluster) == ["ab "]


def test_a_failing_cluster_offers_nothing() -> None:
    """The Tab key never shows an error."""
    assert offered("sub r a", FakeCluster(failure=RuntimeError("broken"))) == []


def test_of_many_keys_some_are_offered() -> None:
    """The first ones, and a sign that there are more, which keeps Tab from going too far."""
    cluster = FakeCluster(values={f"key-{n:04}".encode(): (b"", n) for n in range(1000)})
    words = offered("sub r key-", cluster)
    assert len(words) == 51
    assert words[0] == "key-0000 "
    assert words[-1] == "'key-…' "
