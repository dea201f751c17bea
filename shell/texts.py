"""Between what is typed and shown, and the bytes that are stored."""

from __future__ import annotations


def bytes_of(typed: str) -> bytes:
    """A typed word as it is stored: UTF-8, and what was no UTF-8 as it came."""
    return typed.encode("utf-8", "surrogateescape")


def text_of(stored: bytes) -> str:
    """Stored bytes as they would be typed: the inverse of `bytes_of`."""
    return stored.decode("utf-8", "surrogateescape")


def visible(text: str) -> str:
    """`text` with all that could steer a terminal, or is no character, escaped as in Python."""
    return text if text.isprintable() else "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":  # a byte that was no UTF-8, by "surrogateescape"
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
