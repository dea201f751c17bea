"""The loop on a real socket, and the process around it."""

from __future__ import annotations

import os
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from raftudp.consensus.server import Server, ServerConfiguration
from raftudp.consensus.vocabulary import ANY_INCARNATION, Membership, ServerId, Slot
from raftudp.encoding.records import decode_command
from raftudp.network.addresses import AddressBook, resolver_for
from raftudp.network.udp import UdpSocket
from raftudp.runtime.clock import monotonic_us
from raftudp.runtime.health import Board
from raftudp.runtime.loop import Loop
from raftudp.runtime.mailroom import Mailroom
from raftudp.runtime.main import keygen, serve
from raftudp.runtime.replica import Identity, MemoryStorage, Replica
from raftudp.runtime.telemetry import Telemetry
from raftudp.store.state_machine import StateMachine
from raftudp.wire.client_messages import (
    Admin,
    AdminAnswer,
    Answer,
    ChallengeAnswer,
    ChallengeRequest,
    FoundCluster,
    Hello,
    HelloAnswer,
    Request,
    Status,
    StatusAnswer,
    Stop,
)
from raftudp.wire.codec import decode_answer, encode_request
from raftudp.wire.envelope import KeyRing, Kind, Opener, Sealer
from tests.runtime.house import CLUSTER

KEYS = KeyRing([b"k" * 32])
ME = ServerId("ss-0", b"m" * 16)
WAIT_S = 10
BODY_BYTES = 1_000


class Running:
    """A lone replica on a thread, and a client's socket."""

    def __init__(self) -> None:
        self.udp_socket = UdpSocket("127.0.0.1", 0)
        self.address = self.udp_socket.local_address
        self.board = Board()
        self.kept_house = threading.Event()
        peers = (("ss-0", f"127.0.0.1:{self.address[1]}"),)
        self.membership = Membership((Slot(*peers[0], ME.incarnation),))
        book = AddressBook("ss-0", resolver_for(self.udp_socket.family))
        process, now_us = os.urandom(16), monotonic_us()
        telemetry = Telemetry("ss-0", ME.incarnation)
        mailroom = Mailroom(ME, process, KEYS, self.udp_socket, book)
        configuration = ServerConfiguration(ME, peers, BODY_BYTES)
        self.loop = Loop(
            replica=Replica(
                server=Server(configuration, random.Random(1), now_us),
                state_machine=StateMachine(decode_command),
                storage=MemoryStorage(),
                transport=mailroom,
                observer=telemetry,
                identity=Identity(process, "0", now_us),
                random_bytes=os.urandom,
                body_bytes=BODY_BYTES,
            ),
            udp_socket=self.udp_socket,
            mailroom=mailroom,
            addresses=book,
            telemetry=telemetry,
            board=self.board,
            clock=monotonic_us,
            stop_timeout_us=1_000_000,
            keep_house=self.kept_house.set,
        )
        self.thread = threading.Thread(target=self.loop.run, daemon=True)
        self.thread.start()
        self.client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.client.settimeout(WAIT_S)
        self.process = os.urandom(16)
        self._sealer, self._opener = Sealer(KEYS, self.process), Opener(KEYS)

    def ask(self, request: Request) -> Answer:
        body = encode_request(request)
        whom = ServerId("", ANY_INCARNATION)
        me = ServerId("", self.process)
        self.client.sendto(self._sealer.seal(Kind.REQUEST, me, whom, None, body), self.address)
        return decode_answer(self._opener.open(self.client.recv(65_535)).body)

    def ended(self) -> bool:
        self.thread.join(WAIT_S)
        return not self.thread.is_alive()

    def close(self) -> None:
        if self.thread.is_alive():
            self.loop.request_stop()
            self.loop.request_stop()
            self.thread.join(WAIT_S)
        self.client.close()
        self.udp_socket.close()


@pytest.fixture
def running() -> Iterator[Running]:
    running = Running()
    try:
        yield running
    finally:
        running.close()


