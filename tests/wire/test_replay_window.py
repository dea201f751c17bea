"""The replay window: each counter once, in any order, as far back as it reaches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from raftudp.limits import REPLAY_WINDOW_BITS
from raftudp.wire.replay_window import ReplayWindow

steps = st.one_of(
    st.integers(-3, 12),
    st.integers(-REPLAY_WINDOW_BITS - 10, REPLAY_WINDOW_BITS + 10),
    st.integers(0, 2**40),
)


@given(st.integers(0, 20_000), st.lists(steps, max_size=60))
def test_it_is_a_set_with_a_lower_end(first: int, moves: list[int]):
    """It accepts exactly what a set of all counters, cut off below the window, would."""
    window = ReplayWindow()
    seen: set[int] = set()
    counter = first
    for move in [0, *moves]:
        counter = max(0, counter + move)
        fresh = counter not in seen and counter > max(seen, default=0) - REPLAY_WINDOW_BITS
        assert window.accept(counter) == fresh
        seen.add(counter)


def test_the_window_at_its_end_and_one_past_it():
    """The oldest counter within the window is accepted once, the one before it never."""
    window = ReplayWindow()
    newest = 3 * REPLAY_WINDOW_BITS + 5
    assert window.accept(newest)
    assert window.accept(newest - REPLAY_WINDOW_BITS + 1)
    assert not window.accept(newest - REPLAY_WINDOW_BITS + 1)
    assert not window.accept(newest - REPLAY_WINDOW_BITS)


def test_every_counter_in_reverse():
    """A whole window in the wrong order is accepted, and then refused."""
    window = ReplayWindow()
    counters = range(REPLAY_WINDOW_BITS - 1, -1, -1)
    assert all(window.accept(counter) for counter in counters)
    assert not any(window.accept(counter) for counter in counters)


def test_the_window_moves_without_forgetting_or_inventing():
    """Counted up over several windows, each new counter is fresh and the oldest one still known."""
    window = ReplayWindow()
    for counter in range(3 * REPLAY_WINDOW_BITS):
        assert window.accept(counter)
        assert not window.accept(max(0, counter - REPLAY_WINDOW_BITS + 1))
