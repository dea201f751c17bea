"""What both clients' methods ask of the session; text becomes UTF-8."""

from __future__ import annotations

from typing import Final, TypeVar

from raftudp.client.requests import Administer, Get, ListKeys
from raftudp.client.results import Dump, Listing, Value
from raftudp.consensus.vocabulary import Cluster, Membership
from raftudp.errors import ClientError, InvalidRequest
from raftudp.store.commands import CompareAndSet, Delete, Put
from raftudp.wire.client_messages import FoundCluster, OpenCluster, Stop, Transfer

ValueT = TypeVar("ValueT", bound=Value)

TIMEOUT_S: Final = 10.0
STATUS_TIMEOUT_S: Final = 1.0
"""A status is mostly asked for because something is down, and shall not wait long for that."""

CLOSED: Final = "the client is closed"


def in_bytes(text: str | bytes) -> bytes:
    """Text as UTF-8, bytes as they are; raise InvalidRequest for anything else."""
    if isinstance(text, bytes | bytearray | memoryview):
        return bytes(text)
    if not isinstance(text, str):
        raise InvalidRequest(f"a key or value is text or bytes, not {type(text).__name__}")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidRequest("this text has characters that UTF-8 does not know") from None


def put(key: str | bytes, value: str | bytes) -> Put:
    """Give a key a value."""
    return Put(in_bytes(key), in_bytes(value))


def get(key: str | bytes, *, stale: bool) -> Get:
    """Read a key."""
    return Get(in_bytes(key), stale)


def delete(key: str | bytes) -> Delete:
    """Remove a key."""
    return Delete(in_bytes(key))


def compare_and_set(
    key: str | bytes, expected: str | bytes | None, value: str | bytes
) -> CompareAndSet:
    """Give a key a value if it has another one now."""
    known = None if expected is None else in_bytes(expected)
    return CompareAndSet(in_bytes(key), known, in_bytes(value))


def list_keys(
    prefix: str | bytes, after: str | bytes | None, limit: int | None, *, stale: bool
) -> ListKeys:
    """Read the keys that begin with a prefix."""
    last = None if after is None else in_bytes(after)
    return ListKeys(in_bytes(prefix), last, limit, stale)


def store(address: str, prefix: str | bytes) -> ListKeys:
    """Read what one server itself holds."""
    return ListKeys(in_bytes(prefix), stale=True, server=address)


def dump(name: str, listing: Listing) -> Dump:
    """What one server itself holds."""
    return Dump(name, listing.applied_index, listing.items)


def stop(address: str) -> Administer:
    """End a server's process."""
    return Administer(address, Stop())


def transfer(name: str | None) -> Administer:
    """Hand leadership over."""
    return Administer(None, Transfer(name or ""))


def found_cluster(address: str, cluster: Cluster, membership: Membership) -> Administer:
    """Bind a blank server to a cluster."""
    return Administer(address, FoundCluster(cluster, membership))


def open_cluster(cluster: Cluster) -> Administer:
    """Let clients in."""
    return Administer(None, OpenCluster(cluster))


def take(outcome: Value | ClientError, kind: type[ValueT]) -> ValueT:
    """The value that an operation completes with, or its error raised."""
    if isinstance(outcome, ClientError):
        raise outcome
    assert isinstance(outcome, kind), "each operation has its kind of value"
    return outcome
