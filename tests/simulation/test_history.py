"""Histories: how they are recorded, and their form as JSON lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftudp.errors import DecodeError
from raftudp.simulation.history import (
    Comparison,
    History,
    OperationKind,
    Outcome,
    Recorded,
    describe,
    from_lines,
    load,
    revisions_violated,
    save,
    to_lines,
)

READ, WRITE, DELETE, COMPARE = OperationKind
DONE, NOT_DONE, UNKNOWN = Outcome

FIELDS = ["process", "operation", "key", "argument", "result", "invoked", "returned"]


@st.composite
def operations(draw: st.DrawFn) -> Recorded:
    """Any operation that a client may record, without a revision."""
    contents = st.one_of(st.binary(max_size=4), st.text(max_size=4).map(str.encode))
    operation = draw(st.sampled_from(OperationKind))
    outcome = draw(st.sampled_from(Outcome))
    invoked = draw(st.integers(0, 2**63))
    argument: bytes | Comparison | None = None
    result: bytes | bool | None = None
    if operation is WRITE:
        argument, result = draw(contents), True
    elif operation is COMPARE:
        argument = Comparison(draw(st.none() | contents), draw(contents))
        result = draw(st.booleans())
    elif operation is DELETE:
        result = draw(st.booleans())
    else:
        result = draw(st.none() | contents)
    return Recorded(
        process=draw(st.integers(0, 99)),
        operation=operation,
        key=draw(contents),
        argument=argument,
        result=result if outcome is DONE else None,
        invoked=invoked,
        returned=None if outcome is UNKNOWN else invoked + draw(st.integers(0, 1000)),
        outcome=outcome,
    )


@settings(deadline=None)
@given(st.lists(operations(), max_size=5))
def test_lines_say_everything(history: list[Recorded]) -> None:
    """What is read back equals what was written."""
    assert list(from_lines(to_lines(history))) == history


@settings(deadline=None)
@given(operations())
def test_a_line_has_exactly_the_agreed_fields(recorded: Recorded) -> None:
    """Other checkers find the fields that they were promised, in one line of ASCII."""
    (line,) = to_lines([recorded])
    assert list(json.loads(line)) == FIELDS
    assert line.isascii() and len(line.splitlines()) == 1


def test_the_form_of_every_kind_of_operation() -> None:
    """The lines are those of the module's description."""
    history = [
        Recorded(1, READ, b"k", None, None, 1, 2, DONE, 7),
        Recorded(1, WRITE, b"k", "ä".encode(), True, 3, 4, DONE, 8),
        Recorded(2, DELETE, b"\xff", None, False, 5, 6, DONE),
        Recorded(2, COMPARE, b"k", Comparison(None, b"\x80"), True, 7, 8, DONE),
        Recorded(3, WRITE, b"k", b"v", None, 9, 10, NOT_DONE),
        Recorded(3, WRITE, b"k", b"v", None, 11, None, UNKNOWN),
    ]
    rows = [list(json.loads(line).values()) for line in to_lines(history)]
    assert rows == [
        [1, "read", "k", None, None, 1, 2],
        [1, "write", "k", "ä", True, 3, 4],
        [2, "delete", {"base64": "/w=="}, None, False, 5, 6],
        [2, "compare", "k", {"expected": None, "new": {"base64": "gA=="}}, True, 7, 8],
        [3, "write", "k", "v", {"outcome": "not done"}, 9, 10],
        [3, "write", "k", "v", None, 11, None],
    ]


def test_a_file_keeps_a_history(tmp_path: Path) -> None:
    """A history saved is the history loaded; a bad line of a file is named."""
    path = tmp_path / "history.jsonl"
    history = [Recorded(1, WRITE, b"k", "\u2028".encode(), True, 3, 4, DONE)]
    save(path, history)
    assert load(path) == history
    path.write_bytes(path.read_bytes() + b"\xff\n")
    with pytest.raises(DecodeError, match=r"^line 2 is not JSON: "):
        load(path)


