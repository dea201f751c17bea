"""From a line to a command, by unique prefixes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shell.arguments import Call, HelpWanted, WrongUsage, parse
from shell.verbs import verbs

SHELL = verbs(with_start=False)
LOCAL_SHELL = verbs(with_start=True)


def call(line: str, *, with_start: bool = False) -> tuple[str, ...]:
    """The verb's words and the arguments of a line that is a command."""
    found = parse(LOCAL_SHELL if with_start else SHELL, line)
    assert isinstance(found, Call)
    return (*found.verb.words, *found.values)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sta ss-1", ("status", "ss-1")),
        ("sub w k v", ("submit", "write", "k", "v")),
        ("lea tr ss-2", ("leader", "transfer", "ss-2")),
        ("leader", ("leader",)),
        ("STATUS", ("status",)),
        ("store", ("store",)),
        ("sto ss-0 pre", None),
        ("stor ss-0 pre", ("store", "ss-0", "pre")),
        ('su c "a key" \'\' "new value"', ("submit", "compare", "a key", "", "new value")),
        ("exit", ("exit",)),
    ],
)
def test_unique_prefixes_stand_for_words(line: str, expected: tuple[str, ...] | None) -> None:
    """Each word may be cut short at every position, as long as one word alone begins with it."""
    if expected is None:
        with pytest.raises(WrongUsage, match="store or stop"):
            parse(SHELL, line)
    else:
        assert call(line) == expected


def test_start_gives_way_to_status() -> None:
    """`sta` is status under `raftudp up` too, where there is a start; `star` is start."""
    assert call("sta ss-1", with_start=True) == ("status", "ss-1")
    assert call("star ss-1", with_start=True) == ("start", "ss-1")
    with pytest.raises(WrongUsage, match="'st' is ambiguous: status, start, store or stop"):
        parse(LOCAL_SHELL, "st ss-1")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("s", "'s' is ambiguous: status, store, stop, submit or servers"),
        ("start ss-0", "'start' is unknown: try status, store, stop, submit, servers, leader, "),
        ("sub x", "'x' is unknown after 'submit': try read, write, delete, compare or list"),
        ("submit", "'submit' is not complete: it goes on with read, write,"),
        ("submit read", "KEY is missing: submit read KEY"),
        ("submit compare a b", "NEW is missing: submit compare KEY OLD NEW"),
        ("sub w k two words", "'words' is too much: submit write KEY VALUE; put a value"),
        ("leader ss-0", "'ss-0' is unknown after 'leader': try transfer"),
        ("servers now", "'now' is too much: servers"),
        ('sub w k "v', 'the quote " is not closed'),
        ("stop", "NAME is missing: stop NAME"),
    ],
)
def test_wrong_usage_says_what_would_be_right(line: str, text: str) -> None:
    """An error names the word that is wrong and what may stand in its place."""
    with pytest.raises(WrongUsage) as caught:
        parse(SHELL, line)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("line", ["", "   ", "\t"])
def test_an_empty_line_asks_for_nothing(line: str) -> None:
    """In particular it does not repeat the command before it."""
    assert parse(SHELL, line) is None


@pytest.mark.parametrize(
    ("line", "path", "values", "letters"),
    [
        ("?", (), (), ""),
        ("submit ?", ("submit",), (), ""),
        ("sub w ?", ("submit", "write"), (), ""),
        ("sub w k ?", ("submit", "write"), ("k",), ""),
        ("sub ? k v", ("submit",), (), ""),
        ("sub w?", ("submit",), (), "w"),
        ("status ?", ("status",), (), ""),
        ("status ss?", ("status",), (), "ss"),
        ('sub w ? "open', ("submit", "write"), (), ""),
    ],
)
def test_a_question_mark_asks_for_help_where_it_stands(
    line: str, path: tuple[str, ...], values: tuple[str, ...], letters: str
) -> None:
    """At the end or in the middle, whatever follows it."""
    wanted = parse(SHELL, line)
    assert isinstance(wanted, HelpWanted)
    assert (wanted.position.node.path, wanted.position.values) == (path, values)
    assert wanted.letters == letters


@pytest.mark.parametrize("value", ["'?'", '"?"', "\\?", "what?"])
def test_a_question_mark_can_be_stored(value: str) -> None:
    """In quotes, or as the last letter of a key or value, it is a character as any other."""
    assert call(f"sub w k {value}")[3] == value.strip("'\"\\")


@given(st.text(max_size=40))
def test_any_line_is_a_command_help_or_wrong_usage(line: str) -> None:
    """Nothing that can be typed raises anything else."""
    with suppress(WrongUsage):
        parse(LOCAL_SHELL, line)
