"""Founding a cluster: the one act that makes one, out of blank servers, and never a second time.

`raftudp/DESIGN.md`, section 2, "Founding". The order is what makes it safe: the marker says
*founding* before any replica is told, and *founded* only after the founding membership has
committed; clients are let in after that. Whoever dies between two steps leaves a marker from which
the next run goes on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from raftudp.client.marker import FileMarker, Marker, MarkerContent, MarkerState
from raftudp.client.results import Administered, Reported
from raftudp.consensus.vocabulary import Cluster, Membership, Slot
from raftudp.errors import ClientError, FoundingError
from raftudp.limits import IDENTIFIER_BYTES
from raftudp.wire.client_messages import StatusAnswer

__all__ = ["FileMarker", "Founded", "Marker", "Replicas", "found"]

TIMEOUT_S: Final = 60.0
OPEN_AGAIN_TIMEOUT_S: Final = 5.0
"""For a cluster that was founded before: it should be open, and need not be up now."""
ASK_TIMEOUT_S: Final = 1.0
PAUSE_S: Final = 0.1
FOUNDING_COMMITTED_INDEX: Final = 2
"""Index 1 is the founding membership; a leader commits it with the first entry of its own term."""
SAFE_MEMBERS: Final = 3


class Replicas(Protocol):
    """What the founding asks of the servers; `Client` is one."""

    def ask_status(
        self, servers: Sequence[str], *, timeout: float
    ) -> Mapping[str, Reported | ClientError]:
        """Ask these servers how they are; every answer is to a question asked just now."""

    def found_cluster(
        self, server: str, cluster: Cluster, membership: Membership, *, timeout: float
    ) -> Administered:
        """Bind a blank server to a cluster."""

    def open_cluster(self, cluster: Cluster, *, timeout: float) -> Administered:
        """Have the leader let clients in."""


class Founded(NamedTuple):
    """A cluster is founded."""

    cluster: Cluster
    is_new: bool
    """Whether this run founded it, or an earlier one."""
    notices: tuple[str, ...]
    """What the user should know, one line each."""


def _say_nothing(_line: str) -> None:
    """Nobody listens."""


def found(
    expected: Sequence[tuple[str, str]],
    marker: Marker,
    replicas: Replicas,
    *,
    timeout: float = TIMEOUT_S,
    progress: Callable[[str], None] = _say_nothing,
    random_bytes: Callable[[int], bytes] = os.urandom,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Founded:
    """Found a cluster of the `expected` servers, (name, `host:port`) each, or finish founding it.

    Safe to run again, and by two at a time. `timeout` in seconds; `progress` gets lines of text.
    Raises FoundingError, whose text says what to do.
    """
    founder = _Founder(
        expected, marker, replicas, timeout=timeout, progress=progress, clock=clock, sleep=sleep
    )
    content = marker.read() or founder.begin(random_bytes)
    if content.state is MarkerState.FOUNDED:
        return founder.open_again(content.cluster)
    founder.bind(content)
    founder.mark_founded(content)
    founder.open(content.cluster)
    return Founded(content.cluster, is_new=True, notices=founder.notices())


class _View(NamedTuple):
    """How the members of a founding stand, by name."""

    bound: list[str]
    waiting: list[Slot]
    """Blank, in the incarnation that the marker names."""
    gone: list[str]
    """They answer in another incarnation: what they were is lost."""
    silent: list[str]
    is_committed: bool


class _Founder:
    """One run of the founding."""

    def __init__(
        self,
        expected: Sequence[tuple[str, str]],
        marker: Marker,
        replicas: Replicas,
        *,
        timeout: float,
        progress: Callable[[str], None],
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._expected = tuple(expected)
        self._marker = marker
        self._replicas = replicas
        self._timeout_s = timeout
        self._deadline_s = clock() + timeout
        self._progress = progress
        self._clock = clock
        self._sleep = sleep
        self._last_line = ""
        self._is_durable = False

    def _say(self, line: str) -> None:
        """Tell progress, and each thing once."""
        if line != self._last_line:
            self._last_line = line
            self._progress(line)

    def _pause(self) -> bool:
        """Wait a little; False once the time is over."""
        if self._clock() >= self._deadline_s:
            return False
        self._sleep(PAUSE_S)
        return True

    def _ask(self, servers: Sequence[tuple[str, str]]) -> dict[str, StatusAnswer]:
        """The answers, by expected name; raises FoundingError if another name answers."""
        outcomes = self._replicas.ask_status([a for _, a in servers], timeout=ASK_TIMEOUT_S)
        answers: dict[str, StatusAnswer] = {}
        for name, address in servers:
            outcome = outcomes[address]
            if not isinstance(outcome, Reported):
                continue
            if outcome.answer.name != name:
                raise FoundingError(
                    f"{address} answers as {outcome.answer.name}, and not as {name}: correct the"
                    " list of servers"
                )
            answers[name] = outcome.answer
        durabilities = {answer.durability for answer in answers.values()}
        self._is_durable = durabilities == {"disk"}
        return answers

    # -- a new founding ---------------------------------------------------------------------------

    def begin(self, random_bytes: Callable[[int], bytes]) -> MarkerContent:
        """Wait for all expected servers, then create the marker."""
        answers = self._wait_for_all()
        for name, answer in answers.items():
            if answer.cluster is not None:
                earlier = self._marker.read()
                if earlier is not None:
                    return earlier  # of one who was first, since this run began
                raise FoundingError(
                    f"{name} belongs to the cluster {answer.cluster.cluster_id.hex()} already, and"
                    f" there is no marker {self._marker}: give the marker of that cluster, or"
                    f" stop {name} and start it blank"
                )
        slots = tuple(
            Slot(name, address, answers[name].incarnation) for name, address in self._expected
        )
        cluster = Cluster(random_bytes(IDENTIFIER_BYTES), 1, random_bytes(IDENTIFIER_BYTES))
        content = MarkerContent(MarkerState.FOUNDING, cluster, Membership(slots))
        if self._marker.create(content):
            self._say(f"founding the cluster {cluster.cluster_id.hex()}")
            return content
        earlier = self._marker.read()
        if earlier is None:
            raise FoundingError(f"the marker {self._marker} was removed meanwhile: run init again")
        self._say("another founding was first; going on with that one")
        return earlier

    def _wait_for_all(self) -> dict[str, StatusAnswer]:
        while True:
            answers = self._ask(self._expected)
            silent = [name for name, _ in self._expected if name not in answers]
            if not silent:
                return answers
            self._say(f"waiting for {', '.join(silent)}")
            if not self._pause():
                raise FoundingError(
                    f"no answer from {', '.join(silent)} within {self._timeout_s:g} s, so nothing"
                    " was founded: start all servers, check their addresses and the key, and run"
                    " init again"
                )

    # -- binding ----------------------------------------------------------------------------------

    def bind(self, content: MarkerContent) -> None:
        """Tell every member until the founding membership has committed."""
        slots = content.membership.slots
        if {(slot.name, slot.address) for slot in slots} != set(self._expected):
            named = ", ".join(f"{slot.name}={slot.address}" for slot in slots)
            raise FoundingError(
                f"the marker {self._marker} tells of a founding that has not ended, of {named}:"
                " give exactly these servers to finish it"
            )
        while True:
            view = self._look(content)
            if view.is_committed:
                return
            self._refuse_if_lost(content, view)
            if view.bound or not (view.gone or view.silent):
                for slot in view.waiting:
                    self._tell(content, slot)
            self._say(self._describe(view))
            if not self._pause():
                raise FoundingError(
                    f"the founding of {content.cluster.cluster_id.hex()} has not ended within"
                    f" {self._timeout_s:g} s ({self._describe(view)}): run init again, with the"
                    " same marker, when all servers answer"
                )

    def _look(self, content: MarkerContent) -> _View:
        members = content.membership.slots
        answers = self._ask([(slot.name, slot.address) for slot in members])
        view = _View([], [], [], [], is_committed=False)
        is_committed = False
        for slot in members:
            answer = answers.get(slot.name)
            if answer is None:
                view.silent.append(slot.name)
            elif answer.cluster == content.cluster:
                view.bound.append(slot.name)
                is_committed |= answer.commit_index >= FOUNDING_COMMITTED_INDEX
            elif answer.cluster is not None:
                raise FoundingError(
                    f"{slot.name} belongs to another cluster,"
                    f" {answer.cluster.cluster_id.hex()}: stop it and start it blank"
                )
            elif answer.incarnation == slot.incarnation:
                view.waiting.append(slot)
            else:
                view.gone.append(slot.name)
        return view._replace(is_committed=is_committed)

    def _refuse_if_lost(self, content: MarkerContent, view: _View) -> None:
        """All answer, none is bound and some have forgotten: this founding can't end any more."""
        if view.gone and not view.bound and not view.silent:
            raise FoundingError(
                f"the founding of {content.cluster.cluster_id.hex()} was begun and nobody is bound"
                f" to it, and {', '.join(view.gone)} came back without memory since: nothing is"
                f" lost; remove the marker {self._marker} and run init again"
            )

    def _tell(self, content: MarkerContent, slot: Slot) -> None:
        try:
            self._replicas.found_cluster(
                slot.address, content.cluster, content.membership, timeout=ASK_TIMEOUT_S
            )
        except ClientError as error:
            self._say(f"{slot.name} was not told yet: {error}")

    @staticmethod
    def _describe(view: _View) -> str:
        parts = [
            ("bound", view.bound),
            ("told", [slot.name for slot in view.waiting]),
            ("without memory of it", view.gone),
            ("silent", view.silent),
        ]
        return "; ".join(f"{what}: {', '.join(names)}" for what, names in parts if names)

    # -- the end ----------------------------------------------------------------------------------

    def mark_founded(self, content: MarkerContent) -> None:
        """The membership has committed: let the marker say so."""
        founded = content._replace(state=MarkerState.FOUNDED)
        if not self._marker.replace(content, founded) and self._marker.read() != founded:
            raise FoundingError(
                f"the marker {self._marker} was changed meanwhile: look at it, and run init again"
            )

    def open(self, cluster: Cluster) -> None:
        """Have clients let in."""
        self._say("the cluster is founded; opening it to clients")
        while True:
            remaining_s = max(ASK_TIMEOUT_S, self._deadline_s - self._clock())
            try:
                self._replicas.open_cluster(cluster, timeout=remaining_s)
            except ClientError as error:
                if not self._pause():
                    raise FoundingError(
                        f"the cluster {cluster.cluster_id.hex()} is founded, and not open to"
                        f" clients yet ({error}): run init again, with the same marker"
                    ) from None
            else:
                return

    def open_again(self, cluster: Cluster) -> Founded:
        """It was founded before: see that it is open, if it can be reached."""
        notices: tuple[str, ...] = ()
        timeout_s = min(OPEN_AGAIN_TIMEOUT_S, self._timeout_s)
        try:
            self._replicas.open_cluster(cluster, timeout=timeout_s)
        except ClientError as error:
            notices = (f"it was founded before; whether it is open now is not known: {error}",)
        return Founded(cluster, is_new=False, notices=notices)

    def notices(self) -> tuple[str, ...]:
        """What the user should know of the new cluster."""
        count = len(self._expected)
        if count >= SAFE_MEMBERS or self._is_durable:
            return ()
        servers = "one server" if count == 1 else f"{count} servers"
        text = (
            f"{servers} without disks survive nothing: the loss of one memory is the loss of the"
            f" data; {SAFE_MEMBERS} or more bear the loss of one"
        )
        return (text,)
