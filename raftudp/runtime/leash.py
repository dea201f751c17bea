"""Ties a replica's life to that of the `raftudp up` that started it: not even `kill -9` leaves one.

The kernel sends the signal (prctl, PR_SET_PDEATHSIG), so it reaches a replica that is stuck or
suspended too, which a pipe watched by a thread of the replica would not. The replica itself asks
for it, after its start: the parent may have threads by then, and a `preexec_fn`, which runs between
fork and exec, can deadlock where there are threads. The signal comes when the parent's *thread*
that started the replica ends, so replicas are started by the main thread alone.
"""

from __future__ import annotations

import ctypes
import os
import signal

PARENT_VARIABLE = "RAFTUDP_PARENT_PROCESS"
"""The environment variable that holds the process id of the `raftudp up` to end with."""

_PR_SET_PDEATHSIG = 1
"""`<linux/prctl.h>`"""


def tie_to_parent() -> None:
    """Be killed when the parent ends that the environment names, if it names one."""
    parent = os.environ.pop(PARENT_VARIABLE, "")
    if not parent:
        return
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != int(parent):
        os.kill(os.getpid(), signal.SIGKILL)
