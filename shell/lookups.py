"""Asks the cluster for names and keys while somebody types: quickly, and never with an error."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

from shell.protocols import ClusterClient
from shell.servers import Servers
from shell.texts import bytes_of, text_of

TIMEOUT_S = 1.0
KEYS_MAXIMUM = 50
"""As many keys as are worth choosing from."""


class Lookups:
    """Names and keys for completion and help; what doesn't come in time is left out."""

    def __init__(self, client: ClusterClient, servers: Servers) -> None:
        self._client = client
        self._servers = servers
        self._asking: threading.Thread | None = None

    def names(self) -> list[str]:
        """The servers' names."""
        return self._in_time(self._servers.known)

    def keys(self, letters: str) -> list[str]:
        """Some keys that begin with `letters`: only those that can be typed.

        Where there are more, `letters` and an ellipsis stand for them, so that what these few
        have in common is not taken for what all have.
        """

        def ask() -> Iterable[str]:
            items = self._client.list(bytes_of(letters), limit=KEYS_MAXIMUM, stale=True)
            texts = [text for item in items if (text := text_of(item.key)).isprintable()]
            return [*texts, f"{letters}…"] if len(items) == KEYS_MAXIMUM else texts

        return self._in_time(ask)

    def _in_time(self, ask: Callable[[], Iterable[str]]) -> list[str]:
        """What `ask` returns, or nothing if that takes too long; one question at a time."""
        if self._asking is not None and self._asking.is_alive():
            return []
        found: list[str] = []

        def run() -> None:
            with suppress(
                Exception
            ):  # whatever is wrong, a command says it better than the Tab key
                found.extend(ask())

        self._asking = threading.Thread(target=run, daemon=True, name="shell-lookup")
        self._asking.start()
        self._asking.join(TIMEOUT_S)
        return list(found)
