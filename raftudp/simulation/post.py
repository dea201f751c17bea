"""How messages travel in a run: as they are, for speed, or encoded and sealed by the real wire, on
a sample of seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

from raftudp.consensus.messages import Mail
from raftudp.consensus.vocabulary import Cluster, ServerId
from raftudp.network.addresses import AddressBook
from raftudp.network.udp import Datagram, UdpSocket
from raftudp.runtime.mailroom import Mailroom
from raftudp.runtime.requests import AnswerTo, Origin, ReceivedRequest
from raftudp.simulation.process import Process
from raftudp.wire.codec import decode_request, encode_answer
from raftudp.wire.envelope import KeyRing

Send = Callable[[str, str, object], None]
"""Source, destination, packet."""


class Asked(NamedTuple):
    """A client's request, encoded and not sealed."""

    origin: Origin
    body: bytes


class Answered(NamedTuple):
    """A replica's answer, likewise, with what its envelope would say."""

    sender: ServerId
    process: bytes
    cluster: Cluster | None
    body: bytes


class PlainPost:
    """Messages as they are."""

    def __init__(self, process: Process, send: Send) -> None:
        self._process = process
        self._send = send

    def send_mail(self, mails: Sequence[Mail]) -> None:
        """To servers."""
        for mail in mails:
            self._send(mail.sender.name, mail.receiver.name, mail)

    def send_answers(self, answers: Sequence[AnswerTo]) -> None:
        """To clients."""
        process = self._process
        for origin, answer in answers:
            packet = Answered(
                process.identity,
                process.process_id,
                process.state.cluster,
                encode_answer(answer),
            )
            self._send(process.name, str(origin.address[0]), packet)

    def open(self, packets: Sequence[object]) -> tuple[list[Mail], list[ReceivedRequest]]:
        """What packets hold for this process."""
        mails: list[Mail] = []
        requests: list[ReceivedRequest] = []
        for packet in packets:
            if isinstance(packet, Mail):
                mails.append(packet)
            elif isinstance(packet, Asked):
                requests.append(ReceivedRequest(packet.origin, decode_request(packet.body)))
        return mails, requests


class SealedPost:
    """The real mailroom, on a socket and an address book that belong to the simulated network."""

    def __init__(self, process: Process, send: Send, keys: KeyRing) -> None:
        self._process = process
        self._send = send
        self._mailroom = Mailroom(
            process.identity,
            process.process_id,
            keys,
            cast("UdpSocket", self),
            cast("AddressBook", self),
        )

    def send_batch(self, datagrams: Sequence[Datagram]) -> None:
        """What a socket does."""
        for data, address in datagrams:
            self._send(self._process.name, str(address[0]), (self._process.name, data))

    def address_of(self, server: ServerId) -> tuple[str, int]:
        """What an address book does: here names are addresses."""
        return server.name, 0

    def heard(self, server: ServerId, address: object, now_us: int) -> None:
        """Likewise; nobody moves."""

    def send_mail(self, mails: Sequence[Mail]) -> None:
        """To servers."""
        self._mailroom.send_mail(mails)

    def send_answers(self, answers: Sequence[AnswerTo]) -> None:
        """To clients."""
        self._mailroom.cluster = self._process.state.cluster
        self._mailroom.send_answers(answers)

    def open(self, packets: Sequence[object]) -> tuple[list[Mail], list[ReceivedRequest]]:
        """What packets hold for this process."""
        self._mailroom.cluster = self._process.state.cluster
        datagrams = [(cast("tuple[str, bytes]", packet)) for packet in packets]
        arrivals = self._mailroom.open_batch(
            [(data, (source, 0)) for source, data in datagrams], self._process.now_us()
        )
        return arrivals.mails, arrivals.requests