GOOD = {
    "process": 1,
    "operation": "write",
    "key": "k",
    "argument": "v",
    "result": True,
    "invoked": 3,
    "returned": 4,
}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"more": 1}, "not an object of exactly the fields process operation key"),
        ({"operation": "append"}, "operation is none of read, write, delete, compare"),
        ({"operation": ["read"]}, "operation is none of"),
        ({"process": "1"}, "process is not an integer"),
        ({"invoked": True}, "invoked is not an integer"),
        ({"invoked": 3.0}, "invoked is not an integer"),
        ({"returned": "4"}, "returned is not an integer"),
        ({"returned": 2}, "returned is before invoked"),
        ({"key": None}, 'key is neither text nor {"base64": ...}'),
        ({"key": {"base64": "a"}}, "key: "),
        ({"key": {"base64": "ü"}}, "key: "),
        ({"key": {"base64": 1}}, "key: "),
        ({"key": "\ud800"}, "key: "),
        ({"argument": None}, "argument is neither"),
        ({"operation": "read"}, "the argument of a read is not null"),
        ({"operation": "delete"}, "the argument of a delete is not null"),
        ({"operation": "compare"}, "the argument of a compare is not"),
        ({"operation": "compare", "argument": {"expected": None}}, "the argument of a compare"),
        (
            {"operation": "compare", "argument": {"expected": 1, "new": "v"}},
            "expected is neither",
        ),
        (
            {"operation": "compare", "argument": {"expected": None, "new": None}},
            "new is neither",
        ),
        ({"operation": "read", "argument": None}, "result is neither"),
        ({"result": False}, "the result of a write is not true"),
        ({"result": None}, "the result of a write is not true"),
        ({"operation": "delete", "argument": None, "result": "v"}, "the result of a delete is not"),
        ({"returned": None}, "there is a result, but returned is null"),
    ],
)
def test_a_bad_line_is_named(change: dict[str, object], complaint: str) -> None:
    """One error tells the line's number and what is wrong with it."""
    lines = [json.dumps(GOOD), json.dumps(GOOD | change)]
    with pytest.raises(DecodeError) as caught:
        list(from_lines(lines))
    assert str(caught.value).startswith(f"line 2: {complaint}")


@pytest.mark.parametrize("line", ["", "{", "nonsense", b"\xff", "[" * 100_000, "9" * 5_000])
def test_a_line_that_is_no_json_is_named(line: str | bytes) -> None:
    """Whatever a line holds, the error is DecodeError."""
    with pytest.raises(DecodeError, match=r"^line 1 is not JSON: "):
        list(from_lines([line]))


@settings(deadline=None)
@given(st.binary(max_size=40) | st.from_type(dict).map(lambda x: json.dumps(GOOD | x).encode()))
def test_any_line_is_an_operation_or_one_error(line: bytes) -> None:
    """No bytes raise anything but DecodeError."""
    try:
        (recorded,) = from_lines([line])
    except DecodeError:
        return
    assert list(from_lines(to_lines([recorded]))) == [recorded]


def test_what_never_ends_has_an_unknown_outcome() -> None:
    """Operations are listed as they were invoked, each as far as it is known."""
    history = History()
    first = history.invoke(1, WRITE, b"k", b"v", 10)
    second = history.invoke(2, WRITE, b"k", b"w", 20)
    history.invoke(3, DELETE, b"k", None, 30)
    history.refuse(second, 40)
    history.complete(first, True, 50, 7)
    assert history.operations() == [
        Recorded(1, WRITE, b"k", b"v", True, 10, 50, DONE, 7),
        Recorded(2, WRITE, b"k", b"w", None, 20, 40, NOT_DONE),
        Recorded(3, DELETE, b"k", None, None, 30, None, UNKNOWN),
    ]


def test_an_operation_ends_once() -> None:
    """A second end is a mistake of the caller, and changes nothing."""
    history = History()
    number = history.invoke(1, READ, b"k", None, 10)
    history.complete(number, None, 20)
    before = history.operations()
    with pytest.raises(AssertionError, match="ends once"):
        history.refuse(number, 30)
    assert history.operations() == before


def test_stamps_keep_the_order_of_events_while_the_clock_stands_still() -> None:
    """What ended before something began is known to have done so, even at one time of the clock."""
    history = History()
    for _ in range(3):
        history.complete(history.invoke(1, READ, b"k", None, 10), None, 10)
    history.invoke(1, READ, b"k", None, 100)
    stamps = [(recorded.invoked, recorded.returned) for recorded in history.operations()]
    assert stamps == [(10, 11), (12, 13), (14, 15), (100, None)]


