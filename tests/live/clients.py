"""Clients that record every operation: a process with some threads on one host.

Run as `python -m tests.live.clients PLAN` (JSON). It works until it reads a line from standard
input, which comes when the network is whole again; then it reads every key with much patience, and
writes what all its threads recorded to standard output (pickled: JSON lines don't carry revisions).
The clock is CLOCK_MONOTONIC in nanoseconds, which all processes of a machine share.
"""

from __future__ import annotations

import json
import pickle
import random
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass

from raftudp import Client, NoAnswer, NotDone, OutcomeUnknown
from raftudp.simulation.history import Comparison, History, OperationKind, Recorded, Result
from tests.integration.replicas import PATIENCE_S, ROOT
from tests.live.lab import Lab
from tests.live.replicas import clean_environment

PROCESS_STEP = 10_000
"""A client that does not know what became of a write goes on under a number so much greater."""
MIXTURE = {
    OperationKind.READ: 20,
    OperationKind.WRITE: 45,
    OperationKind.COMPARE: 20,
    OperationKind.DELETE: 15,
}
"""What every other thread does. Those between only read: a deposed leader may go on to answer
reads, but keeps nobody who waits for a write.
"""


@dataclass(frozen=True)
class Plan:
    """What one process of clients does."""

    first_process: int
    """In the history, of the first thread; the others count from there."""
    threads: int
    servers: list[str]
    key_file: str
    keys: list[str]
    timeout_s: float
    pause_ms: float
    """Between two operations of a thread, on average."""
    seed: int


class Recorder:
    """One thread with a client of its own: does one thing after another, and remembers all."""

    def __init__(self, plan: Plan, number: int, stop: threading.Event, timeout_s: float) -> None:
        self._plan = plan
        self._process = plan.first_process + number
        self._mixture = {OperationKind.READ: 1} if number % 2 else MIXTURE
        self._client = Client(plan.servers, key_file=plan.key_file, timeout=timeout_s)
        self._stop = stop
        self._random = random.Random(plan.seed * 1_000 + self._process)
        self._count = 0
        self._seen: dict[str, bytes | None] = {}
        self._history = History()
        self.failure: BaseException | None = None

    def close(self) -> None:
        """End the client."""
        self._client.close()

    @property
    def operations(self) -> list[Recorded]:
        """All that was recorded."""
        return self._history.operations()

    def run(self) -> None:
        """Work until told to stop."""
        try:
            while not self._stop.is_set():
                kind = self._random.choices(*zip(*self._mixture.items(), strict=True))[0]
                self.record(kind, self._random.choice(self._plan.keys))
                self._stop.wait(self._random.expovariate(1e3 / self._plan.pause_ms))
        except BaseException as error:
            self.failure = error
            raise

    def record(self, kind: OperationKind, key: str) -> bool:
        """Do one operation. Returns whether its outcome is known."""
        self._count += 1
        argument: bytes | Comparison | None = None
        new = f"{self._process}:{self._count}".encode()
        if kind is OperationKind.WRITE:
            argument = new
        elif kind is OperationKind.COMPARE:
            argument = Comparison(self._seen.get(key), new)
        history = self._history
        began = time.monotonic_ns()
        number = history.invoke(self._process, kind, key.encode(), argument, began)
        try:
            result, revision = self._ask(key, argument, kind)
        except NotDone:
            history.refuse(number, time.monotonic_ns())
        except (OutcomeUnknown, NoAnswer):
            self._process += PROCESS_STEP
            return False
        else:
            history.complete(number, result, time.monotonic_ns(), revision)
            self._remember(key, argument, result)
        return True

    def _ask(
        self, key: str, argument: bytes | Comparison | None, kind: OperationKind
    ) -> tuple[Result, int]:
        if isinstance(argument, Comparison):
            swapped = self._client.compare_and_set(key, *argument)
            return swapped.swapped, swapped.revision
        if argument is not None:
            return True, self._client.put(key, argument).revision
        if kind is OperationKind.DELETE:
            deleted = self._client.delete(key)
            return deleted.found, deleted.revision
        item = self._client.get(key)
        return (None, 0) if item is None else (item.value, item.revision)

    def _remember(self, key: str, argument: bytes | Comparison | None, result: Result) -> None:
        """What the key held last, as far as this thread knows: a compare expects it."""
        if isinstance(argument, Comparison):
            if result:
                self._seen[key] = argument.new
        elif argument is not None:
            self._seen[key] = argument
        else:
            self._seen[key] = None if isinstance(result, bool) else result


def work(plan: Plan) -> list[Recorded]:
    """Run the plan's clients until a line arrives, then read all."""
    stop = threading.Event()
    recorders = [Recorder(plan, n, stop, plan.timeout_s) for n in range(plan.threads)]
    threads = [threading.Thread(target=one.run, daemon=True) for one in recorders]
    for thread in threads:
        thread.start()
    sys.stdin.readline()
    stop.set()
    for thread in threads:
        thread.join()
    failures = [one.failure for one in recorders if one.failure]
    if failures:
        raise failures[0]
    last = Recorder(plan, plan.threads, stop, PATIENCE_S)
    for key in plan.keys:
        assert last.record(OperationKind.READ, key), "the healed cluster answers no read"
    recorders.append(last)
    for one in recorders:
        one.close()
    return [operation for one in recorders for operation in one.operations]


class ClientProcess:
    """A process of clients on a host, seen from outside."""

    def __init__(self, lab: Lab, host: str, plan: Plan) -> None:
        self._process = subprocess.Popen(
            lab.command(host, sys.executable, "-m", "tests.live.clients", json.dumps(asdict(plan))),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=clean_environment(),
        )

    def __enter__(self) -> ClientProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def finish(self) -> list[Recorded]:
        """Tell it that the network is whole; what its clients recorded."""
        told, _ = self._process.communicate(b"\n", timeout=2 * PATIENCE_S)
        assert self._process.returncode == 0, "a client failed: see above"
        operations: list[Recorded] = pickle.loads(told)
        return operations


if __name__ == "__main__":
    sys.stdout.buffer.write(pickle.dumps(work(Plan(**json.loads(sys.argv[1])))))
