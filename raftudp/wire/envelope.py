"""The envelope of a datagram: who sends it to whom, in which cluster, sealed with the body.

    version 1 | length of the prefix 1 | kind 1 | key id 4 | process 16 | cluster id 16 | epoch 8 |
    epoch id 16 | sender's incarnation 16 | receiver's incarnation 16 |
    sender's name 1 + n | receiver's name 1 + n |                             (the prefix ends here)
    counter 8 | body, encrypted | tag 16

Everything before the body is the associated data, the counter is the nonce. The prefix is the same
for all datagrams of one process to one receiver, so both sides keep it: the sealer builds it once,
the opener parses it once. Without keys the body is plain and the tag a CRC-32.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from enum import IntEnum
from typing import NamedTuple

from cryptography.exceptions import InvalidTag

from raftudp.consensus.vocabulary import ANY_INCARNATION, Cluster, ServerId
from raftudp.encoding.fields import is_name
from raftudp.errors import EnvelopeError
from raftudp.limits import (
    ENVELOPE_BYTES_MAXIMUM,
    IDENTIFIER_BYTES,
    INTEGER_MAXIMUM,
    NAME_BYTES_MAXIMUM,
    PROCESSES_REMEMBERED_MAXIMUM,
)
from raftudp.wire.keys import PLAIN_KEY_ID, Checksum, Cipher, KeyRing
from raftudp.wire.replay_window import ReplayWindow

__all__ = ["KeyRing", "Kind", "Opened", "Opener", "Sealer"]

_VERSION = 1
_FIXED = struct.Struct("!BBB4s16s16sQ16s16s16s")
_KEY_ID = slice(3, 7)
_PROCESS = slice(7, 23)
_PREFIX_BYTES_MINIMUM = _FIXED.size + 2
_PREFIX_BYTES_MAXIMUM = _PREFIX_BYTES_MINIMUM + 2 * NAME_BYTES_MAXIMUM
_COUNTER_BYTES = 8
_NONCE_HEAD = bytes(4)
_TAG_BYTES = 16
_NO_IDENTIFIER = bytes(IDENTIFIER_BYTES)
_PREFIXES_PER_PROCESS_MAXIMUM = 64
"""A process has one for each kind, cluster and identity that it writes to or answers as."""

assert _PREFIX_BYTES_MAXIMUM < 256, "the length of a prefix is one byte"
assert _PREFIX_BYTES_MAXIMUM + _COUNTER_BYTES + _TAG_BYTES <= ENVELOPE_BYTES_MAXIMUM


class Kind(IntEnum):
    """What the body is."""

    SERVER = 1
    """A `consensus.messages.Message`."""
    REQUEST = 2
    """A client's `client_messages.Request`."""
    ANSWER = 3
    """A replica's `client_messages.Answer`."""


class Opened(NamedTuple):
    """An authentic datagram, seen for the first time."""

    kind: Kind
    sender: ServerId
    """A client has no name, and its process for an incarnation."""
    receiver: ServerId
    cluster: Cluster | None
    process: bytes
    """The sending process; an incarnation may outlive it."""
    counter: int
    body: bytes


class _Prefix(NamedTuple):
    """A prefix, parsed."""

    kind: Kind
    sender: ServerId
    receiver: ServerId
    cluster: Cluster | None
    cipher: Cipher


class _Process:
    """What an opener remembers of a sending process."""

    __slots__ = ("prefixes", "window")

    def __init__(self) -> None:
        self.prefixes: dict[bytes, _Prefix] = {}
        self.window = ReplayWindow()


class Sealer:
    """Seals the datagrams of one process, each with a counter of its own. For one thread."""

    def __init__(self, keys: KeyRing | None, process: bytes) -> None:
        """Begin at counter 0; `process` must be fresh random bytes. Without keys: plain mode."""
        assert len(process) == IDENTIFIER_BYTES
        self._process = process
        self._counter = 0
        self._prefixes: dict[tuple[Kind, ServerId, ServerId, Cluster | None], bytes] = {}
        self._use(keys)

    def replace_keys(self, keys: KeyRing) -> None:
        """Seal with other keys from here on; the counter goes on, as an old key may return."""
        self._use(keys)

    def _use(self, keys: KeyRing | None) -> None:
        self._key_id = PLAIN_KEY_ID if keys is None else keys.sealing_key_id()
        self._cipher = _cipher(keys, self._key_id, self._process)
        self._tag_bytes = Checksum.tag_bytes if keys is None else _TAG_BYTES
        self._prefixes.clear()

    def seal(
        self,
        kind: Kind,
        sender: ServerId,
        receiver: ServerId,
        cluster: Cluster | None,
        body: bytes,
    ) -> bytes:
        """Make the datagram that carries `body`."""
        facts = (kind, sender, receiver, cluster)
        prefix = self._prefixes.get(facts)
        if prefix is None:
            if len(self._prefixes) >= PROCESSES_REMEMBERED_MAXIMUM:
                del self._prefixes[next(iter(self._prefixes))]
            prefix = self._prefixes[facts] = self._build_prefix(*facts)
        counter = self._counter.to_bytes(_COUNTER_BYTES)
        self._counter += 1
        header = prefix + counter
        cipher = self._cipher
        assert cipher is not None
        return header + cipher.encrypt(_NONCE_HEAD + counter, body, header)

    def overhead(self, sender: ServerId, receiver: ServerId) -> int:
        """How many bytes a datagram between these is longer than its body."""
        names = len(sender.name) + len(receiver.name)
        return _PREFIX_BYTES_MINIMUM + names + _COUNTER_BYTES + self._tag_bytes

    def _build_prefix(
        self, kind: Kind, sender: ServerId, receiver: ServerId, cluster: Cluster | None
    ) -> bytes:
        names = b""
        for name in (sender.name, receiver.name):
            assert not name or is_name(name), "names are checked where they enter"
            names += bytes((len(name),)) + name.encode()
        cluster_id, epoch, epoch_id = cluster or (_NO_IDENTIFIER, 0, _NO_IDENTIFIER)
        fixed = _FIXED.pack(
            _VERSION,
            _FIXED.size + len(names),
            kind,
            self._key_id,
            self._process,
            cluster_id,
            epoch,
            epoch_id,
            sender.incarnation,
            receiver.incarnation,
        )
        return fixed + names


