"""Cutting lines into words."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shell.words import split

LINES = st.text(alphabet="ab ?#\t'\"\\é", max_size=20)


@given(LINES)
def test_words_are_those_of_a_posix_shell(line: str) -> None:
    """Every line has the words that shlex finds, and a problem exactly where shlex refuses it."""
    words, problem = split(line)
    try:
        expected = shlex.split(line)
    except ValueError:
        assert problem is not None
    else:
        assert problem is None
        assert [word.text for word in words] == expected


@given(LINES)
def test_a_word_knows_where_it_was_typed(line: str) -> None:
    """`raw` is the piece of the line at `start`, so that it can be replaced there."""
    for word in split(line).words:
        assert word.raw
        assert line[word.start : word.start + len(word.raw)] == word.raw


@pytest.mark.parametrize(
    ("line", "text", "problem"),
    [
        ('write "two wo', "two wo", 'the quote " is not closed'),
        ("write 'two wo", "two wo", "the quote ' is not closed"),
        ("write \"it's", "it's", 'the quote " is not closed'),
        ("write two\\", "two", "the line ends in a backslash with nothing after it"),
    ],
)
def test_an_unfinished_word_is_kept_and_its_problem_named(
    line: str, text: str, problem: str
) -> None:
    """What was typed so far can be completed, and an error says which quote is open."""
    words = split(line)
    assert words.words[-1].text == text
    assert words.problem is not None
    assert words.problem.startswith(problem)
