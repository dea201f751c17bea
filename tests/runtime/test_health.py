"""What is served over HTTP, over real loopback."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import pytest

from raftudp.network.addresses import HostPort
from raftudp.runtime.health import (
    DESCRIPTIONS,
    LIVE_WITHIN_US,
    REQUESTS_AT_A_TIME_MAXIMUM,
    Board,
    Picture,
    serve_health,
)

PICTURE = Picture(
    turned_us=1_000,
    role="leader",
    state="ready",
    gauges={"term": 3, "commit_index": 9},
    counters={"kernel_drops": 2},
    received={"AppendEntries": 4},
    sent={"Written": 5},
    refused={"unauthenticated": 6},
    socket_errors={"send ENETUNREACH": 7},
)


class Served:
    """A server with a board and a clock that the test sets."""

    def __init__(self) -> None:
        self.board = Board()
        self.now_us = 1_000
        self.server = serve_health(HostPort("127.0.0.1", 0), self.board, lambda: self.now_us)
        self.port = self.server.server_address[1]

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    server = Served()
    try:
        yield server
    finally:
        server.server.shutdown()
        server.server.server_close()


@pytest.fixture
def served(server: Served) -> Served:
    """The one server, as if it had just begun."""
    server.board.picture = None
    server.now_us = 1_000
    return server


def test_live_is_a_loop_that_turned_lately(served: Served) -> None:
    """Not before the first turn, and not long after the last one."""
    assert served.get("/livez")[0] == 503
    served.board.picture = PICTURE
    assert served.get("/livez")[0] == 200
    served.now_us = PICTURE.turned_us + LIVE_WITHIN_US
    assert served.get("/livez")[0] == 200
    served.now_us += 1
    assert served.get("/livez")[0] == 503
    assert served.get("/readyz")[0] == 503


@pytest.mark.parametrize("state", ["unformed", "returning", "no-quorum"])
def test_ready_says_why_not(served: Served, state: str) -> None:
    """The body names the state and what it lacks."""
    served.board.picture = PICTURE._replace(state=state)
    status, body = served.get("/readyz")
    assert status == 503
    assert body.startswith(f"{state}: ")
    assert len(body.split()) > 2


def test_ready_is_ready(served: Served) -> None:
    """With the state ready, the answer is 200."""
    served.board.picture = PICTURE
    assert served.get("/readyz") == (200, "ready\n")


def test_metrics_are_the_picture(served: Served) -> None:
    """Every number published is there under its name and label."""
    served.board.picture = PICTURE
    status, body = served.get("/metrics")
    assert status == 200
    for line in (
        'raftudp_role{role="leader"} 1.0',
        'raftudp_role{role="follower"} 0.0',
        "raftudp_ready 1.0",
        "raftudp_term 3.0",
        "raftudp_kernel_drops_total 2.0",
        'raftudp_messages_received_total{type="AppendEntries"} 4.0',
        'raftudp_messages_sent_total{type="Written"} 5.0',
        'raftudp_refused_total{reason="unauthenticated"} 6.0',
        'raftudp_socket_errors_total{error="send ENETUNREACH"} 7.0',
    ):
        assert line in body.splitlines()
    assert DESCRIPTIONS["term"] in body


def test_other_pages_are_not_there(served: Served) -> None:
    """Anything else is 404."""
    assert served.get("/")[0] == 404


def test_idle_connections_do_not_pile_up(served: Served) -> None:
    """So many at a time; those beyond are closed, and hold nobody up."""
    served.board.picture = PICTURE
    idle = [
        socket.create_connection(("127.0.0.1", served.port), timeout=10)
        for _ in range(REQUESTS_AT_A_TIME_MAXIMUM + 1)
    ]
    try:
        assert idle[-1].recv(1) == b""
    finally:
        for connection in idle:
            connection.close()