class Opener:
    """Opens datagrams: authentic ones, each once. For one thread.

    It keeps something only of processes that sent an authentic datagram, and forgets the one
    unheard for longest, so that a flood from outside neither grows nor empties its memory.
    """

    def __init__(self, keys: KeyRing | None) -> None:
        """Open what any of the keys sealed; without keys: plain datagrams, and no others."""
        self._keys = keys
        self._processes: OrderedDict[bytes, _Process] = OrderedDict()

    def __len__(self) -> int:
        """How many processes are remembered."""
        return len(self._processes)

    def replace_keys(self, keys: KeyRing) -> None:
        """Open with other keys from here on; what was seen stays seen."""
        self._keys = keys
        for process in self._processes.values():
            process.prefixes.clear()

    def open(self, datagram: bytes) -> Opened:
        """Open a datagram, or raise EnvelopeError.

        Its reason is one of: short, version, unknown-key, unauthenticated, replayed, malformed.
        """
        if len(datagram) < _PREFIX_BYTES_MINIMUM:
            raise EnvelopeError("short")
        version, prefix_bytes = datagram[0], datagram[1]
        if version != _VERSION:
            raise EnvelopeError("version")
        header_bytes = prefix_bytes + _COUNTER_BYTES
        if len(datagram) < header_bytes:
            raise EnvelopeError("short")
        prefix = datagram[:prefix_bytes]
        process_id = datagram[_PROCESS]
        process = self._processes.get(process_id)
        known = None if process is None else process.prefixes.get(prefix)
        cipher = self._cipher_for(datagram) if known is None else known.cipher
        header = datagram[:header_bytes]
        counter = header[prefix_bytes:]
        try:
            body = cipher.decrypt(_NONCE_HEAD + counter, datagram[header_bytes:], header)
        except InvalidTag:
            raise EnvelopeError("unauthenticated") from None
        if known is None:
            known = _parse_prefix(prefix, cipher)
            process = self._remember(process_id, prefix, known)
        else:
            self._processes.move_to_end(process_id)
        assert process is not None
        number = int.from_bytes(counter)
        if not process.window.accept(number):
            raise EnvelopeError("replayed")
        kind, sender, receiver, cluster, _ = known
        return Opened(kind, sender, receiver, cluster, process_id, number, body)

    def _cipher_for(self, datagram: bytes) -> Cipher:
        cipher = _cipher(self._keys, datagram[_KEY_ID], datagram[_PROCESS])
        if cipher is None:
            raise EnvelopeError("unknown-key")
        return cipher

    def _remember(self, process_id: bytes, prefix: bytes, parsed: _Prefix) -> _Process:
        """Keep what an authentic datagram showed."""
        process = self._processes.get(process_id)
        if process is None:
            if len(self._processes) >= PROCESSES_REMEMBERED_MAXIMUM:
                self._processes.popitem(last=False)
            process = self._processes[process_id] = _Process()
        else:
            self._processes.move_to_end(process_id)
        if len(process.prefixes) >= _PREFIXES_PER_PROCESS_MAXIMUM:
            process.prefixes.clear()
        process.prefixes[prefix] = parsed
        return process


def _cipher(keys: KeyRing | None, key_id: bytes, process: bytes) -> Cipher | None:
    """The cipher a datagram calls for; None where sealed meets plain, or the key is not here."""
    if keys is None:
        return Checksum() if key_id == PLAIN_KEY_ID else None
    return keys.cipher(key_id, process)


def _parse_prefix(prefix: bytes, cipher: Cipher) -> _Prefix:
    """Parse an authentic prefix; a peer that runs something else may still have made nonsense."""
    if len(prefix) < _PREFIX_BYTES_MINIMUM:
        raise EnvelopeError("malformed")
    fields = _FIXED.unpack_from(prefix)
    _, _, kind, _, _, cluster_id, epoch, epoch_id, sender_life, receiver_life = fields
    sender_name, rest = _parse_name(prefix[_FIXED.size :])
    receiver_name, rest = _parse_name(rest)
    cluster = Cluster(cluster_id, epoch, epoch_id)
    no_cluster = cluster_id == _NO_IDENTIFIER
    if (
        rest
        or kind not in Kind.__members__.values()
        or epoch > INTEGER_MAXIMUM
        or (no_cluster and (epoch != 0 or epoch_id != _NO_IDENTIFIER))
        or (kind == Kind.SERVER and (not sender_name or sender_life == ANY_INCARNATION))
    ):
        raise EnvelopeError("malformed")
    return _Prefix(
        Kind(kind),
        ServerId(sender_name, sender_life),
        ServerId(receiver_name, receiver_life),
        None if no_cluster else cluster,
        cipher,
    )


def _parse_name(data: bytes) -> tuple[str, bytes]:
    """Split a name off; what follows it comes second."""
    if not data or len(data) <= data[0]:
        raise EnvelopeError("malformed")
    name = data[1 : 1 + data[0]].decode("latin-1")
    if name and not is_name(name):
        raise EnvelopeError("malformed")
    return name, data[1 + data[0] :]
