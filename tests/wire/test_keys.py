"""Shared keys: what a key file may hold, and what is never shown of it."""

from __future__ import annotations

import pytest

from raftudp.errors import ConfigurationError
from raftudp.wire.keys import KeyRing

FIRST = bytes(range(32))
SECOND = bytes(range(1, 33))
THIRD = bytes(range(2, 34))


def test_what_is_generated_is_parsed():
    """A generated key file holds exactly the key that its bytes make."""
    parsed = KeyRing.parse(KeyRing.generate_text(FIRST))
    assert parsed.key_ids_hex() == KeyRing([FIRST]).key_ids_hex()


def test_comments_blank_lines_and_capitals():
    """Comments, blank lines, spaces and capital digits don't matter; order does."""
    text = f"# a comment\n\n  {FIRST.hex().upper()}  # the new one\r\n{SECOND.hex()}\n"
    ring = KeyRing.parse(text)
    assert ring.key_ids_hex() == KeyRing([FIRST, SECOND]).key_ids_hex()
    assert ring.key_ids_hex() != KeyRing([SECOND, FIRST]).key_ids_hex()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment\n",
        FIRST.hex()[:-1],
        FIRST.hex() + "0",
        "g" + FIRST.hex()[1:],
        f"{FIRST.hex()}\nnonsense",
        f"{FIRST.hex()}\n{FIRST.hex()}",
        "\n".join(key.hex() for key in (FIRST, SECOND, THIRD)),
    ],
    ids=["empty", "comment", "short", "long", "digit", "second", "twice", "three"],
)
def test_other_key_files_are_refused_and_not_shown(text: str):
    """A wrong key file is a ConfigurationError that says what to do, and shows nothing of it."""
    with pytest.raises(ConfigurationError, match="raftudp keygen") as raised:
        KeyRing.parse(text)
    for line in text.splitlines():
        assert not line or line not in str(raised.value)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_keys_of_other_lengths_are_refused(size: int):
    """A shared key has 32 bytes."""
    with pytest.raises(ConfigurationError):
        KeyRing([bytes(size)])


def test_one_to_two_keys():
    """One key or two are taken; none and three are refused."""
    KeyRing([FIRST])
    KeyRing([FIRST, SECOND])
    for keys in ([], [FIRST, SECOND, THIRD]):
        with pytest.raises(ConfigurationError):
            KeyRing(keys)


def test_a_key_ring_shows_no_key():
    """Neither text nor representation of a key ring shows a key."""
    ring = KeyRing([FIRST])
    for shown in (str(ring), repr(ring), *ring.key_ids_hex()):
        assert FIRST.hex() not in shown
        assert shown not in FIRST.hex()
