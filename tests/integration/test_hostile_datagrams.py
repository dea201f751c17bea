"""A replica under datagrams that wish it ill: it goes on serving, and counts each one."""

from __future__ import annotations

import os
import random
import socket
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from raftudp.consensus.messages import AppendEntries, RequestVote
from raftudp.consensus.vocabulary import ANY_INCARNATION, Cluster, ServerId
from raftudp.limits import DATAGRAM_BYTES_MAXIMUM
from raftudp.wire.client_messages import Hello, StatusAnswer
from raftudp.wire.codec import encode_message, encode_request
from raftudp.wire.envelope import KeyRing, Kind, Opener, Sealer
from tests.integration.replicas import PATIENCE_S, RealCluster, patiently
from tests.integration.writers import Writers, check_nothing_lost

ROUNDS = 40
EACH = 12
"""Datagrams of each kind in a round."""
UDP_BYTES_MAXIMUM = 65_507
MEMORY_GROWTH_KB_MAXIMUM = 48 * 1024
"""Far above what caches of a working replica take, far below what the datagrams hold together."""
PATIENT = ("--election-timeout-ms", "4000-6000")
"""No busy machine makes these replicas elect anew."""
GARBAGE = b"\x9f garbage"
"""CBOR that is not spoken here."""


class Refused(NamedTuple):
    """A datagram, and the counter that it must cost; None where several are right."""

    datagram: bytes
    reason: str | None


class Villain:
    """Sends what no good peer sends; of some kinds it holds the key, for those without it end
    earlier.
    """

    def __init__(self, cluster: RealCluster, leader: StatusAnswer, others: list[ServerId]) -> None:
        host, _, port = cluster.addresses[leader.name].rpartition(":")
        self._address = (host, int(port))
        self._random = random.Random(int.from_bytes(os.urandom(4)))
        self._victim = ServerId(leader.name, leader.incarnation)
        self._others = others
        self._cluster = leader.cluster
        keys = KeyRing.parse(cluster.key_file.read_text())
        self._process = os.urandom(16)
        self._sealer, self._opener = Sealer(keys, self._process), Opener(keys)
        self._stranger = Sealer(KeyRing([os.urandom(32)]), os.urandom(16))
        self._plain = Sealer(None, os.urandom(16))
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._asking.settimeout(PATIENCE_S)
        self._number = 0
        self.expected: Counter[str | None] = Counter()
        self.sent_bytes = 0

    def close(self) -> None:
        self._socket.close()
        self._asking.close()

    def strike(self) -> None:
        """One round of every kind, in any order; returns when the replica has taken them all."""
        authentic = self.ask()
        datagrams = [
            refused
            for make in (
                self._noise,
                self._truncated,
                self._mutated,
                self._oversize,
                self._of_strangers,
                self._misaddressed,
                self._malformed,
                lambda: iter([Refused(authentic, "replayed")]),
            )
            for _ in range(EACH)
            for refused in make()
        ]
        self._random.shuffle(datagrams)
        for count, (datagram, reason) in enumerate(datagrams, 1):
            self._socket.sendto(datagram, self._address)
            self.expected[reason] += 1
            self.sent_bytes += len(datagram)
            if count % 32 == 0:
                self.ask()
        self.ask()

    def ask(self) -> bytes:
        """Ask something decent and wait for the answer, which comes after all that was sent before
        has been taken: so nothing is dropped for want of room. Returns the question.
        """
        self._number += 1
        question = self._request(encode_request(Hello(self._number)))
        self._asking.sendto(question, self._address)
        self._opener.open(self._asking.recv(UDP_BYTES_MAXIMUM))
        return question

    def _request(self, body: bytes) -> bytes:
        me, anybody = ServerId("", self._process), ServerId("", ANY_INCARNATION)
        return self._sealer.seal(Kind.REQUEST, me, anybody, None, body)

    def _mail(self, receiver: ServerId, cluster: Cluster | None, sealer: Sealer) -> bytes:
        """A heartbeat or a call for votes of a late term, from one of the others."""
        message = self._random.choice(
            [AppendEntries(1_000, 1, 0, 0, 0, ()), RequestVote(1_000, 1_000, 1_000)]
        )
        sender = self._random.choice(self._others)
        return sealer.seal(Kind.SERVER, sender, receiver, cluster, encode_message(message))

    # ---- kinds

    def _noise(self) -> Iterator[Refused]:
        """Anything at all, and what begins well and goes on so."""
        noise = self._random.randbytes(self._random.randrange(2_000))
        yield Refused(noise, None)
        yield Refused(b"\1" + noise, None)

    def _truncated(self) -> Iterator[Refused]:
        """Authentic mail cut short."""
        mail = self._mail(self._victim, self._cluster, self._sealer)
        yield Refused(mail[: self._random.randrange(len(mail))], None)

    def _mutated(self) -> Iterator[Refused]:
        """Authentic mail with bits flipped."""
        mail = bytearray(self._mail(self._victim, self._cluster, self._sealer))
        for place in self._random.sample(range(len(mail)), self._random.randint(1, 5)):
            mail[place] ^= 1 << self._random.randrange(8)
        yield Refused(bytes(mail), None)

    def _oversize(self) -> Iterator[Refused]:
        """As long as UDP allows, longer than anything that is sent here."""
        mail = self._mail(self._victim, self._cluster, self._sealer)
        length = self._random.randint(DATAGRAM_BYTES_MAXIMUM + 1, UDP_BYTES_MAXIMUM)
        yield Refused(mail.ljust(length, b"\0"), "unauthenticated")

    def _of_strangers(self) -> Iterator[Refused]:
        """Under another key, and under none."""
        for sealer in (self._stranger, self._plain):
            yield Refused(self._mail(self._victim, self._cluster, sealer), "unknown-key")

    def _misaddressed(self) -> Iterator[Refused]:
        """Authentic, for another life, another name, another epoch, and another cluster."""
        assert self._cluster is not None
        another = self._random.randbytes(16)
        for receiver in (
            ServerId(self._victim.name, another),
            ServerId("another", self._victim.incarnation),
        ):
            mail = self._mail(receiver, self._cluster, self._sealer)
            yield Refused(mail, "misaddressed")
        for cluster in (
            self._cluster._replace(epoch=self._cluster.epoch + 1),
            self._cluster._replace(cluster_id=another),
            None,
        ):
            mail = self._mail(self._victim, cluster, self._sealer)
            yield Refused(mail, "misaddressed")

    def _malformed(self) -> Iterator[Refused]:
        """Authentic nonsense."""
        sender = self._random.choice(self._others)
        for body in (GARBAGE, encode_request(Hello(1))):
            sealed = self._sealer.seal(Kind.SERVER, sender, self._victim, self._cluster, body)
            yield Refused(sealed, "malformed")
        yield Refused(self._request(GARBAGE), "malformed")


