"""What a client's calls return."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from raftudp.store.commands import Item
from raftudp.wire.client_messages import StatusAnswer


class Written(NamedTuple):
    """A put was done."""

    revision: int
    """The log index of this change."""
    request_id: str
    """Names the request in the replicas' logs."""


class Deleted(NamedTuple):
    """A delete was done."""

    found: bool
    """Whether the key was there."""
    revision: int
    request_id: str


class Swapped(NamedTuple):
    """A compare-and-set was done."""

    swapped: bool
    """False: the key had another value, and nothing was changed."""
    revision: int
    request_id: str


class Found(NamedTuple):
    """What a get found."""

    item: Item | None
    """None where the key is absent."""
    applied_index: int
    """How far the answering replica had applied the log."""


class Listing(NamedTuple):
    """Keys in order, with their values."""

    items: tuple[Item, ...]
    applied_index: int
    """How far the answering replica had applied the log, at the last page."""


class Administered(NamedTuple):
    """An administrative request was taken."""

    server: str
    """`host:port` of the replica that took it."""


class Reported(NamedTuple):
    """A server's picture of itself."""

    answer: StatusAnswer


Value: TypeAlias = Written | Deleted | Swapped | Found | Listing | Administered | Reported
"""What an operation of a session completes with, if not with a `ClientError`."""


class ServerReport(NamedTuple):
    """One server's status, or why there is none; exactly one of `answer` and `error` is None."""

    server: str
    """`host:port`, as it was asked."""
    name: str | None
    """Its name, where it is known."""
    answer: StatusAnswer | None
    error: str | None


class Dump(NamedTuple):
    """All that one server itself holds under a prefix; it may be older than the cluster's state."""

    name: str
    applied_index: int
    items: tuple[Item, ...]
