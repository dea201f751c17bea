"""The envelope: authentic datagrams are opened, once; whatever else arrives costs one counter."""

from __future__ import annotations

import contextlib
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftudp.consensus.vocabulary import ANY_INCARNATION, Cluster, ServerId
from raftudp.errors import EnvelopeError
from raftudp.limits import PROCESSES_REMEMBERED_MAXIMUM, REPLAY_WINDOW_BITS
from raftudp.wire import envelope
from raftudp.wire.envelope import KeyRing, Kind, Opened, Opener, Sealer
from tests.wire import strategies

REASONS = {"short", "version", "unknown-key", "unauthenticated", "replayed", "malformed"}
KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
KEYS = KeyRing([KEY])
PROCESS = b"p" * 16
SENDER, RECEIVER = ServerId("ss-0", b"s" * 16), ServerId("ss-1", b"r" * 16)
CLIENT = ServerId("", PROCESS)
CLUSTER = Cluster(b"c" * 16, 3, b"e" * 16)

modes = pytest.mark.parametrize("keys", [KEYS, None], ids=["sealed", "plain"])


def seal(sealer: Sealer, body: bytes = b"body") -> bytes:
    return sealer.seal(Kind.SERVER, SENDER, RECEIVER, CLUSTER, body)


def reason_of(opener: Opener, datagram: bytes) -> str:
    with pytest.raises(EnvelopeError) as raised:
        opener.open(datagram)
    assert raised.value.reason in REASONS
    return raised.value.reason


def with_checksum(content: bytes) -> bytes:
    return content + zlib.crc32(content).to_bytes(4)


@modes
@given(
    kind=st.sampled_from(Kind),
    sender=strategies.server_ids,
    receiver=st.builds(ServerId, st.just("") | strategies.names, strategies.identifiers),
    cluster=st.none() | strategies.clusters,
    body=st.binary(max_size=100),
)
def test_what_was_sealed_is_opened(
    keys: KeyRing | None,
    kind: Kind,
    sender: ServerId,
    receiver: ServerId,
    cluster: Cluster | None,
    body: bytes,
):
    """Kind, identities, cluster and epoch, process, counter and body come out as they went in."""
    sealer, opener = Sealer(keys, PROCESS), Opener(keys)
    for counter in range(2):
        datagram = sealer.seal(kind, sender, receiver, cluster, body)
        assert opener.open(datagram) == Opened(
            kind, sender, receiver, cluster, PROCESS, counter, body
        )


def test_a_client_has_no_name():
    """Clients write to a process without a name or an incarnation, and get answers likewise."""
    sealer, opener = Sealer(KEYS, PROCESS), Opener(KEYS)
    request = sealer.seal(Kind.REQUEST, CLIENT, ServerId("", ANY_INCARNATION), None, b"?")
    answer = sealer.seal(Kind.ANSWER, SENDER, CLIENT, CLUSTER, b"!")
    assert opener.open(request).sender == CLIENT
    assert opener.open(answer).receiver == CLIENT


def test_the_body_is_hidden():
    """A sealed datagram doesn't show its body."""
    assert b"secret" not in seal(Sealer(KEYS, PROCESS), b"secret")


@modes
def test_a_change_of_any_byte_is_refused(keys: KeyRing | None):
    """Tampering with any one byte is noticed, whether the prefix is known or not."""
    sealer, opener = Sealer(keys, PROCESS), Opener(keys)
    opener.open(seal(sealer))
    datagram = seal(sealer)
    for place in range(len(datagram)):
        tampered = bytearray(datagram)
        tampered[place] ^= 1
        reason_of(opener, bytes(tampered))
    assert opener.open(datagram).body == b"body"


@modes
def test_a_cut_or_longer_datagram_is_refused(keys: KeyRing | None):
    """No prefix of a datagram is a datagram, nor one with a byte more."""
    datagram = seal(Sealer(keys, PROCESS))
    for end in range(len(datagram)):
        reason_of(Opener(keys), datagram[:end])
    assert reason_of(Opener(keys), datagram + b"\0") == "unauthenticated"