def test_requests_are_answered(running: Running) -> None:
    """Over a real socket, sealed both ways."""
    answer = running.ask(Hello(5))
    assert isinstance(answer, HelloAnswer)
    assert answer.request == 5


def test_noise_is_survived_and_counted(running: Running) -> None:
    """What is not authentic gets no answer, and the loop goes on."""
    for junk in (b"", b"x", os.urandom(300), os.urandom(60_000)):
        running.client.sendto(junk, running.address)
    assert isinstance(running.ask(Hello(5)), HelloAnswer)


def test_a_picture_is_published(running: Running) -> None:
    """For the HTTP threads, from the first turn on."""
    running.ask(Hello(1))
    picture = running.board.picture
    assert picture is not None
    assert (picture.role, picture.state) == ("blank", "unformed")
    assert running.board.is_live(monotonic_us())
    assert running.kept_house.is_set()


def test_house_is_kept_on_demand(running: Running) -> None:
    """A signal needs no wait for the next round."""
    running.ask(Hello(1))
    running.kept_house.clear()
    running.loop.request_housekeeping()
    assert running.kept_house.wait(WAIT_S)


def test_a_blank_replica_stops_when_told(running: Running) -> None:
    """From another thread or a signal handler."""
    running.loop.request_stop()
    assert running.ended()


def test_an_administrators_stop_is_answered_before_the_end(running: Running) -> None:
    """The answer arrives, then the loop ends."""
    challenge = running.ask(ChallengeRequest(1))
    assert isinstance(challenge, ChallengeAnswer)
    assert running.ask(Admin(2, challenge.challenge, Stop())) == AdminAnswer(2)
    assert running.ended()


def test_the_loop_elects_by_the_clock(running: Running) -> None:
    """A founded lone server leads, without a datagram that wakes it."""
    challenge = running.ask(ChallengeRequest(1))
    assert isinstance(challenge, ChallengeAnswer)
    founding = FoundCluster(CLUSTER, running.membership)
    assert running.ask(Admin(2, challenge.challenge, founding)) == AdminAnswer(2)
    for number in range(1_000_000):
        status = running.ask(Status(number))
        assert isinstance(status, StatusAnswer)
        if status.role == "leader":
            break
    assert status.state == "ready"


# ---- the commands


def test_wrong_settings_end_with_status_two_and_a_line_each() -> None:
    """Nothing is started."""
    result = CliRunner().invoke(serve, ["--name", "a_b"], env={"RAFTUDP_HEARTBEAT_MS": "0"})
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert all(line.startswith("raftudp serve: --") for line in lines)
    assert {line.split()[2] for line in lines} == {
        "--name:",
        "--listen:",
        "--servers:",
        "--heartbeat-ms:",
    }


def test_the_command_line_counts_more_than_the_environment() -> None:
    """Every option is also RAFTUDP_*."""
    result = CliRunner().invoke(
        serve,
        ["--log-level", "quiet"],
        env={"RAFTUDP_LOG_LEVEL": "loud", "RAFTUDP_LOG_FORMAT": "xml"},
    )
    assert "'quiet'" in result.stderr
    assert "'xml'" in result.stderr
    assert "'loud'" not in result.stderr


def test_a_port_that_is_taken_is_a_wrong_setting() -> None:
    """Told in a line, with status 2."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        arguments = ["--name", "a", "--listen", address, "--servers", f"a={address}"]
        result = CliRunner().invoke(serve, arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("raftudp serve: --listen: ")


def test_keygen_makes_a_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    """The file holds one key, and is never overwritten."""
    path = tmp_path / "key"
    assert CliRunner().invoke(keygen, [str(path)]).exit_code == 0
    made = path.read_text()
    assert len(KeyRing.parse(made).key_ids_hex()) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    again = CliRunner().invoke(keygen, [str(path)])
    assert again.exit_code == 1
    assert "nothing was written" in again.stderr
    assert path.read_text() == made


def test_keygen_prints_where_no_file_is_named() -> None:
    """Each time another key."""
    first, second = (CliRunner().invoke(keygen).stdout for _ in range(2))
    assert first != second
    assert KeyRing.parse(first)
