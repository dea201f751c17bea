"""What may happen to a server, as data.

Time is the other argument of `Server.step`; its passing is an input by itself.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from raftudp.consensus.messages import Mail
from raftudp.consensus.vocabulary import Cluster, Index, Membership, Term


class MailReceived(NamedTuple):
    """An authenticated message arrived, for this incarnation or another: the core checks that
    itself.
    """

    mail: Mail


class CommandProposed(NamedTuple):
    """A client's command, opaque; answered in the same outputs by a `Proposal`."""

    token: Hashable
    command: bytes


class ReadRequested(NamedTuple):
    """A linearizable read wants an index to wait for (dissertation, section 6.4); answered by a
    `ReadGrant`.
    """

    token: Hashable


class OpenRequested(NamedTuple):
    """The founder says that the marker has its last state: append OPEN, unless it is there."""

    token: Hashable


class FoundRequested(NamedTuple):
    """The founder tells a blank server its founding membership."""

    token: Hashable
    cluster: Cluster
    membership: Membership


class TransferRequested(NamedTuple):
    """Hand leadership over to `target`, or to the follower that is furthest where it is None."""

    token: Hashable
    target: str | None


@dataclass(frozen=True, slots=True)
class EntriesPersisted:
    """The log is durable up to `index`; only then does a leader count itself.

    `term` is that entry's, as it was handed out: where the log has been cut and filled again since,
    a late notice of the entry that was there before does not match and says nothing.
    """

    index: Index
    term: Term


Input: TypeAlias = (
    MailReceived
    | CommandProposed
    | ReadRequested
    | OpenRequested
    | FoundRequested
    | TransferRequested
    | EntriesPersisted
)
