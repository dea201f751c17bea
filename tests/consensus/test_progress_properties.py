"""A leader's picture of a follower holds its invariants, whatever the follower answers."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from raftudp.consensus.messages import AppendEntries, AppendEntriesResponse
from raftudp.consensus.progress import WINDOW_BYTES_MINIMUM, Mode, Progress
from raftudp.consensus.vocabulary import Role
from raftudp.limits import IN_FLIGHT_BYTES_PER_FOLLOWER
from tests.consensus.one_server import OneServer, identity

ANSWERS = st.builds(
    AppendEntriesResponse,
    term=st.sampled_from([1, 2, 3, 3, 3, 3]),
    round=st.integers(0, 40),
    success=st.booleans(),
    match_index=st.integers(0, 30),
    previous_log_index=st.integers(0, 30),
    hint_index=st.integers(0, 30),
    hint_term=st.integers(0, 4),
)
HAPPENINGS = st.lists(
    st.one_of(
        ANSWERS, st.integers(1, 5).map(lambda count: [b"x" * 400] * count), st.just("heartbeat")
    ),
    max_size=30,
)


def in_flight(progress: Progress) -> int:
    """The sum that `in_flight_bytes` keeps."""
    return sum(size for _, size in progress.in_flight)


@settings(max_examples=60, deadline=None)
@given(HAPPENINGS)
def test_progress_keeps_its_invariants_under_any_answers(
    happenings: list[AppendEntriesResponse | list[bytes] | str],
) -> None:
    """match_index < next_index, neither match index nor rounds fall, the window stays in bounds;
    and nothing that a follower says makes the leader change its log or commit alone.
    """
    one = OneServer("abc")
    one.follow("b", term=2, terms=[2, 2])
    one.lead()
    state = one.state
    log = state.log.between(1, state.log.last_index)
    for happening in happenings:
        progress = state.progress[identity("b")]
        match_before, round_before = progress.match_index, progress.acknowledged_round
        commit_before = state.commit_index
        if isinstance(happening, AppendEntriesResponse):
            one.receive("b", happening)
        elif isinstance(happening, str):
            one.time_out()
        else:
            one.propose(*happening)
            log += one.last.entries
        if state.role is not Role.LEADER:
            break
        assert match_before <= progress.match_index < progress.next_index
        assert progress.next_index <= state.log.last_index + 1
        assert round_before <= progress.acknowledged_round <= state.round
        assert progress.in_flight_bytes == in_flight(progress)
        assert WINDOW_BYTES_MINIMUM <= progress.window_bytes <= IN_FLIGHT_BYTES_PER_FOLLOWER
        assert progress.mode is Mode.REPLICATE or not progress.in_flight
        assert state.log.between(1, state.log.last_index) == log
        assert state.commit_index == commit_before, "the leader has not written: two are needed"
        for message in one.sent(AppendEntries, "b"):
            assert message.previous_log_index >= progress.match_index or not message.entries


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(0, 40), st.booleans()))
)
def test_a_rejection_never_moves_next_index_to_or_below_match_index(
    rejections: list[tuple[int, int, int, bool]],
) -> None:
    """Whether late, doubled, or of a round before the last rewind."""
    progress = Progress(next_index=31, next_round=1)
    progress.matched(10)
    progress.sent(30, 1_000)
    for round_, previous, resume_after, agreed in rejections:
        next_before = progress.next_index
        progress.rejected(previous, resume_after, agreed, round_)
        assert progress.match_index == 10 < progress.next_index <= next_before
