"""raftudp: a key/value store whose replicas agree by Raft over plain UDP.

from raftudp import Client

with Client(["127.0.0.1:6000", "127.0.0.1:6001"], key_file="key") as client:
    client.put("a", "1")
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from raftudp.client import AsyncClient, Client
from raftudp.client.results import Deleted, Dump, ServerReport, Swapped, Written
from raftudp.errors import (
    ClientError,
    ConfigurationError,
    FoundingError,
    InvalidRequest,
    NoAnswer,
    NotDone,
    OutcomeUnknown,
    RaftudpError,
    SessionExpired,
)
from raftudp.store.commands import Item

try:
    __version__ = version("raftudp")
except PackageNotFoundError:  # run from a checkout that was not installed
    __version__ = "0+unknown"

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "ConfigurationError",
    "Deleted",
    "Dump",
    "FoundingError",
    "InvalidRequest",
    "Item",
    "NoAnswer",
    "NotDone",
    "OutcomeUnknown",
    "RaftudpError",
    "ServerReport",
    "SessionExpired",
    "Swapped",
    "Written",
    "__version__",
]
