"""Writers that never rest, and what they were told."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from raftudp import Client, ClientError, OutcomeUnknown
from raftudp.errors import NotDone


@dataclass
class Told:
    """What one writer was told of its writes: each key is written once."""

    acknowledged: dict[str, int] = field(default_factory=dict)
    """Revision by key."""
    times: list[float] = field(default_factory=list)
    """When each acknowledgement came."""
    unknown: list[str] = field(default_factory=list)
    not_done: list[str] = field(default_factory=list)


class Writers:
    """Threads that write fresh keys through one client until they are stopped."""

    def __init__(self, client: Client, threads: int) -> None:
        self._client = client
        self._stop = threading.Event()
        self.told = [Told() for _ in range(threads)]
        self._threads = [
            threading.Thread(target=self._write, args=(number, told), daemon=True)
            for number, told in enumerate(self.told)
        ]

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, number: int, told: Told) -> None:
        count = 0
        while not self._stop.is_set():
            count += 1
            key = f"w{number}-{count}"
            try:
                written = self._client.put(key, f"value of {key}")
            except OutcomeUnknown:
                told.unknown.append(key)
            except NotDone:
                told.not_done.append(key)
            except ClientError as error:
                raise AssertionError(f"a write ends otherwise: {error!r}") from error
            else:
                told.acknowledged[key] = written.revision
                told.times.append(time.monotonic())

    @property
    def acknowledged(self) -> dict[str, int]:
        """All acknowledged writes: revision by key."""
        return {key: revision for told in self.told for key, revision in told.acknowledged.items()}

    def wait_for_more(self, count: int, patience_s: float) -> float:
        """Wait for so many further acknowledgements; returns the seconds until the first."""
        began = time.monotonic()
        had = len(self.acknowledged)
        while len(self.acknowledged) < had + count:
            assert time.monotonic() < began + patience_s, "no write is acknowledged any more"
            time.sleep(0.01)
        return min(moment for told in self.told for moment in told.times if moment > began) - began


def check_nothing_lost(client: Client, writers: Writers) -> None:
    """Every acknowledged write is there, unchanged, at the revision that was told; nothing else is.

    Each key was written once, so a revision that differs would be a second application.
    """
    held = {item.key.decode(): item for item in client.list("w")}
    acknowledged = writers.acknowledged
    assert len(set(acknowledged.values())) == len(acknowledged), "one entry answers one write"
    for key, revision in acknowledged.items():
        assert key in held, f"{key} was acknowledged and is lost"
        assert held[key].value.decode() == f"value of {key}"
        assert held[key].revision == revision, f"{key} was applied twice"
    unknown = {key for told in writers.told for key in told.unknown}
    not_done = {key for told in writers.told for key in told.not_done}
    assert not not_done & held.keys(), "called not done, and done"
    assert held.keys() <= acknowledged.keys() | unknown
