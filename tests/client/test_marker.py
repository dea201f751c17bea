"""The marker in a file: created once, changed by compare-and-set."""

from __future__ import annotations

from pathlib import Path

import pytest

from raftudp.client.marker import FileMarker, MarkerContent, MarkerState
from raftudp.consensus.vocabulary import Cluster, Membership, Slot
from raftudp.errors import FoundingError

SLOTS = (Slot("ss-0", "a:1", b"0" * 16), Slot("ss-1", "b:2", b"1" * 16))
FOUNDING = MarkerContent(MarkerState.FOUNDING, Cluster(b"c" * 16, 1, b"e" * 16), Membership(SLOTS))
FOUNDED = FOUNDING._replace(state=MarkerState.FOUNDED)


def test_a_marker_says_what_it_was_created_with(tmp_path: Path) -> None:
    """Before that, there is none."""
    marker = FileMarker(tmp_path / "marker")
    assert marker.read() is None
    assert marker.create(FOUNDING)
    assert marker.read() == FOUNDING


def test_a_marker_is_created_once(tmp_path: Path) -> None:
    """The second one finds the first one's."""
    marker = FileMarker(tmp_path / "marker")
    assert marker.create(FOUNDING)
    assert not FileMarker(tmp_path / "marker").create(FOUNDED)
    assert marker.read() == FOUNDING


def test_a_marker_is_changed_only_from_what_was_expected(tmp_path: Path) -> None:
    """Of two changes from the same content one wins."""
    marker = FileMarker(tmp_path / "marker")
    assert not marker.replace(FOUNDING, FOUNDED)
    marker.create(FOUNDING)
    assert marker.replace(FOUNDING, FOUNDED)
    assert not marker.replace(FOUNDING, FOUNDING)
    assert marker.read() == FOUNDED


def test_nothing_is_left_beside_a_marker_but_its_lock(tmp_path: Path) -> None:
    """Files written aside are gone, also after a refusal."""
    marker = FileMarker(tmp_path / "marker")
    marker.create(FOUNDING)
    marker.create(FOUNDING)
    marker.replace(FOUNDING, FOUNDED)
    assert {path.name for path in tmp_path.iterdir()} == {"marker", "marker.lock"}


@pytest.mark.parametrize("text", ["", "{}", "[]", "7", '{"state": "founding", "epoch": 1}'])
def test_a_damaged_marker_is_not_taken_for_none(tmp_path: Path, text: str) -> None:
    """It alone tells which cluster was founded, so nobody goes on without it."""
    path = tmp_path / "marker"
    path.write_text(text)
    with pytest.raises(FoundingError, match="damaged"):
        FileMarker(path).read()


def test_a_place_that_fails_is_told(tmp_path: Path) -> None:
    """A directory that isn't there is an error of one line."""
    with pytest.raises(FoundingError, match="can't be used"):
        FileMarker(tmp_path / "none" / "marker").create(FOUNDING)
