"""When a replica that was told to stop may end: not before a quorum remains without it, or its time
is up.

A leader hands leadership over first, and knows from its followers' answers who remains. A follower
asks the leader, as a client would, until the leader's status shows rounds of heartbeats that were
sent after the departure began and that a quorum without this replica answered (section 2 of
`raftudp/DESIGN.md`, "Terminating to return").
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from raftudp.consensus.outputs import FollowerStatus, ServerStatus
from raftudp.consensus.quorum import quorum_size
from raftudp.consensus.vocabulary import Index, Membership, Role, ServerId
from raftudp.wire.client_messages import Follower, Status, StatusAnswer

QUESTION_INTERVAL_US: Final = 20_000
HAND_OVER_INTERVAL_US: Final = 100_000


class Departure:
    """One replica's way out. Pure: it says what to do, its caller does it."""

    def __init__(self, now_us: int, stop_timeout_us: int) -> None:
        self._began_us: Final = now_us
        self._deadline_us: Final = now_us + stop_timeout_us
        self._quorum_remains = False
        self._asked_us = now_us - QUESTION_INTERVAL_US
        self._handed_over_us = now_us - HAND_OVER_INTERVAL_US
        self._committed: Index | None = None
        """What was committed when a leader was first looked at: who remains must hold it."""
        self._has_asked = False
        """Whether a hand-over was asked for."""
        self._was_relieved = False
        """Whether another led after that."""

    def may_end(self, status: ServerStatus, now_us: int) -> bool:
        """Whether the process may end now, by the server's current status."""
        others = [one for one in status.membership.identities() if one != status.identity]
        if status.cluster is None or not others or now_us >= self._deadline_us:
            return True
        if status.role is Role.LEADER:
            self._look_at(status.commit_index)
            self._quorum_remains = self._remains(
                status.identity, status.membership, status.followers, now_us, leader_stays=False
            )
            return False
        return self._quorum_remains and status.leader is not None

    def hands_over(self, status: ServerStatus, now_us: int) -> bool:
        """Whether to ask now for leadership to be handed over: again where nobody took it.

        Leadership that came back is passed on only where a quorum remains: two servers that leave
        at once would hand it to and fro, and serve nobody, until their time is up.
        """
        if status.role is not Role.LEADER:
            self._was_relieved = self._was_relieved or self._has_asked
            return False
        if (
            status.is_transferring
            or now_us - self._handed_over_us < HAND_OVER_INTERVAL_US
            or (self._was_relieved and not self._quorum_remains)
        ):
            return False
        self._handed_over_us = now_us
        self._has_asked = True
        return True

    def question(self, status: ServerStatus, now_us: int) -> tuple[ServerId, Status] | None:
        """What to ask the leader now, as a follower."""
        if (
            status.role is Role.LEADER
            or status.leader is None
            or self._quorum_remains
            or now_us - self._asked_us < QUESTION_INTERVAL_US
        ):
            return None
        self._asked_us = now_us
        # The request's number says when it was asked.
        return status.leader, Status(now_us)

    def take_answer(self, status: ServerStatus, answer: StatusAnswer) -> None:
        """The leader's answer to a question."""
        if answer.role != "leader" or answer.incarnation == status.identity.incarnation:
            return
        self._look_at(answer.commit_index)
        self._quorum_remains = self._remains(
            status.identity, answer.membership, answer.followers, answer.request, leader_stays=True
        )

    def _look_at(self, commit_index: Index) -> None:
        if self._committed is None:
            self._committed = commit_index

    def _remains(
        self,
        leaving: ServerId,
        membership: Membership,
        followers: Iterable[Follower | FollowerStatus],
        asked_us: int,
        leader_stays: bool,
    ) -> bool:
        """Whether a quorum of all slots answered, without `leaving`, since the departure began,
        and holds what was committed then.

        A round answered `last_heard_us` before the leader was asked, at `asked_us` or later, was
        sent after the departure began if that is no longer ago than the departure itself.
        """
        assert self._committed is not None
        since_us = asked_us - self._began_us
        count = int(leader_stays)
        for follower in followers:
            heard = follower.last_heard_us is not None and follower.last_heard_us <= since_us
            caught_up = follower.match_index >= self._committed
            count += heard and caught_up and follower.name != leaving.name
        return count >= quorum_size(membership)

    @property
    def next_turn_us(self) -> int:
        """How long the caller may sleep at most between two looks, microseconds."""
        return QUESTION_INTERVAL_US