def test_hostile_datagrams_cost_a_counter_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """While a client works, thousands of mutated, cut, oversize, replayed and misaddressed
    datagrams change nothing in the leader, take no memory, and are counted one by one.
    """
    with RealCluster(tmp_path, 3, options=PATIENT) as cluster, cluster.client(timeout=60) as client:
        name = cluster.leader(client)
        before = status(client.status(), name)
        others = [
            ServerId(slot.name, slot.incarnation)
            for slot in before.membership.slots
            if slot.name != name and slot.incarnation is not None
        ]
        villain = Villain(cluster, before, others)
        try:
            with Writers(client, 3) as writers:
                writers.wait_for_more(100, PATIENCE_S)
                villain.strike()
                refused_before = settled(cluster, name, bool)
                villain.expected.clear()
                resident_before = resident_kb(cluster.process(name).pid)
                for _ in range(ROUNDS):
                    villain.strike()
                writers.wait_for_more(100, PATIENCE_S)
                growth_kb = resident_kb(cluster.process(name).pid) - resident_before
        finally:
            villain.close()
        check_nothing_lost(client, writers)
        total = villain.expected.total()
        grown = (
            settled(cluster, name, lambda now: (now - refused_before).total() >= total)
            - refused_before
        )
        after = status(client.status(), name)
    with capsys.disabled():
        megabytes = villain.sent_bytes / 1e6
        print(
            f" {total} hostile datagrams ({megabytes:.0f} MB): {dict(grown)}, {growth_kb} kB more"
        )
    assert grown.total() == total, "each refusal is counted once"
    for reason, count in villain.expected.items():
        assert reason is None or grown[reason] >= count, reason
    assert [facts(before)] == [facts(after)]
    assert growth_kb < MEMORY_GROWTH_KB_MAXIMUM


def status(reports, name: str) -> StatusAnswer:
    """What this replica says of itself."""
    return next(r.answer for r in reports if r.answer is not None and r.answer.name == name)


def facts(answer: StatusAnswer) -> tuple[object, ...]:
    """What nothing hostile may change.

    Role and term are not among them: a busy machine can cost a leader its term at any time.
    """
    return (answer.incarnation, answer.cluster, answer.membership)


def resident_kb(pid: int) -> int:
    """The memory that a process occupies."""
    text = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS"))


def settled(
    cluster: RealCluster, name: str, enough: Callable[[Counter[str]], bool]
) -> Counter[str]:
    """The refusals that the replica has counted, once they are enough; the page shows them a little
    later than they happen, so they are read until they stand still.
    """
    last: Counter[str] | None = None
    for _ in patiently(0.5):
        now = refused(cluster.http[name])
        if now == last and enough(now):
            break
        last = now
    return refused(cluster.http[name])


def refused(port: int) -> Counter[str]:
    """The counters of `raftudp_refused_total`, by reason."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_S) as page:
        text = page.read().decode()
    return Counter(
        {
            sample.labels["reason"]: int(sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "raftudp_refused_total"
        }
    )