@modes
@given(data=st.binary(max_size=400), head=st.integers(0, 255))
def test_any_bytes_are_refused_with_a_reason(keys: KeyRing | None, data: bytes, head: int):
    """Bytes from outside cause nothing but an EnvelopeError."""
    key_id = bytes(4) if keys is None else keys.sealing_key_id()
    for datagram in (data, b"\1" + data, bytes((1, head, 1)) + key_id + data):
        reason_of(Opener(keys), datagram)
    if keys is None:
        for datagram in (data, bytes((1, head, 1)) + key_id + data):
            with contextlib.suppress(EnvelopeError):
                assert isinstance(Opener(None).open(with_checksum(datagram)).kind, Kind)


@modes
def test_a_replay_is_refused(keys: KeyRing | None):
    """A datagram is opened once, and refused a second time and later."""
    sealer, opener = Sealer(keys, PROCESS), Opener(keys)
    datagram = seal(sealer)
    opener.open(datagram)
    assert reason_of(opener, datagram) == "replayed"
    opener.open(seal(sealer))
    assert reason_of(opener, datagram) == "replayed"


def test_a_replay_under_another_prefix_is_refused():
    """The window is the process's: all it sends shares one counter."""
    sealer, opener = Sealer(KEYS, PROCESS), Opener(KEYS)
    datagrams = [seal(sealer), sealer.seal(Kind.ANSWER, SENDER, CLIENT, CLUSTER, b"")]
    assert [opener.open(datagram).counter for datagram in datagrams] == [0, 1]
    assert [reason_of(opener, datagram) for datagram in datagrams] == ["replayed"] * 2


def test_reordering_within_the_window_and_not_beyond():
    """Late datagrams are opened down to the window's end, and refused one past it."""
    sealer, opener = Sealer(KEYS, PROCESS), Opener(KEYS)
    datagrams = [seal(sealer) for _ in range(REPLAY_WINDOW_BITS + 1)]
    opener.open(datagrams[-1])
    assert opener.open(datagrams[1]).counter == 1
    assert reason_of(opener, datagrams[0]) == "replayed"
    opener.open(datagrams[-2])


def test_a_wrong_key_is_refused():
    """A datagram under a key that isn't here is told apart from a damaged one."""
    assert reason_of(Opener(KEYS), seal(Sealer(KeyRing([OTHER_KEY]), PROCESS))) == "unknown-key"


def test_a_key_of_the_same_id_is_refused():
    """A forged key id gets nobody in."""
    forged = bytearray(seal(Sealer(KeyRing([OTHER_KEY]), PROCESS)))
    forged[3:7] = KEYS.sealing_key_id()
    assert reason_of(Opener(KEYS), bytes(forged)) == "unauthenticated"


def test_plain_and_sealed_never_mix():
    """A replica with keys opens nothing plain, and one without nothing sealed."""
    assert reason_of(Opener(KEYS), seal(Sealer(None, PROCESS))) == "unknown-key"
    assert reason_of(Opener(None), seal(Sealer(KEYS, PROCESS))) == "unknown-key"


def test_keys_rotate_without_a_stop():
    """In each step of a rotation both sides open each other, and no replay gets through."""
    rings = [
        KEYS,
        KeyRing([KEY, OTHER_KEY]),
        KeyRing([OTHER_KEY, KEY]),
        KeyRing([OTHER_KEY]),
    ]
    sealer, opener = Sealer(rings[0], PROCESS), Opener(rings[0])
    opened = [seal(sealer)]
    opener.open(opened[0])
    for earlier, later in pairwise(rings):
        for ours, theirs in [(earlier, later), (later, earlier), (later, later)]:
            sealer.replace_keys(ours)
            opener.replace_keys(theirs)
            datagram = seal(sealer)
            assert opener.open(datagram).counter == len(opened)
            opened.append(datagram)
            assert reason_of(opener, datagram) == "replayed"
    assert reason_of(opener, opened[0]) == "unknown-key"
    opener.replace_keys(rings[1])
    assert {reason_of(opener, datagram) for datagram in opened} == {"replayed"}


