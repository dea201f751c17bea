"""What a replica says on standard output: one line for each thing that an operator may ask about
later.

Lines carry names, ids, terms, indexes and durations, never keys of the store, values or secrets.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import Any, Final

import structlog

from raftudp.client.attempts import CLIENT_ID_BYTES_SHOWN
from raftudp.consensus.trace import Action, TraceEvent
from raftudp.consensus.vocabulary import Membership
from raftudp.runtime.requests import RequestReport

LINES_PER_SECOND: Final = 20
"""Of one event that others can cause; what is beyond is counted and told with the next line."""
LEVELS: Final[Mapping[Action, int]] = {
    Action.BIND: logging.INFO,
    Action.GREETING_REFUSED: logging.WARNING,
    Action.GREETING_ANSWERED: logging.WARNING,
    Action.PRE_CAMPAIGN: logging.INFO,
    Action.TIMEOUT: logging.INFO,
    Action.BECOME_LEADER: logging.INFO,
    Action.STEP_DOWN: logging.INFO,
    Action.FOLLOW: logging.INFO,
    Action.UPDATE_TERM: logging.DEBUG,
    Action.GRANT_VOTE: logging.DEBUG,
    Action.TRUNCATE: logging.INFO,
    Action.QUORUM_UNHEARD: logging.WARNING,
    Action.MEMBERSHIP: logging.INFO,
    Action.OPEN: logging.INFO,
    Action.TRANSFER: logging.INFO,
    Action.TRANSFER_ENDED: logging.WARNING,
}
"""How loud each of the core's events is."""


class StandardOutput:
    """A file that structlog can write to: each line leaves at once, and nothing that goes wrong is
    raised.

    Whoever reads the lines may go away; the replica stays.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, text: str) -> None:
        """Write text, or lose it."""
        data = text.encode("utf-8", "backslashreplace")
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            # A closed pipe or a full disk: there is nowhere to say so.
            return

    def flush(self) -> None:
        """Nothing is kept back."""


def configure_logging(log_format: str, log_level: str) -> None:
    """Set structlog up: JSON lines, or for people where `log_format` says so or auto finds a
    terminal.
    """
    descriptor = sys.__stdout__.fileno() if sys.__stdout__ else os.dup(2)
    console = log_format == "console" or (log_format == "auto" and os.isatty(descriptor))
    renderer: Any = (
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    )
    output: Any = StandardOutput(descriptor)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(log_level),
        logger_factory=structlog.WriteLoggerFactory(output),
        cache_logger_on_first_use=False,
    )


class RateLimit:
    """Lets `LINES_PER_SECOND` lines of each event through in any second, and counts the others."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[int, int]] = {}
        """By event: the second that it was last told in, and how often it happened in it."""
        self._suppressed: dict[str, int] = {}

    def allows(self, event: str, now_us: int) -> bool:
        """Whether to tell this event now."""
        second = now_us // 1_000_000
        window, count = self._windows.get(event, (second, 0))
        count = count + 1 if window == second else 1
        self._windows[event] = (second, count)
        if count <= LINES_PER_SECOND:
            return True
        self._suppressed[event] = self._suppressed.get(event, 0) + 1
        return False

    def take_suppressed(self, event: str) -> int:
        """How many were not told since the last line of this event."""
        return self._suppressed.pop(event, 0)


class Telemetry:
    """The replica's `Observer`, and the voice of its loop."""

    def __init__(self, name: str, incarnation: bytes) -> None:
        self._log = structlog.get_logger().bind(server=name, incarnation=incarnation.hex()[:8])
        self._limit = RateLimit()
        self.leader_changes = 0
        """How often this replica learned of another leader or became it, since the start."""

    def say(self, level: int, event: str, **facts: object) -> None:
        """A line of the process itself."""
        self._log.log(level, event, **facts)

    def handle_trace(self, event: TraceEvent, now_us: int) -> None:
        """The core did something."""
        if event.action in (Action.FOLLOW, Action.BECOME_LEADER):
            self.leader_changes += 1
        facts: dict[str, object] = {"term": event.term, "index": event.index}
        if event.other is not None:
            facts["other"] = event.other.name
            facts["other_incarnation"] = event.other.incarnation.hex()[:8]
        if event.detail:
            facts["detail"] = event.detail
        self._say_limited(LEVELS[event.action], snake_case(event.action), facts, now_us)

    def handle_membership(self, membership: Membership, now_us: int) -> None:
        """The membership in force is another."""
        slots = {
            slot.name: slot.incarnation.hex()[:8] if slot.incarnation else None
            for slot in membership.slots
        }
        self._say_limited(logging.INFO, "membership_in_force", {"slots": slots}, now_us)

    def handle_request(self, report: RequestReport, now_us: int) -> None:
        """A client's request failed or was slow."""
        client = report.client_id or report.origin.process
        facts = {
            "kind": report.kind,
            "request_id": request_id(report),
            "client": client.hex(),
            "outcome": report.outcome,
            "duration_ms": report.duration_us / 1_000,
        }
        self._say_limited(logging.WARNING, "client_request", facts, now_us)

    def handle_refusals(self, refused: Mapping[str, int], now_us: int) -> None:
        """Datagrams were refused since the last such line."""
        facts = {"refused": dict(refused)}
        self._say_limited(logging.WARNING, "datagrams_refused", facts, now_us)

    def _say_limited(
        self, level: int, event: str, facts: Mapping[str, object], now_us: int
    ) -> None:
        """A line that the outside can cause: not too many of them."""
        if not self._limit.allows(event, now_us):
            return
        suppressed = self._limit.take_suppressed(event)
        if suppressed:
            facts = {**facts, "suppressed_before": suppressed}
        self._log.log(level, event, **facts)


def request_id(report: RequestReport) -> str:
    """What the client calls the request in its errors, so that one search finds both sides."""
    if report.client_id:
        return f"{report.client_id[:CLIENT_ID_BYTES_SHOWN].hex()}-{report.request}"
    return f"{report.origin.process[:CLIENT_ID_BYTES_SHOWN].hex()}-r{report.request}"


def snake_case(words: str) -> str:
    """BecomeLeader to become_leader, as the lines' events are written."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in words).lstrip("_")
