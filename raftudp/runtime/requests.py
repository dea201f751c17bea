"""The words between a replica's parts: who asked what, and what is told about it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from raftudp.consensus.trace import TraceEvent
from raftudp.network.udp import SocketAddress
from raftudp.wire.client_messages import Answer, Request


class Origin(NamedTuple):
    """Where a request came from, and so where its answer goes."""

    address: SocketAddress
    process: bytes
    """The client's process, as its envelope names it."""


class ReceivedRequest(NamedTuple):
    """A client's request, authenticated and decoded."""

    origin: Origin
    request: Request


class AnswerTo(NamedTuple):
    """An answer and its address."""

    origin: Origin
    answer: Answer


class RequestReport(NamedTuple):
    """A client's request that failed or was slow."""

    kind: str
    """write, read, list or an administrative request's name."""
    origin: Origin
    client_id: bytes
    """Of a write; empty otherwise."""
    request: int
    """The sequence of a write, else the number that the client chose."""
    outcome: str
    """The outcome or the refusal, in lower case."""
    duration_us: int


class Observer(Protocol):
    """Hears what a replica does; must not raise, and must not take long."""

    def handle_trace(self, event: TraceEvent, now_us: int) -> None:
        """The core did something."""

    def handle_request(self, report: RequestReport, now_us: int) -> None:
        """A client's request failed or was slow."""