def test_the_counter_goes_on_across_keys():
    """No nonce is used twice under one key, even if an old key comes back."""
    sealer, opener = Sealer(KEYS, PROCESS), Opener(KeyRing([KEY, OTHER_KEY]))
    counters = []
    for key in (KEY, OTHER_KEY, KEY):
        sealer.replace_keys(KeyRing([key]))
        counters.append(opener.open(seal(sealer)).counter)
    assert counters == [0, 1, 2]


def test_each_process_has_a_key_of_its_own():
    """Two processes with equal counters never seal with the same key and nonce."""
    first, second = (seal(Sealer(KEYS, process)) for process in (PROCESS, b"q" * 16))
    assert first[-20:-16] != second[-20:-16]


def forget_beyond(monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    monkeypatch.setattr(envelope, "PROCESSES_REMEMBERED_MAXIMUM", processes)


def test_a_flood_from_outside_neither_grows_nor_empties_the_memory(
    monkeypatch: pytest.MonkeyPatch,
):
    """Forged datagrams of any number of processes leave the remembered one in place."""
    forget_beyond(monkeypatch, 1)
    sealer, opener = Sealer(KEYS, PROCESS), Opener(KEYS)
    datagram = seal(sealer)
    opener.open(datagram)
    for number in range(100):
        forged = bytearray(seal(sealer))
        forged[7:23] = number.to_bytes(16)
        assert reason_of(opener, bytes(forged)) == "unauthenticated"
    assert len(opener) == 1
    assert reason_of(opener, datagram) == "replayed"


def test_the_process_unheard_for_longest_is_forgotten(monkeypatch: pytest.MonkeyPatch):
    """At the bound all processes are remembered; one past it, the longest silent one is not."""
    assert PROCESSES_REMEMBERED_MAXIMUM >= 1_000
    forget_beyond(monkeypatch, 3)
    opener = Opener(KEYS)
    sealers = [Sealer(KEYS, number.to_bytes(16)) for number in range(4)]
    sent = [seal(sealer) for sealer in sealers]
    for datagram in sent[:3]:
        opener.open(datagram)
    assert {reason_of(opener, datagram) for datagram in sent[:3]} == {"replayed"}
    opener.open(seal(sealers[0]))
    opener.open(sent[3])
    assert len(opener) == 3
    assert reason_of(opener, sent[0]) == reason_of(opener, sent[2]) == "replayed"
    assert opener.open(sent[1]).counter == 0


def test_a_sealer_remembers_a_bounded_number_of_prefixes(monkeypatch: pytest.MonkeyPatch):
    """Writing to ever more receivers goes on working, and takes no more memory."""
    forget_beyond(monkeypatch, 2)
    sealer, opener = Sealer(KEYS, PROCESS), Opener(KEYS)
    for number in range(200):
        receiver = ServerId("", number.to_bytes(16))
        datagram = sealer.seal(Kind.ANSWER, SENDER, receiver, CLUSTER, b"")
        assert opener.open(datagram).receiver == receiver


MALFORMED = {
    "kind": (2, b"\x09"),
    "cluster of no id": (23, bytes(16)),
    "epoch": (39, b"\xff" * 8),
    "incarnation of nobody": (63, bytes(16)),
    "name": (96, b"\n"),
    "length of a name": (95, b"\x07"),
    "length of the other name": (100, b"\x05"),
    "empty name": (95, b"\x00"),
}


@pytest.mark.parametrize(("place", "content"), MALFORMED.values(), ids=MALFORMED.keys())
def test_nonsense_is_refused_even_if_it_is_authentic(place: int, content: bytes):
    """A header that breaks the rules is malformed, whoever made it."""
    datagram = bytearray(seal(Sealer(None, PROCESS))[:-4])
    opener = Opener(None)
    assert opener.open(with_checksum(bytes(datagram))).sender == SENDER
    datagram[place : place + len(content)] = content
    assert reason_of(opener, with_checksum(bytes(datagram))) == "malformed"


def test_another_version_is_refused():
    """What a later version says is not guessed at."""
    assert reason_of(Opener(KEYS), b"\2" + seal(Sealer(KEYS, PROCESS))[1:]) == "version"
