"""Shared keys and what they become: one cipher for each sending process.

A process draws 16 random bytes at its start and counts its datagrams from 0. Its cipher's key is
derived from a shared key and those bytes (HKDF-SHA256, RFC 5869), so no key ever sees a nonce twice
although no counter survives a restart.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from raftudp.errors import ConfigurationError
from raftudp.limits import SHARED_KEYS_MAXIMUM

SHARED_KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 4
PLAIN_KEY_ID: Final = bytes(KEY_ID_BYTES)
"""Marks a datagram that is not sealed."""

_KEY_LINE = re.compile(rf"[0-9a-fA-F]{{{2 * SHARED_KEY_BYTES}}}")
_ADVICE = "make one with `raftudp keygen`"


class Cipher(Protocol):
    """Seals and opens bodies; the shape of `cryptography`'s AESGCM."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        """Seal `data`; the tag follows it."""

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        """Open what `encrypt` made, or raise InvalidTag."""


class Checksum:
    """Plain mode's cipher: hides nothing and proves nothing; its CRC-32 only finds damage."""

    tag_bytes: Final = 4

    def encrypt(self, _nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        """Append a checksum over header and body."""
        checksum = zlib.crc32(data, zlib.crc32(associated_data))
        return data + checksum.to_bytes(self.tag_bytes)

    def decrypt(self, _nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        """Check and remove the checksum, or raise InvalidTag."""
        body = data[: -self.tag_bytes]
        if self.encrypt(b"", body, associated_data) != data:
            raise InvalidTag
        return body


class KeyRing:
    """The shared keys: the first seals, all open, so that keys rotate without a stop."""

    def __init__(self, shared_keys: Sequence[bytes]) -> None:
        """Take one to `SHARED_KEYS_MAXIMUM` keys of 32 bytes; else a ConfigurationError."""
        if not 1 <= len(shared_keys) <= SHARED_KEYS_MAXIMUM:
            raise ConfigurationError(
                f"{len(shared_keys)} shared keys given; 1 to {SHARED_KEYS_MAXIMUM} are taken: "
                f"the first seals, the others only open; {_ADVICE}"
            )
        if any(len(key) != SHARED_KEY_BYTES for key in shared_keys):
            raise ConfigurationError(f"a shared key is not {SHARED_KEY_BYTES} bytes; {_ADVICE}")
        self._by_id = {
            _derive(key, b"", b"raftudp key id")[:KEY_ID_BYTES]: key for key in shared_keys
        }
        if len(self._by_id) != len(shared_keys) or PLAIN_KEY_ID in self._by_id:
            raise ConfigurationError(f"two shared keys are the same or look it; {_ADVICE}")

    def __repr__(self) -> str:
        return f"<KeyRing of {', '.join(self.key_ids_hex())}>"

    @classmethod
    def parse(cls, text: str) -> KeyRing:
        """Read a key file: one key a line in 64 hex digits; `#` begins a comment."""
        lines = [line.partition("#")[0].strip() for line in text.splitlines()]
        keys = [(number, line) for number, line in enumerate(lines, start=1) if line]
        if not keys:
            raise ConfigurationError(f"the key file holds no key; {_ADVICE}")
        for number, line in keys:
            if not _KEY_LINE.fullmatch(line):
                # The line itself may be a key with a typing error: it must not be shown.
                raise ConfigurationError(
                    f"line {number} of the key file is not 64 hexadecimal digits; {_ADVICE}"
                )
        return cls([bytes.fromhex(line) for _, line in keys])

    @staticmethod
    def generate_text(random_bytes: bytes) -> str:
        """Write a key file for a new key, made of 32 bytes of the caller's best randomness."""
        assert len(random_bytes) == SHARED_KEY_BYTES
        return (
            "# The shared key of a raftudp cluster: who has it may read, write and administer.\n"
            "# To rotate: add a new key below on every replica, then move it to the top, then\n"
            "# remove this one.\n"
            f"{random_bytes.hex()}\n"
        )

    def key_ids_hex(self) -> list[str]:
        """Name the keys without telling them, the sealing one first."""
        return [key_id.hex() for key_id in self._by_id]

    def sealing_key_id(self) -> bytes:
        """The id of the key that seals."""
        return next(iter(self._by_id))

    def cipher(self, key_id: bytes, process: bytes) -> Cipher | None:
        """The cipher of a sending process under one of the keys; None for a key that isn't here."""
        shared_key = self._by_id.get(key_id)
        if shared_key is None:
            return None
        return AESGCM(_derive(shared_key, process, b"raftudp datagrams of one process"))


def _derive(shared_key: bytes, salt: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), SHARED_KEY_BYTES, salt=salt, info=purpose).derive(shared_key)
