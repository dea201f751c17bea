"""The lines of a replica: what they say, how many, and what they never do."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from raftudp.consensus.trace import Action, TraceEvent
from raftudp.consensus.vocabulary import Membership, ServerId, Slot
from raftudp.runtime.requests import Origin, RequestReport
from raftudp.runtime.telemetry import (
    LEVELS,
    LINES_PER_SECOND,
    StandardOutput,
    Telemetry,
    configure_logging,
    request_id,
)

OTHER = ServerId("ss-1", b"\xab" * 16)
ORIGIN = Origin(("10.0.0.9", 1), b"\x01" * 16)
WRITE = RequestReport("write", ORIGIN, b"\x02" * 16, 7, "pending_lost", 150_000)


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry("ss-0", b"\xcd" * 16)


@pytest.mark.parametrize("action", Action)
def test_every_trace_event_has_a_level(action: Action) -> None:
    """Nothing that the core can do is without one."""
    assert LEVELS[action] in (logging.DEBUG, logging.INFO, logging.WARNING)


def test_a_transition_is_a_line(telemetry: Telemetry) -> None:
    """It says what happened, in which term, at which index, and whom it concerns."""
    with capture_logs() as lines:
        telemetry.handle_trace(TraceEvent(Action.FOLLOW, 3, 9, OTHER), 0)
    assert lines == [
        {
            "event": "follow",
            "log_level": "info",
            "server": "ss-0",
            "incarnation": "cdcdcdcd",
            "term": 3,
            "index": 9,
            "other": "ss-1",
            "other_incarnation": "abababab",
        }
    ]
    assert telemetry.leader_changes == 1


def test_a_membership_is_a_line(telemetry: Telemetry) -> None:
    """It names the slots and who fills them."""
    membership = Membership((Slot("ss-1", "h:1", OTHER.incarnation), Slot("ss-2", "h:2", None)))
    with capture_logs() as lines:
        telemetry.handle_membership(membership, 0)
    assert lines[0]["slots"] == {"ss-1": "abababab", "ss-2": None}


def test_a_clients_request_is_found_under_the_name_that_the_client_gives_it(
    telemetry: Telemetry,
) -> None:
    """The line holds the request's id, as it is in the client's error."""
    with capture_logs() as lines:
        telemetry.handle_request(WRITE, 0)
    assert lines[0]["request_id"] == request_id(WRITE) == "02020202-7"
    assert (lines[0]["outcome"], lines[0]["duration_ms"]) == ("pending_lost", 150.0)
    read = WRITE._replace(kind="read", client_id=b"")
    assert request_id(read) == "01010101-r7"


def test_a_flood_from_outside_makes_few_lines(telemetry: Telemetry) -> None:
    """So many a second of each event; the next second's first line says how many were left out."""
    with capture_logs() as lines:
        for _ in range(LINES_PER_SECOND + 5):
            telemetry.handle_request(WRITE, 0)
        telemetry.handle_refusals({"unauthenticated": 3}, 0)
        telemetry.handle_request(WRITE, 1_000_000)
    assert len(lines) == LINES_PER_SECOND + 2
    assert lines[-2]["refused"] == {"unauthenticated": 3}
    assert lines[-1]["suppressed_before"] == 5


def test_lines_are_json_and_leave_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    """One object a line on standard output, with time and level; what is below the level is not."""
    before = structlog.get_config()
    try:
        configure_logging("json", "info")
        telemetry = Telemetry("ss-0", bytes(16))
        telemetry.say(logging.INFO, "started", durability="memory")
        telemetry.say(logging.DEBUG, "unheard")
    finally:
        structlog.configure(**before)
    (line,) = capfd.readouterr().out.splitlines()
    said = json.loads(line)
    assert (said["event"], said["level"], said["durability"]) == ("started", "info", "memory")
    assert said["timestamp"].endswith("Z")


def test_a_closed_output_is_survived(tmp_path: Path) -> None:
    """Whoever read the lines may go away."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        StandardOutput(writer).write("a line\n")
    finally:
        os.close(writer)
    StandardOutput(writer).write("another\n")
