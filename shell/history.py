"""The commands of earlier runs, for the arrow keys: in a file that its user alone can read."""

from __future__ import annotations

import os
import readline
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LINES_MAXIMUM = 1_000


def history_file() -> Path:
    """`raftudp/history` where the XDG base directory specification keeps state."""
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():
        state = Path.home() / ".local" / "state"
    return state / "raftudp" / "history"


@contextmanager
def kept_history() -> Iterator[None]:
    """Bring the history back, and keep it at the end; where that can't be, go on without a word."""
    readline.clear_history()
    readline.set_history_length(LINES_MAXIMUM)
    with suppress(OSError, RuntimeError):  # RuntimeError: no home directory
        readline.read_history_file(history_file())
    try:
        yield
    finally:
        with suppress(OSError, RuntimeError):
            _write(history_file())


def _write(path: Path) -> None:
    """Write it for this user's eyes only: what was written to the store is in there."""
    umask = os.umask(0o077)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.chmod(0o600)
        readline.write_history_file(path)
    finally:
        os.umask(umask)
