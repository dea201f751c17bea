"""The record of `questions`: one question that awaits its answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from raftudp.client.expectation import Expectation
from raftudp.client.requests import Administer, AskStatus, Get, ListKeys, Question
from raftudp.store.commands import Item


@dataclass(slots=True, eq=False)
class PendingQuestion:
    """One question, until it is answered or its time is over."""

    handle: int
    question: Question
    submitted_us: int
    number: int
    """Of its present step; a list has one for each page, administration two."""
    tries: int = 0
    is_queued: bool = False
    is_ended: bool = False
    expectation: Expectation | None = None
    """Of the latest time that it was asked."""
    items: list[Item] = field(default_factory=list)
    """A list's earlier pages."""
    challenge: bytes | None = None
    challenger: bytes | None = None
    """The process that gave the challenge."""
    was_administered: bool = False
    """Whether the action itself was sent, and not only a request for a challenge."""

    @property
    def directed_to(self) -> str | None:
        """The address of the only server that is asked, if there is only one."""
        match self.question:
            case AskStatus(server) | Administer(server):
                return server
            case ListKeys():
                return self.question.server
            case _:
                return None

    @property
    def is_for_leader(self) -> bool:
        """Whether only the leader can answer."""
        match self.question:
            case Get() | ListKeys():
                return not self.question.stale
            case Administer(server):
                return server is None
            case _:
                return False
