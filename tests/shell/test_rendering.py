"""What a person sees: golden texts."""

from __future__ import annotations

import io
from textwrap import dedent

import pytest
from rich.cells import cell_len
from rich.console import Console

from raftudp.store.commands import Item
from shell.answers import Listed
from shell.rendering import VALUE_CHARACTERS_SHOWN, duration, print_answer
from tests.shell.fakes import FakeCluster, run

Captured = pytest.CaptureFixture[str]


def printed(capsys: Captured, cluster: FakeCluster, *lines: str) -> str:
    """What these lines print at 80 columns."""
    run(cluster, *lines)
    return capsys.readouterr().out


def test_status_in_80_columns(capsys: Captured) -> None:
    """A line a server, and the reason for each silence below."""
    assert printed(capsys, FakeCluster(silent={"ss-2"}), "status") == dedent("""\
        NAME  ROLE       TERM  COMMIT  APPLIED  LAG  LEADER  STATE  UP
        ss-0  leader        2       4        4    -  ss-0    ready  1m15s
        ss-1  follower      2       4        4    0  ss-0    ready  1m15s
        ss-2  no answer

        ss-2: 127.0.0.1:6002 did not answer within 10 s
    """)


def test_status_of_one_server(capsys: Captured) -> None:
    """Everything that it says of itself, the leader of its followers too."""
    assert printed(capsys, FakeCluster(), "status ss-0") == dedent("""\
        name            ss-0
        address         127.0.0.1:6000
        role            leader
        state           ready
        term            2
        leader          ss-0 at 127.0.0.1:6000
        commit index    4
        last applied    4
        last log index  4
        durability      memory
        incarnation     00000000000000000000000000000000
        cluster         000102030405060708090a0b0c0d0e0f
        epoch           1
        up              1m15s
        version         0.1.0

        MEMBER  ADDRESS         INCARNATION
        ss-0    127.0.0.1:6000  00000000000000000000000000000000
        ss-1    127.0.0.1:6001  01010101010101010101010101010101
        ss-2    127.0.0.1:6002  02020202020202020202020202020202

        FOLLOWER  MATCH  LAG     RTT    HEARD
        ss-1          4    0  0.2 ms  12.5 ms
        ss-2          4    0  0.2 ms  12.5 ms
    """)


def test_the_store_of_one_server_is_told_apart(capsys: Captured) -> None:
    """A dump says whose it is and how far that server is; the cluster's list does not."""
    cluster = FakeCluster(values={b"a": (b"1", 3), b"two words": (b"2", 4)})
    assert printed(capsys, cluster, "store ss-1", "sub l t", "store ss-0 x") == dedent("""\
        ss-1 itself, applied up to index 4: 2 keys
        KEY        VALUE  REVISION
        a          1             3
        two words  2             4
        1 key beginning with 't'
        KEY        VALUE  REVISION
        two words  2             4
        ss-0 itself, applied up to index 4: no keys beginning with 'x'
    """)


def test_nothing_stored_steers_the_terminal(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control characters, directions of writing and broken UTF-8 are shown escaped."""
    monkeypatch.setenv("COLUMNS", "200")
    hostile = "\x1b]0;title\x07\x9b\u202etxt\r\n\t".encode() + b"\xff"
    cluster = FakeCluster(values={hostile: (hostile, 1)})
    text = printed(capsys, cluster, "store ss-0", "sub l")
    typed = hostile.decode("utf-8", "surrogateescape").replace("\n", " ")
    run(cluster, f"sub r '{typed}'", f"stop '{typed}'")
    out, err = capsys.readouterr()
    for shown in (text, out, err):
        assert shown.replace("\n", "").isprintable()
    assert r"\x1b]0;title\x07\x9b\u202etxt\r\n\t\xff" in text


def test_tags_of_markup_are_characters(capsys: Captured) -> None:
    """A value that looks like a style is no style."""
    assert "[bold]x[/bold] :smile:" in printed(
        capsys, FakeCluster(), "sub w k '[bold]x[/bold] :smile:'"
    )


def test_a_long_value_is_shown_whole_only_by_read(capsys: Captured) -> None:
    """Tables show its beginning and its size; read shows all of it, in one line."""
    value = b"v" * (VALUE_CHARACTERS_SHOWN + 1)
    cluster = FakeCluster(values={b"k": (value, 1)})
    text = printed(capsys, cluster, "sub l")
    assert text.count("v") == VALUE_CHARACTERS_SHOWN
    assert "(301 bytes)" in text
    assert printed(capsys, cluster, "sub r k") == f"k = {value.decode()}  (revision 1)\n"


@pytest.mark.parametrize("width", [30, 80, 200])
def test_tables_fit_the_terminal(width: int) -> None:
    """Long and wide texts are folded at the terminal's width, and nothing is lost."""
    file = io.StringIO()
    items = (Item("漢字".encode() * 30, b"value" * 30, 12),)
    console = Console(file=file, width=width, markup=False, highlight=False)
    print_answer(Listed(b"", items), console)
    lines = file.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= width
    assert file.getvalue().count("漢") == 30


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (60, "1m0s"), (3_600, "1h0m"), (90_000, "1d1h")],
)
def test_durations(seconds: int, text: str) -> None:
    """Two units are enough."""
    assert duration(seconds) == text


def test_help_lists_every_verb(capsys: Captured) -> None:
    """`help` and `?` are the same, and fit 80 columns."""
    text = printed(capsys, FakeCluster(), "help")
    assert text == printed(capsys, FakeCluster(), "?")
    assert max(map(len, text.splitlines())) <= 80
    for usage in ("status [NAME]", "submit compare KEY OLD NEW", "leader transfer NAME", "exit"):
        assert f"\n{usage}" in f"\n{text}"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("sub w ?", "KEY  a key"),
        ("sub w k ?", "VALUE  the new value"),
        ("status ?", "ss-1     a server"),
        ("stop ss-2?", "ss-2  a server"),
        (
            "lea ?",
            "leader transfer NAME  hand the leadership over\n<Enter>               who leads",
        ),
        ("sub r k ?", "<Enter>  nothing more is expected"),
        ("help sub w", "KEY  a key"),
    ],
)
def test_help_in_the_middle(capsys: Captured, line: str, shown: str) -> None:
    """`?` says what may come next: words, servers, arguments, or nothing more."""
    assert shown in printed(capsys, FakeCluster(), line)
