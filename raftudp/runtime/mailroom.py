"""Between datagrams and messages: opens and decodes what arrives, encodes and seals what leaves,
and counts both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from raftudp.consensus.messages import Mail
from raftudp.consensus.vocabulary import ANY_INCARNATION, Cluster, ServerId
from raftudp.errors import DecodeError, EnvelopeError
from raftudp.network.addresses import AddressBook
from raftudp.network.udp import Datagram, SocketAddress, UdpSocket
from raftudp.runtime.requests import AnswerTo, Origin, ReceivedRequest
from raftudp.wire.client_messages import Answer, Request, StatusAnswer
from raftudp.wire.codec import (
    decode_answer,
    decode_message,
    decode_request,
    encode_answer,
    encode_message,
    encode_request,
)
from raftudp.wire.envelope import KeyRing, Kind, Opened, Opener, Sealer


class Arrivals(NamedTuple):
    """What a batch of datagrams held."""

    mails: list[Mail]
    requests: list[ReceivedRequest]
    statuses: list[StatusAnswer]
    """Answers of a leader to a replica that wants to stop."""


class Mailroom:
    """The replica's `Transport`, and the way in."""

    def __init__(
        self,
        identity: ServerId,
        process: bytes,
        keys: KeyRing | None,
        socket: UdpSocket,
        addresses: AddressBook,
    ) -> None:
        self._identity = identity
        self._client = ServerId("", process)
        """Who this process is where it asks as a client."""
        self._sealer = Sealer(keys, process)
        self._opener = Opener(keys)
        self._socket = socket
        self._addresses = addresses
        self.cluster: Cluster | None = None
        """What answers to clients name; kept current by the loop."""
        self.received: Counter[type] = Counter()
        """Messages by class, since the start; so below."""
        self.sent: Counter[type] = Counter()
        self.refused: Counter[str] = Counter()
        """Datagrams that got no further, by reason."""
        self.without_address = 0
        """Messages that were not sent because nobody knows where their receiver is."""

    def replace_keys(self, keys: KeyRing) -> None:
        """Seal and open with other keys from here on."""
        self._sealer.replace_keys(keys)
        self._opener.replace_keys(keys)

    # ---- the way in

    def open_batch(self, datagrams: Sequence[Datagram], now_us: int) -> Arrivals:
        """Open and decode; what fails costs a counter and gets no answer."""
        arrivals = Arrivals([], [], [])
        for data, address in datagrams:
            try:
                self._open(data, address, arrivals, now_us)
            except EnvelopeError as error:
                self.refused[error.reason] += 1
            except DecodeError:
                self.refused["malformed"] += 1
        return arrivals

    def _open(self, data: bytes, address: SocketAddress, arrivals: Arrivals, now_us: int) -> None:
        opened = self._opener.open(data)
        if not self._is_for_me(opened):
            self.refused["misaddressed"] += 1
            return
        message: object
        if opened.kind is Kind.SERVER:
            message = decode_message(opened.body)
            arrivals.mails.append(Mail(opened.sender, opened.receiver, opened.cluster, message))
            if self.cluster is None or opened.cluster in (None, self.cluster):
                self._addresses.heard(opened.sender, address, now_us)
        elif opened.kind is Kind.REQUEST:
            message = decode_request(opened.body)
            origin = Origin(address, opened.process)
            arrivals.requests.append(ReceivedRequest(origin, message))
        else:
            message = decode_answer(opened.body)
            if isinstance(message, StatusAnswer):
                arrivals.statuses.append(message)
        self.received[type(message)] += 1

    def _is_for_me(self, opened: Opened) -> bool:
        """Whether the receiver is this incarnation, or whoever answers to the name.

        Of clients: to any name, and not in the name of another cluster than this replica's.
        """
        name, incarnation = opened.receiver
        if opened.kind is Kind.ANSWER:
            return opened.receiver == self._client
        if incarnation not in (self._identity.incarnation, ANY_INCARNATION):
            return False
        if opened.kind is Kind.SERVER:
            return name == self._identity.name
        known = opened.cluster is not None and self.cluster is not None
        return name in ("", self._identity.name) and not (known and opened.cluster != self.cluster)

    # ---- the way out

    def send_mail(self, mails: Sequence[Mail]) -> None:
        """Send messages to servers, each receiver's together; those without an address are lost."""
        by_receiver: dict[ServerId, list[Datagram]] = {}
        for mail in mails:
            address = self._addresses.address_of(mail.receiver)
            if address is None:
                self.without_address += 1
                continue
            sealed = self._sealer.seal(
                Kind.SERVER,
                mail.sender,
                mail.receiver,
                mail.cluster,
                encode_message(mail.message),
            )
            by_receiver.setdefault(mail.receiver, []).append((sealed, address))
            self.sent[type(mail.message)] += 1
        self._socket.send_batch([one for those in by_receiver.values() for one in those])

    def send_answers(self, answers: Sequence[AnswerTo]) -> None:
        """Send answers to clients."""
        self._socket.send_batch([self._seal_answer(*one) for one in answers])

    def _seal_answer(self, origin: Origin, answer: Answer) -> Datagram:
        self.sent[type(answer)] += 1
        receiver = ServerId("", origin.process)
        body = encode_answer(answer)
        sealed = self._sealer.seal(Kind.ANSWER, self._identity, receiver, self.cluster, body)
        return sealed, origin.address

    def ask(self, server: ServerId, request: Request) -> None:
        """Ask another replica something, as a client."""
        address = self._addresses.address_of(server)
        if address is None:
            return
        self.sent[type(request)] += 1
        body = encode_request(request)
        sealed = self._sealer.seal(Kind.REQUEST, self._client, server, self.cluster, body)
        self._socket.send_batch([(sealed, address)])