def test_an_operation_is_described_in_one_line() -> None:
    """People read who asked what, what they were told, and when."""
    assert [
        describe(Recorded(1, READ, b"k", None, None, 1, 2, DONE)),
        describe(Recorded(1, WRITE, b"k", b"v" * 100, True, 3, 4, DONE, 8)),
        describe(Recorded(2, COMPARE, b"k", Comparison(None, b"\xff"), False, 7, 8, DONE)),
        describe(Recorded(3, DELETE, b"k", None, None, 11, None, UNKNOWN)),
    ] == [
        "process 1: read → absent (from 1 to 2)",
        f"process 1: write '{'v' * 39}... (100 bytes) → true (from 3 to 4, revision 8)",
        r"process 2: compare absent to '\\xff' → false (from 7 to 8)",
        "process 3: delete → unknown (from 11)",
    ]


@pytest.mark.parametrize(
    "history",
    [
        [],
        [
            Recorded(1, WRITE, b"k", b"a", True, 1, 2, DONE, 5),
            Recorded(1, COMPARE, b"k", Comparison(b"a", b"a"), True, 3, 4, DONE, 6),
            Recorded(2, READ, b"k", None, b"a", 5, 6, DONE, 6),
            Recorded(2, COMPARE, b"k", Comparison(b"b", b"c"), False, 7, 8, DONE, 9),
            Recorded(2, READ, b"k", None, b"a", 9, 10, DONE, 6),
            Recorded(1, DELETE, b"k", None, True, 11, 12, DONE, 10),
            Recorded(2, READ, b"k", None, None, 13, 14, DONE, 0),
        ],
        [
            Recorded(1, WRITE, b"k", b"a", None, 1, None, UNKNOWN),
            Recorded(2, READ, b"k", None, b"a", 3, 4, DONE, 5),
            Recorded(2, READ, b"k", None, b"a", 3, 5, DONE, 5),
        ],
        [
            Recorded(1, WRITE, b"k", b"a", True, 1, 5, DONE, 6),
            Recorded(2, WRITE, b"k", b"b", True, 5, 6, DONE, 5),
        ],
    ],
    ids=["empty", "in turn", "of a write unknown", "at one time"],
)
def test_revisions_in_order_are_right(history: list[Recorded]) -> None:
    """A log in which each command has a place of its own contradicts nothing."""
    assert revisions_violated(history) is None


@pytest.mark.parametrize(
    ("history", "complaint"),
    [
        (
            [
                Recorded(1, WRITE, b"k", b"a", True, 1, 2, DONE, 5),
                Recorded(2, WRITE, b"k", b"a", True, 1, 2, DONE, 5),
            ],
            "two operations have one revision",
        ),
        (
            [
                Recorded(1, WRITE, b"k", b"a", True, 1, 2, DONE, 5),
                Recorded(2, READ, b"k", None, b"b", 1, 2, DONE, 5),
            ],
            "one revision has two values",
        ),
        (
            [
                Recorded(1, READ, b"k", None, b"a", 1, 2, DONE, 5),
                Recorded(2, READ, b"k", None, b"b", 1, 2, DONE, 5),
            ],
            "one revision has two values",
        ),
        (
            [
                Recorded(1, WRITE, b"k", b"a", True, 1, 2, DONE, 5),
                Recorded(2, WRITE, b"k", b"b", True, 3, 4, DONE, 4),
            ],
            "the revision goes back",
        ),
        (
            [
                Recorded(1, READ, b"k", None, b"a", 1, 2, DONE, 5),
                Recorded(2, READ, b"k", None, b"b", 3, 4, DONE, 4),
            ],
            "the revision goes back",
        ),
        (
            [
                Recorded(1, READ, b"k", None, b"a", 1, 2, DONE, 5),
                Recorded(2, WRITE, b"k", b"a", True, 3, 4, DONE, 5),
            ],
            "the revision goes back",
        ),
        (
            [
                Recorded(1, READ, b"k", None, b"a", 1, 2, DONE, 5),
                Recorded(2, DELETE, b"k", None, False, 3, 4, DONE, 4),
            ],
            "the revision goes back",
        ),
    ],
)
def test_revisions_that_contradict_each_other_are_told(
    history: list[Recorded], complaint: str
) -> None:
    """The two operations that can't both be right are named, in whatever order they are given."""
    for given_history in (history, history[::-1]):
        violated = revisions_violated(given_history)
        assert violated is not None
        assert violated.startswith(complaint)
        assert sorted(violated.splitlines()[1:]) == sorted(f"  {describe(r)}" for r in history)
