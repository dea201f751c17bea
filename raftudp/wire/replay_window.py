"""Which of one sender's counters were seen: a sliding bitmap that needs no shifting (RFC 6479)."""

from __future__ import annotations

from raftudp.limits import REPLAY_WINDOW_BITS

_BLOCKS = REPLAY_WINDOW_BITS // 8 + 1
"""One block of 8 more than the window has, so that the window is whole wherever it begins."""
assert REPLAY_WINDOW_BITS % 8 == 0


class ReplayWindow:
    """Accepts each counter once, in any order, down to `REPLAY_WINDOW_BITS` below the greatest."""

    __slots__ = ("_blocks", "_greatest")

    def __init__(self) -> None:
        self._greatest = -1
        self._blocks = bytearray(_BLOCKS)

    def accept(self, counter: int) -> bool:
        """Take note of an authentic counter; False if it was taken before or is too old to tell."""
        greatest = self._greatest
        block_number = counter >> 3
        if counter > greatest:
            if block_number != greatest >> 3:
                self._clear((greatest >> 3) + 1, block_number)
            self._greatest = counter
        elif counter <= greatest - REPLAY_WINDOW_BITS:
            return False
        place = block_number % _BLOCKS
        bit = 1 << (counter & 7)
        if self._blocks[place] & bit:
            return False
        self._blocks[place] |= bit
        return True

    def _clear(self, first_number: int, last_number: int) -> None:
        """Empty the blocks that the window moves onto, last included."""
        if last_number - first_number >= _BLOCKS:
            self._blocks = bytearray(_BLOCKS)
            return
        for number in range(first_number, last_number + 1):
            self._blocks[number % _BLOCKS] = 0
