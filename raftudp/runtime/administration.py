"""Administrative requests: each under a challenge that is good for one, for a short while.

A challenge proves that the request was made now and for this process. A repetition of the request
gets the first one's answer, so a lost answer costs nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, assert_never

from raftudp.consensus.inputs import FoundRequested, Input, OpenRequested, TransferRequested
from raftudp.consensus.outputs import Proposal, ServerStatus
from raftudp.limits import CHALLENGES_MAXIMUM, IDENTIFIER_BYTES
from raftudp.runtime.outbox import Outbox
from raftudp.runtime.requests import Origin, RequestReport
from raftudp.wire.client_messages import (
    Admin,
    AdminAnswer,
    ChallengeAnswer,
    ChallengeRequest,
    FoundCluster,
    OpenCluster,
    RefusalReason,
    Stop,
    Transfer,
)

CHALLENGE_LIFE_US: Final = 10_000_000


@dataclass(slots=True)
class _Challenge:
    """A challenge, and what it was used for."""

    process: bytes
    expires_us: int
    origin: Origin
    used_for: Admin | None = None
    answer: AdminAnswer | RefusalReason | None = None
    """None while the request is under way."""


class Administration:
    """The challenges that this process gave out."""

    def __init__(
        self,
        random_bytes: Callable[[int], bytes],
        outbox: Outbox,
        reports: list[RequestReport],
    ) -> None:
        self._random_bytes = random_bytes
        self._outbox = outbox
        self._reports = reports
        self._challenges: OrderedDict[bytes, _Challenge] = OrderedDict()
        self._opening: list[bytes] = []
        """Challenges whose OpenCluster waits for its entry to be committed."""
        self.stop_requested = False

    def challenge(self, origin: Origin, request: ChallengeRequest, now_us: int) -> None:
        """Give out a challenge, to this one process."""
        challenge = self._random_bytes(IDENTIFIER_BYTES)
        expires_us = now_us + CHALLENGE_LIFE_US
        self._challenges[challenge] = _Challenge(origin.process, expires_us, origin)
        if len(self._challenges) > CHALLENGES_MAXIMUM:
            self._challenges.popitem(last=False)
        self._outbox.add(origin, ChallengeAnswer(request.request, challenge))

    def take(self, origin: Origin, admin: Admin, status: ServerStatus, now_us: int) -> list[Input]:
        """An administrative request: refuse it, answer it as the first time, or hand it to the
        core.
        """
        known = self._challenges.get(admin.challenge)
        if (
            known is None
            or known.process != origin.process
            or now_us >= known.expires_us
            or known.used_for not in (None, admin)
        ):
            self._outbox.add_refused(origin, RefusalReason.CHALLENGE, admin.request)
            self._report(origin, admin, RefusalReason.CHALLENGE)
            return []
        known.origin = origin
        if known.used_for is not None:
            self._send(known)
            return []
        known.used_for = admin
        return self._begin(known, admin, status)

    def _begin(self, known: _Challenge, admin: Admin, status: ServerStatus) -> list[Input]:
        token = admin.challenge
        match admin.action:
            case Stop():
                self.stop_requested = True
                self._end(known, None)
                return []
            case Transfer(target):
                return [TransferRequested(token, target or None)]
            case FoundCluster(cluster, membership):
                return [FoundRequested(token, cluster, membership)]
            case OpenCluster(cluster):
                if status.cluster is None:
                    self._end(known, RefusalReason.BLANK)
                elif status.cluster != cluster:
                    self._end(known, RefusalReason.ALREADY_BOUND)
                elif status.is_open:
                    self._end(known, None)
                else:
                    return [OpenRequested(token)]
                return []
            case _:
                assert_never(admin.action)

    def settle(self, proposal: Proposal) -> None:
        """The core took or refused what it was handed."""
        assert isinstance(proposal.token, bytes), "the token of an administrative request"
        known = self._challenges.get(proposal.token)
        if known is None or known.used_for is None:
            return
        if proposal.refusal is not None:
            self._end(known, RefusalReason(proposal.refusal))
        elif isinstance(known.used_for.action, OpenCluster):
            self._opening.append(proposal.token)
        else:
            self._end(known, None)

    def opened(self) -> None:
        """Clients are let in: answer those who asked for it."""
        self._end_opening(None)

    def lose_all(self) -> None:
        """Leadership is lost: an OPEN entry under way may or may not come to pass."""
        self._end_opening(RefusalReason.PENDING_LOST)

    def _end_opening(self, refusal: RefusalReason | None) -> None:
        for token in self._opening:
            known = self._challenges.get(token)
            if known is not None:
                self._end(known, refusal)
        self._opening.clear()

    def _end(self, known: _Challenge, refusal: RefusalReason | None) -> None:
        assert known.used_for is not None
        known.answer = AdminAnswer(known.used_for.request) if refusal is None else refusal
        if refusal is not None:
            self._report(known.origin, known.used_for, refusal)
        self._send(known)

    def _send(self, known: _Challenge) -> None:
        """Answer, if there is an answer yet."""
        assert known.used_for is not None
        if isinstance(known.answer, AdminAnswer):
            self._outbox.add(known.origin, known.answer)
        elif known.answer is not None:
            self._outbox.add_refused(known.origin, known.answer, known.used_for.request)

    def _report(self, origin: Origin, admin: Admin, refusal: RefusalReason) -> None:
        kind = type(admin.action).__name__
        outcome = refusal.name.lower()
        self._reports.append(RequestReport(kind, origin, b"", admin.request, outcome, 0))
