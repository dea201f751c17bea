"""From the bytes of a datagram to a replica's answers: whatever comes in, nothing but answers and
counters comes out of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftudp.consensus.messages import Greeting
from raftudp.consensus.vocabulary import ANY_INCARNATION, ServerId
from raftudp.limits import DATAGRAM_BYTES_MAXIMUM
from raftudp.network.addresses import AddressBook
from raftudp.network.udp import Datagram, UdpSocket
from raftudp.runtime.mailroom import Mailroom
from raftudp.store.commands import Put
from raftudp.wire.client_messages import ChallengeAnswer, ChallengeRequest, Written
from raftudp.wire.codec import decode_answer, encode_message, encode_request
from raftudp.wire.envelope import KeyRing, Kind, Opener, Sealer
from tests.fuzz.lies import Lies
from tests.fuzz.requests import Nonsense
from tests.runtime.house import CLUSTER, House, Room, Visitor

KEYS = KeyRing([b"k" * 32])
VILLAIN = b"the-villain's-id"
DATAGRAMS = 40
TERM_MAXIMUM = 2**60
"""Higher ones a villain could tell as well, and then nobody can stand for election any more: there
is no term after the last that is spoken of.
"""


class Gate:
    """The way into one replica of a house and out again, as bytes, and a villain with the key."""

    def __init__(self, house: House, room: Room, random: Random) -> None:
        self.house = house
        self.room = room
        self.sent: list[Datagram] = []
        self._random = random
        self._sealer = Sealer(KEYS, VILLAIN)
        self._opener = Opener(KEYS)
        book = AddressBook(room.identity.name, lambda host, port: (host, port))
        book.learn([(slot.name, slot.address) for slot in house.membership.slots], 0)
        socket = cast("UdpSocket", self)
        self.mailroom = Mailroom(room.identity, room.process, KEYS, socket, book)
        self.mailroom.cluster = CLUSTER
        self.lies = Lies(random, TERM_MAXIMUM)
        self.nonsense = Nonsense(random, [room.process, VILLAIN, b"another-client!!"], CLUSTER)
        self.nonsense.membership = house.membership

    def send_batch(self, datagrams: Sequence[Datagram]) -> None:
        """What the mailroom sends."""
        self.sent += datagrams

    def take(self, datagrams: Sequence[bytes]) -> None:
        """One wake-up, as the loop does it; what leaves is opened and read again."""
        now_us, room = self.house.now_us, self.room
        batch: list[Datagram] = [(datagram, ("10.0.0.9", 50_000)) for datagram in datagrams]
        arrivals = self.mailroom.open_batch(batch, now_us)
        room.replica.handle(arrivals.mails, arrivals.requests, now_us)
        answers, room.answers = room.answers, []
        self.mailroom.send_answers(answers)
        self.mailroom.send_mail(room.mails)
        sent, self.sent = self.sent, []
        for datagram, _ in sent:
            opened = self._opener.open(datagram)
            assert len(datagram) <= DATAGRAM_BYTES_MAXIMUM
            if opened.kind is Kind.ANSWER:
                answer = decode_answer(opened.body)
                if isinstance(answer, ChallengeAnswer):
                    self.nonsense.ids.append(answer.challenge)

    # ---- what the villain sends

    def mail(self) -> bytes:
        """Any message but AppendEntries, from anybody."""
        state = self.room.replica._server._state
        message = self.lies.anything_but_append_entries(state)
        receiver = self.room.identity
        if isinstance(message, Greeting):
            receiver = receiver._replace(incarnation=ANY_INCARNATION)
        rooms = [room.identity for room in self.house.rooms.values()]
        sender = self._random.choice([*rooms, ServerId("stranger", b"s" * 16)])
        body = encode_message(message)
        return self._sealer.seal(Kind.SERVER, sender, receiver, CLUSTER, body)

    def request(self) -> bytes:
        """Any request."""
        return self._seal_request(encode_request(self.nonsense.request()))

    def garbage(self) -> bytes:
        """A good message with bytes changed, authentic or not."""
        body = bytearray(encode_request(self.nonsense.request()))
        for _ in range(self._random.randint(1, 4)):
            body[self._random.randrange(len(body))] = self._random.randrange(256)
        datagram = bytearray(self._seal_request(bytes(body)))
        if self._random.random() < 0.3:
            datagram[self._random.randrange(len(datagram))] ^= 1
        return bytes(datagram[: self._random.choice([None, len(datagram) // 2])])

    def _seal_request(self, body: bytes) -> bytes:
        me, name = ServerId("", VILLAIN), self._random.choice(["", self.room.identity.name])
        receiver = ServerId(name, ANY_INCARNATION)
        return self._sealer.seal(Kind.REQUEST, me, receiver, None, body)


seeds = given(seed=st.integers(0, 2**64 - 1))
few = settings(max_examples=15, deadline=None)
rooms = pytest.mark.parametrize("which", ["leader", "follower", "blank"])


def gate(which: str, random: Random) -> Gate:
    """The way into a replica of this kind."""
    house = House(3)
    if which == "blank":
        return Gate(house, house.rooms["ss-0"], random)
    house.found()
    return Gate(house, house.leader() if which == "leader" else house.follower(), random)


@rooms
@few
@seeds
def test_any_datagrams_are_survived(which: str, seed: int) -> None:
    """Requests, mail in anybody's name and garbage, from one who holds the key."""
    random = Random(seed)
    way = gate(which, random)
    kinds = [way.request, way.mail, way.garbage, lambda: random.randbytes(random.randrange(200))]
    for _ in range(DATAGRAMS):
        way.take([random.choice(kinds)() for _ in range(random.randint(1, 5))])
        way.house.now_us += random.choice([0, 1_000, 100_000])


@pytest.mark.parametrize("which", ["leader", "follower"])
@few
@seeds
def test_requests_leave_a_cluster_that_serves(which: str, seed: int) -> None:
    """Whatever clients ask for, sanely or not, the next client is served."""
    random = Random(seed)
    way = gate(which, random)
    house = way.house
    way.nonsense.ids += [
        answer.challenge
        for answer in Visitor(house).send(way.room, ChallengeRequest(1), ChallengeRequest(2))
        if isinstance(answer, ChallengeAnswer)
    ]
    for _ in range(DATAGRAMS):
        way.take([way.request() for _ in range(random.randint(1, 5))])
        house.run(random.choice([0, 10_000]))
    house.run(3_000_000)
    client, leader = Visitor(house), house.leader()
    client.open_session(leader)
    (written,) = client.send(leader, client.write(leader, {1: Put(b"k", b"v")}))
    assert isinstance(written, Written)
    house.run(1_000_000)
    assert len({room.replica._state_machine.digest() for room in house.rooms.values()}) == 1
