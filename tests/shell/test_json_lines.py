"""The exact fields of section 9 of the design, on which others' programs rely."""

from __future__ import annotations

import json
from typing import Any

import pytest

from raftudp.errors import NotDone, OutcomeUnknown
from tests.shell.fakes import FakeCluster, run

Captured = pytest.CaptureFixture[str]

STATUS_FIELDS = [
    *("name", "role", "term", "leader", "commit_index", "last_applied", "last_log_index"),
    *("incarnation", "cluster_id", "epoch", "durability", "state", "uptime_s", "membership"),
]
SUBMIT_FIELDS = ["operation", "key", "value", "revision", "outcome"]


def objects(capsys: Captured, cluster: FakeCluster, *lines: str) -> list[dict[str, Any]]:
    """What these lines print with --json."""
    run(cluster, *lines, as_json=True)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_status_has_an_object_a_server(capsys: Captured) -> None:
    """Exactly these fields, `followers` on the leader alone, name and error for the silent."""
    leader, follower, silent = objects(capsys, FakeCluster(silent={"ss-2"}), "status")
    assert list(leader) == [*STATUS_FIELDS, "followers"]
    assert list(follower) == STATUS_FIELDS
    assert list(silent) == ["name", "error"]
    assert silent["name"] == "ss-2"
    assert leader["cluster_id"] == bytes(range(16)).hex()
    assert leader["epoch"] == 1
    assert follower["incarnation"] == "01" * 16
    assert leader["membership"][1] == {
        "name": "ss-1",
        "incarnation": "01" * 16,
        "voter": True,
        "address": "127.0.0.1:6001",
    }
    assert leader["followers"][0] == {
        "name": "ss-1",
        "match_index": 4,
        "lag_entries": 0,
        "rtt_ms": 0.25,
        "last_heard_ms": 12.5,
    }


def test_status_of_one_server_has_the_same_fields(capsys: Captured) -> None:
    """NAME chooses the object and changes nothing about it."""
    (one,) = objects(capsys, FakeCluster(), "status ss-1")
    assert list(one) == STATUS_FIELDS
    (silent,) = objects(capsys, FakeCluster(silent={"ss-1"}), "status ss-1")
    assert list(silent) == ["name", "error"]


def test_nobody_known_to_lead_is_null(capsys: Captured) -> None:
    """An empty name would be taken for a server's."""
    assert objects(capsys, FakeCluster(leader=""), "status ss-1")[0]["leader"] is None


def test_submit_has_these_fields(capsys: Captured) -> None:
    """Every operation has the five; reads and deletes say whether the key was there."""
    written, read, missing, deleted, absent = objects(
        capsys,
        FakeCluster(),
        *("sub w a 1", "sub r a", "sub r b", "sub d a", "sub d a"),
    )
    assert written == dict(zip(SUBMIT_FIELDS, ("write", "a", "1", 5, "done"), strict=True))
    fields = (*SUBMIT_FIELDS, "found")
    assert read == dict(zip(fields, ("read", "a", "1", 5, "done", True), strict=True))
    assert missing == dict(zip(fields, ("read", "b", None, None, "done", False), strict=True))
    assert deleted == dict(zip(fields, ("delete", "a", None, 6, "done", True), strict=True))
    assert absent == dict(zip(fields, ("delete", "a", None, 7, "done", False), strict=True))


def test_compare_says_whether_it_was_done(capsys: Captured) -> None:
    """A value that differs is an outcome, and no error."""
    _, done, not_done = objects(capsys, FakeCluster(), "sub w a 1", "sub c a 1 2", "sub c a 1 3")
    assert done == dict(zip(SUBMIT_FIELDS, ("compare", "a", "2", 6, "done"), strict=True))
    assert not_done == dict(
        zip(SUBMIT_FIELDS, ("compare", "a", "3", None, "not done"), strict=True)
    )


def test_a_list_is_one_object(capsys: Captured) -> None:
    """The fields of a submit, and the keys under `items`."""
    _, _, listed = objects(capsys, FakeCluster(), "sub w a 1", "sub w b 2", "sub l a")
    assert list(listed) == [*SUBMIT_FIELDS, "items"]
    assert listed["key"] == "a"
    assert listed["items"] == [{"key": "a", "value": "1", "revision": 5}]


def test_store_has_an_object_a_server(capsys: Captured) -> None:
    """`name`, `applied_index` and `items`; name and error where one does not answer."""
    _, *stores = objects(capsys, FakeCluster(silent={"ss-1"}), "sub w a 1", "store")
    items = [{"key": "a", "value": "1", "revision": 5}]
    assert stores[0] == {"name": "ss-0", "applied_index": 5, "items": items}
    assert list(stores[1]) == ["name", "error"]
    assert stores[2]["name"] == "ss-2"


def test_what_is_no_text_is_base64(capsys: Captured) -> None:
    """Keys and values that are not UTF-8 appear as an object."""
    cluster = FakeCluster(values={b"\xff": (b"\x00\xfe", 3)})
    (listed,) = objects(capsys, cluster, "sub l")
    assert listed["items"] == [
        {"key": {"base64": "/w=="}, "value": {"base64": "AP4="}, "revision": 3}
    ]


def test_bytes_that_are_no_text_are_stored_as_they_came(capsys: Captured) -> None:
    """A pipe may carry any bytes; they are kept, not refused."""
    cluster = FakeCluster()
    typed = b"sub w k \xff".decode("utf-8", "surrogateescape")
    (written,) = objects(capsys, cluster, typed)
    assert cluster.values[b"k"][0] == b"\xff"
    assert written["value"] == {"base64": "/w=="}


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [(NotDone("no"), "not done"), (OutcomeUnknown("timed out", "7"), "unknown")],
)
def test_a_failed_submit_says_its_outcome(
    capsys: Captured, failure: Exception, outcome: str
) -> None:
    """The five fields, the error, and of an unknown outcome the request's id."""
    (failed,) = objects(capsys, FakeCluster(failure=failure), "sub c k 1 2")
    expected = ("compare", "k", "2", None, outcome)
    assert {name: failed[name] for name in SUBMIT_FIELDS} == dict(
        zip(SUBMIT_FIELDS, expected, strict=True)
    )
    assert failed["error"] == str(failure)
    assert failed.get("request_id") == ("7" if outcome == "unknown" else None)
