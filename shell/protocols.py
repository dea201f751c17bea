"""What the shell asks of the world: a client, and under `raftudp up` who starts processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from raftudp.client.results import Deleted, Dump, ServerReport, Swapped, Written
from raftudp.store.commands import Item


class ClusterClient(Protocol):
    """The part of `raftudp.Client` that the shell uses; a call blocks, and raises `ClientError`."""

    def put(self, key: bytes, value: bytes) -> Written:
        """Write."""
        ...

    def get(self, key: bytes) -> Item | None:
        """Read, linearizable."""
        ...

    def delete(self, key: bytes) -> Deleted:
        """Delete."""
        ...

    def compare_and_set(self, key: bytes, expected: bytes, value: bytes) -> Swapped:
        """Write where the value is `expected`."""
        ...

    def list(
        self, prefix: bytes, *, limit: int | None = None, stale: bool = False
    ) -> Sequence[Item]:
        """The keys that begin with `prefix`, in order; `stale`: as any one server has them."""
        ...

    def status(self) -> Sequence[ServerReport]:
        """How each server is."""
        ...

    def store(self, server: str, prefix: bytes) -> Dump:
        """What the server at that address itself holds."""
        ...

    def stop(self, server: str) -> object:
        """End the process of the server at that address."""
        ...

    def transfer(self, name: str) -> object:
        """Hand leadership over to the server of that name."""
        ...


class Starter(Protocol):
    """Who starts replicas' processes on this machine."""

    def start(self, name: str) -> None:
        """Start the process of that name again; raises `RaftudpError` where it runs."""
        ...

    def wait_until_ended(self, name: str, timeout_s: float) -> bool:
        """Wait for the process of that name to end; False if it runs on."""
        ...
