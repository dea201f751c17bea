"""What a leader knows of one follower, and how much it may send it.

Two modes: *probe*, where it is not known at which index the logs agree and one message is under way
at a time, and *replicate*, where messages follow one another without waiting, up to a window of
bytes in flight. The window halves when a message was lost and doubles while all goes well, since a
lost message makes the follower refuse all after it.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum

from raftudp.consensus.vocabulary import Index
from raftudp.limits import DATAGRAM_BYTES_MINIMUM, IN_FLIGHT_BYTES_PER_FOLLOWER

WINDOW_BYTES_MINIMUM = 8 * DATAGRAM_BYTES_MINIMUM
WINDOW_BYTES_FIRST = 64 * DATAGRAM_BYTES_MINIMUM


class Mode(IntEnum):
    """How entries are sent to a follower."""

    PROBE = 0
    REPLICATE = 1


class Progress:
    """One follower, seen by its leader. Invariant: `match_index < next_index`."""

    __slots__ = (
        "acknowledged_round",
        "in_flight",
        "in_flight_bytes",
        "last_heard_us",
        "match_index",
        "mode",
        "next_index",
        "probe_sent",
        "rewound_at_round",
        "rtt_us",
        "window_bytes",
    )

    def __init__(self, next_index: Index, next_round: int) -> None:
        self.mode = Mode.PROBE
        self.match_index: Index = 0
        self.next_index = next_index
        self.probe_sent = False
        """In probe: a message is under way, wait for its answer or the next heartbeat."""
        self.acknowledged_round = 0
        """The latest round that it answered."""
        self.last_heard_us: int | None = None
        """When the latest round that it answered was *sent*."""
        self.rtt_us: int | None = None
        self.in_flight: deque[tuple[Index, int]] = deque()
        self.in_flight_bytes = 0
        self.window_bytes = WINDOW_BYTES_FIRST
        self.rewound_at_round = next_round
        """Rejections of earlier rounds than this answer messages sent before the last rewind, or
        before this leadership: they say nothing new.
        """

    def may_send(self) -> bool:
        """Whether a message with entries may leave now."""
        if self.mode is Mode.PROBE:
            return not self.probe_sent
        return self.in_flight_bytes < self.window_bytes

    def sent(self, last_index: Index, size_bytes: int) -> None:
        """Notes that entries up to `last_index` left for it."""
        if self.mode is Mode.PROBE:
            self.probe_sent = True
            return
        self.next_index = last_index + 1
        self.in_flight.append((last_index, size_bytes))
        self.in_flight_bytes += size_bytes

    def matched(self, index: Index) -> bool:
        """A message verified the follower's log up to `index`. Returns whether that is news."""
        if self.mode is Mode.PROBE:
            self.mode, self.probe_sent = Mode.REPLICATE, False
            self.next_index = max(self.match_index, index) + 1
        acknowledged = 0
        while self.in_flight and self.in_flight[0][0] <= index:
            acknowledged += self.in_flight.popleft()[1]
        self.in_flight_bytes -= acknowledged
        self.window_bytes = min(IN_FLIGHT_BYTES_PER_FOLLOWER, self.window_bytes + acknowledged)
        if index <= self.match_index:
            return False
        self.match_index = index
        self.next_index = max(self.next_index, index + 1)
        return True

    def rejected(
        self, previous_log_index: Index, resume_after: Index, agreed: bool, round_: int
    ) -> bool:
        """The follower's log did not match at `previous_log_index`, asked in `round_`.

        Returns whether that is news.

        Sending resumes after `resume_after`, at full speed if the logs are known to agree there. A
        late rejection never moves `next_index` back to or below `match_index`.
        """
        if (
            round_ < self.rewound_at_round
            or not self.match_index < previous_log_index < self.next_index
        ):
            return False
        self.mode = Mode.REPLICATE if agreed else Mode.PROBE
        self.probe_sent = False
        self.next_index = max(self.match_index, min(resume_after, previous_log_index - 1)) + 1
        self.in_flight.clear()
        self.in_flight_bytes = 0
        self.window_bytes = max(WINDOW_BYTES_MINIMUM, self.window_bytes // 2)
        return True

    def heard(self, round_: int, sent_us: int, now_us: int) -> None:
        """It answered a message of `round_`, which was sent at `sent_us`."""
        if round_ > self.acknowledged_round:
            self.acknowledged_round = round_
            self.last_heard_us = sent_us
            self.rtt_us = now_us - sent_us
