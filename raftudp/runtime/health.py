"""What is served over HTTP: /livez, /readyz and /metrics, from threads of their own that never
touch the loop.

The loop publishes an immutable `Picture`; a request reads the latest one.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from raftudp.network.addresses import HostPort
from raftudp.runtime.clock import monotonic_us

LIVE_WITHIN_US: Final = 5_000_000
"""A loop that has not turned for so long is stuck."""
REQUEST_TIMEOUT_S: Final = 5.0
REQUESTS_AT_A_TIME_MAXIMUM: Final = 16
ROLES: Final = ("leader", "candidate", "follower", "learner", "blank")
WHY_NOT_READY: Final = {
    "unformed": "blank, and no cluster was seen: found one with `raftudp init`",
    "returning": "not yet given what the cluster had committed",
    "no-quorum": "knows no leader: too few servers are reachable",
}


class Picture(NamedTuple):
    """A replica as of one moment of its loop."""

    turned_us: int
    role: str
    state: str
    gauges: Mapping[str, int]
    """By name without prefix."""
    counters: Mapping[str, int]
    received: Mapping[str, int]
    """Messages by type; so below."""
    sent: Mapping[str, int]
    refused: Mapping[str, int]
    """Datagrams and requests that got no further, by reason."""
    socket_errors: Mapping[str, int]


DESCRIPTIONS: Final = {
    "term": "current term",
    "commit_index": "greatest log index known to be committed",
    "applied_index": "greatest log index applied to the store",
    "last_log_index": "last index of the log",
    "pending_writes": "writes proposed and not yet applied",
    "pending_reads": "linearizable reads not yet answered",
    "receive_buffer_bytes": "receive buffer that the kernel gave",
    "wakeups": "turns of the loop that found something to do",
    "datagrams_received": "datagrams taken from the socket; by wakeups, the size of a batch",
    "leader_changes": "times that this replica learned of another leader, or became it",
    "mails_without_address": "messages not sent because the receiver's name does not resolve",
    "kernel_drops": "datagrams that the kernel dropped because the receive buffer was full",
    "writes_served": "commands answered with their result",
    "reads_served": "gets and lists answered",
}


class Board:
    """Where the loop leaves its latest picture; replacing a reference needs no lock."""

    def __init__(self) -> None:
        self.picture: Picture | None = None
        """None until the first turn."""

    def is_live(self, now_us: int) -> bool:
        """Whether the loop turned lately."""
        picture = self.picture
        return picture is not None and now_us - picture.turned_us <= LIVE_WITHIN_US

    def why_not_ready(self, now_us: int) -> str | None:
        """The state and what it lacks, in a line; None when ready."""
        picture = self.picture
        if picture is None or not self.is_live(now_us):
            return "the loop does not turn"
        if picture.state == "ready":
            return None
        return f"{picture.state}: {WHY_NOT_READY.get(picture.state, '')}"


class PictureCollector(Collector):
    """The latest picture as Prometheus metrics."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        """All metrics; none before the first turn."""
        picture = self._board.picture
        if picture is None:
            return
        role = GaugeMetricFamily("raftudp_role", "1 for the role held", labels=["role"])
        for name in ROLES:
            role.add_metric([name], int(name == picture.role))
        yield role
        ready = int(picture.state == "ready")
        yield GaugeMetricFamily("raftudp_ready", "1 when ready to serve", value=ready)
        for name, value in picture.gauges.items():
            yield GaugeMetricFamily(f"raftudp_{name}", DESCRIPTIONS[name], value=value)
        for name, value in picture.counters.items():
            yield CounterMetricFamily(f"raftudp_{name}", DESCRIPTIONS[name], value=value)
        labelled = (
            ("messages_received", "type", "messages taken in", picture.received),
            ("messages_sent", "type", "messages sent", picture.sent),
            ("refused", "reason", "datagrams and requests refused", picture.refused),
            ("socket_errors", "error", "failed sends and receives", picture.socket_errors),
        )
        for name, label, text, values in labelled:
            family = CounterMetricFamily(f"raftudp_{name}", text, labels=[label])
            for key, value in values.items():
                family.add_metric([key], value)
            yield family


class _Server(ThreadingHTTPServer):
    """A thread a request, bounded in number; a request beyond that is not answered."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 2 * REQUESTS_AT_A_TIME_MAXIMUM

    def __init__(self, where: HostPort, board: Board, clock: Callable[[], int]) -> None:
        self.board = board
        self.clock = clock
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(PictureCollector(board))
        self._free = threading.BoundedSemaphore(REQUESTS_AT_A_TIME_MAXIMUM)
        found = socket.getaddrinfo(*where, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family = found[0][0]
        super().__init__(where, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve on a thread of its own, if there is one left."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve, then give the thread's place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked went away; nobody is left to be told."""


class _Handler(BaseHTTPRequestHandler):
    """Three pages."""

    server: _Server
    timeout = REQUEST_TIMEOUT_S
    server_version = "raftudp"
    sys_version = ""

    def do_GET(self) -> None:  # the name that http.server calls
        """Answer one of the three pages."""
        board, now_us = self.server.board, self.server.clock()
        match self.path.partition("?")[0]:
            case "/livez":
                live = board.is_live(now_us)
                self._answer(live, "live" if live else "the loop does not turn")
            case "/readyz":
                why_not = board.why_not_ready(now_us)
                self._answer(why_not is None, why_not or "ready")
            case "/metrics":
                self._send(200, CONTENT_TYPE_LATEST, generate_latest(self.server.registry))
            case _:
                self._send(404, "text/plain", b"/livez, /readyz or /metrics\n")

    def _answer(self, good: bool, text: str) -> None:
        self._send(200 if good else 503, "text/plain; charset=utf-8", f"{text}\n".encode())

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Probes come every second; they are no news."""


def serve_health(
    where: HostPort, board: Board, clock: Callable[[], int] = monotonic_us
) -> ThreadingHTTPServer:
    """Serve on a daemon thread; raises OSError if the port can't be had."""
    server = _Server(where, board, clock)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
