"""The marker: a place outside the replicas that remembers that, and how, a cluster was founded.

It is created once, in one atomic step, and changed by compare-and-set alone, so that of two that
found at the same time one finds the other's cluster (`raftudp/DESIGN.md`, section 2).
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import NamedTuple, Protocol

from raftudp.consensus.vocabulary import Cluster, Membership, Slot
from raftudp.errors import FoundingError
from raftudp.limits import IDENTIFIER_BYTES


class MarkerState(Enum):
    """How far the founding has come."""

    FOUNDING = "founding"
    FOUNDED = "founded"


class MarkerContent(NamedTuple):
    """What a marker says."""

    state: MarkerState
    cluster: Cluster
    membership: Membership
    """Of the founding."""


class Marker(Protocol):
    """Where a marker is kept; all methods raise FoundingError if that place fails."""

    def read(self) -> MarkerContent | None:
        """What it says; None if there is none."""

    def create(self, content: MarkerContent) -> bool:
        """Create it, durably; False if there is one already, which is left as it is."""

    def replace(self, expected: MarkerContent, content: MarkerContent) -> bool:
        """Change it, durably, if it says `expected`; False if it doesn't."""


class FileMarker:
    """A marker in a file, for a cluster whose administrator works on one machine."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._lock_path = self._path.with_name(self._path.name + ".lock")

    def __str__(self) -> str:
        return str(self._path)

    def read(self) -> MarkerContent | None:
        """What the file says; None if there is none."""
        with self._explaining():
            try:
                text = self._path.read_text("utf-8")
            except FileNotFoundError:
                return None
        try:
            return content_from_json(text)
        except (ValueError, KeyError, TypeError) as error:
            raise FoundingError(
                f"the marker {self._path} is damaged ({error}): restore it; it alone tells which"
                " cluster was founded"
            ) from None

    def create(self, content: MarkerContent) -> bool:
        """Create the file whole: written aside, then linked, which fails if there is one."""
        with self._explaining():
            aside = self._write_aside(content)
            try:
                os.link(aside, self._path)
            except FileExistsError:
                return False
            finally:
                aside.unlink()
            self._sync_directory()
        return True

    def replace(self, expected: MarkerContent, content: MarkerContent) -> bool:
        """Change the file under a lock that all who change it take."""
        with self._explaining(), self._lock():
            if self.read() != expected:
                return False
            self._write_aside(content).replace(self._path)
            self._sync_directory()
        return True

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FoundingError(f"the marker {self._path} can't be used: {error}") from None

    @contextmanager
    def _lock(self) -> Iterator[None]:
        # The lock is a file of its own, for the marker's own file is replaced by another.
        with self._lock_path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _write_aside(self, content: MarkerContent) -> Path:
        with NamedTemporaryFile(
            "w", encoding="utf-8", dir=self._path.parent, prefix=self._path.name, delete=False
        ) as file:
            file.write(content_to_json(content))
            file.flush()
            os.fsync(file.fileno())
        return Path(file.name)

    def _sync_directory(self) -> None:
        descriptor = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def content_to_json(content: MarkerContent) -> str:
    """A marker's content as text, for a person too."""
    cluster = content.cluster
    members = [
        {
            "name": slot.name,
            "address": slot.address,
            "incarnation": None if slot.incarnation is None else slot.incarnation.hex(),
        }
        for slot in content.membership.slots
    ]
    fields = {
        "state": content.state.value,
        "cluster_id": cluster.cluster_id.hex(),
        "epoch": cluster.epoch,
        "epoch_id": cluster.epoch_id.hex(),
        "members": members,
    }
    return json.dumps(fields, indent=2) + "\n"


def content_from_json(text: str) -> MarkerContent:
    """Read what `content_to_json` wrote; raises ValueError, KeyError or TypeError."""
    fields = json.loads(text)
    epoch = fields["epoch"]
    if type(epoch) is not int:
        raise ValueError("the epoch is no number")
    cluster = Cluster(_identifier(fields["cluster_id"]), epoch, _identifier(fields["epoch_id"]))
    slots = tuple(
        Slot(str(member["name"]), str(member["address"]), _identifier(member["incarnation"]))
        for member in fields["members"]
    )
    return MarkerContent(MarkerState(fields["state"]), cluster, Membership(slots))


def _identifier(text: str) -> bytes:
    identifier = bytes.fromhex(text)
    if len(identifier) != IDENTIFIER_BYTES:
        raise ValueError("an identifier has the wrong length")
    return identifier
