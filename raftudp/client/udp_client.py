"""The blocking client: calls from any thread, one thread of its own that runs the session."""

from __future__ import annotations

import builtins
import selectors
import socket
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from raftudp.client import calls
from raftudp.client.calls import STATUS_TIMEOUT_S, TIMEOUT_S, ValueT
from raftudp.client.directory import Directory
from raftudp.client.link import Link, now_us
from raftudp.client.requests import AskStatus, Operation, check_limits
from raftudp.client.results import (
    Administered,
    Deleted,
    Dump,
    Found,
    Listing,
    Reported,
    ServerReport,
    Swapped,
    Value,
    Written,
)
from raftudp.consensus.vocabulary import Cluster, Membership
from raftudp.errors import ClientError, NotDone
from raftudp.store.commands import Item

WAKE_BYTES: int = 4_096


class _Submission(NamedTuple):
    """An operation on its way to the client's thread."""

    operation: Operation
    deadline_us: int
    outcome: Future[Value | ClientError]


class Client:
    """A connection to a cluster; calls block, and may come from any number of threads.

        with Client(["127.0.0.1:6000", "127.0.0.1:6001"], key_file="key") as client:
            client.put("a", "1")

    Keys and values are bytes, or text that becomes UTF-8. Writes are exactly-once. A call raises
    `InvalidRequest` before anything is sent, `NotDone` if a write was certainly not executed,
    `OutcomeUnknown` if it may have been, `NoAnswer` if a read was not answered in time; all are
    `ClientError`s. A call that is interrupted (Ctrl-C) leaves the client usable; its write goes on.
    """

    def __init__(
        self,
        servers: str | Sequence[str],
        *,
        key: str | bytes | None = None,
        key_file: str | Path | None = None,
        timeout: float = TIMEOUT_S,
    ) -> None:
        """Know some of the servers, as `HOST:PORT`; nothing is sent before the first call.

        `key` is a key file's text or 32 bytes, `key_file` names such a file; without either,
        datagrams are plain, which servers accept only where they were told to. A call's `timeout`
        is in seconds. Raises ConfigurationError.
        """
        self._timeout_s = timeout
        self._waker, self._wakened = socket.socketpair()
        self._waker.setblocking(False)
        self._wakened.setblocking(False)
        try:
            self._link = Link(servers, key, key_file, self._wake)
        except BaseException:
            self._waker.close()
            self._wakened.close()
            raise
        self._directory = Directory(self._link.servers)
        self._lock = threading.Lock()
        self._submissions: deque[_Submission] = deque()
        self._outcomes: dict[int, Future[Value | ClientError]] = {}
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="raftudp client", daemon=True)
        self._thread.start()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the client's thread and give its socket back; calls under way raise ClientError."""
        with self._lock:
            self._is_closed = True
        self._wake()
        self._thread.join()

    # -- keys and values --------------------------------------------------------------------------

    def put(self, key: str | bytes, value: str | bytes) -> Written:
        """Give `key` a value."""
        return self._call(calls.put(key, value), Written)

    def get(self, key: str | bytes, *, stale: bool = False) -> Item | None:
        """The value and revision of `key`; None if it is absent.

        Linearizable; or with `stale`, what any one server holds, which may be older.
        """
        return self._call(calls.get(key, stale=stale), Found).item

    def delete(self, key: str | bytes) -> Deleted:
        """Remove `key`, if it is there."""
        return self._call(calls.delete(key), Deleted)

    def compare_and_set(
        self, key: str | bytes, expected: str | bytes | None, value: str | bytes
    ) -> Swapped:
        """Give `key` a value if its value is `expected` now; None stands for "absent"."""
        return self._call(calls.compare_and_set(key, expected, value), Swapped)

    def list(
        self,
        prefix: str | bytes = "",
        *,
        after: str | bytes | None = None,
        limit: int | None = None,
        stale: bool = False,
    ) -> builtins.list[Item]:
        """The keys that begin with `prefix`, in order, behind `after`, at most `limit` of them.

        They are read page by page; each page is linearizable (or stale), not all of them together.
        """
        operation = calls.list_keys(prefix, after, limit, stale=stale)
        return [*self._call(operation, Listing).items]

    # -- servers ----------------------------------------------------------------------------------

    def status(self, *, timeout: float = STATUS_TIMEOUT_S) -> builtins.list[ServerReport]:
        """How each server is: those that were given, and those that their answers name."""
        outcomes: dict[str, Value | ClientError] = {}
        wanted = [*self._directory.servers]
        while wanted:
            outcomes |= self.ask_status(wanted, timeout=timeout)
            wanted = self._directory.unasked(outcomes)
        return self._directory.report(outcomes)

    def ask_status(
        self, servers: Sequence[str], *, timeout: float
    ) -> Mapping[str, Reported | ClientError]:
        """Ask these servers, by `HOST:PORT`, all at once; an answer or an error from each."""
        asked = {server: self._begin(AskStatus(server), timeout) for server in servers}
        outcomes: dict[str, Reported | ClientError] = {}
        for server, outcome in asked.items():
            value = outcome.result()
            if isinstance(value, Reported):
                self._directory.learn(server, value.answer)
            assert isinstance(value, Reported | ClientError), "a status has no other outcome"
            outcomes[server] = value
        return outcomes

    def store(self, server: str, prefix: str | bytes = "") -> Dump:
        """All that one server, by name or `HOST:PORT`, itself holds under `prefix`."""
        address = self._address_of(server)
        listing = self._call(calls.store(address, prefix), Listing)
        return calls.dump(self._directory.name_of(address) or server, listing)

    def stop(self, server: str) -> Administered:
        """End the process of one server, by name or `HOST:PORT`."""
        return self._call(calls.stop(self._address_of(server)), Administered)

    def transfer(self, name: str | None = None) -> Administered:
        """Have the leader hand over to `name`, or to the follower that is furthest."""
        return self._call(calls.transfer(name), Administered)

    def found_cluster(
        self, server: str, cluster: Cluster, membership: Membership, *, timeout: float
    ) -> Administered:
        """Bind one blank server, by `HOST:PORT`, to a new cluster; a step of `founding`."""
        operation = calls.found_cluster(server, cluster, membership)
        return self._call(operation, Administered, timeout)

    def open_cluster(self, cluster: Cluster, *, timeout: float) -> Administered:
        """Have the leader let clients in; the last step of `founding`."""
        return self._call(calls.open_cluster(cluster), Administered, timeout)

    def _address_of(self, server: str) -> str:
        """The address of a server by its name, which is asked for if it isn't known."""
        address = self._directory.address_of(server)
        if address is None:
            self.status()
            address = self._directory.address_of(server)
        if address is None:
            raise self._directory.unknown(server)
        return address

    # -- the thread -------------------------------------------------------------------------------

    def _call(
        self, operation: Operation, kind: type[ValueT], timeout: float | None = None
    ) -> ValueT:
        outcome = self._begin(operation, self._timeout_s if timeout is None else timeout)
        return calls.take(outcome.result(), kind)

    def _begin(self, operation: Operation, timeout_s: float) -> Future[Value | ClientError]:
        """Hand an operation to the client's thread."""
        check_limits(operation)
        deadline_us = now_us() + int(timeout_s * 1_000_000)
        submission = _Submission(operation, deadline_us, Future())
        with self._lock:
            if self._is_closed:
                raise ClientError(calls.CLOSED)
            self._submissions.append(submission)
            is_first = len(self._submissions) == 1
        if is_first:  # otherwise the thread was woken already, and will find this one too
            self._wake()
        return submission.outcome

    def _wake(self) -> None:
        with suppress(OSError):  # full: it will wake; closed: it has ended
            self._waker.send(b"\0")

    def _run(self) -> None:
        """Run the session until the client is closed."""
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._link.socket, selectors.EVENT_READ)
                selector.register(self._wakened, selectors.EVENT_READ)
                while not self._is_closed:
                    selector.select(self._link.wait_s())
                    with suppress(BlockingIOError):
                        self._wakened.recv(WAKE_BYTES)
                    self._take_submissions()
                    for handle, value in self._link.turn():
                        self._outcomes.pop(handle).set_result(value)
        finally:
            self._end()

    def _take_submissions(self) -> None:
        with self._lock:
            submissions = list(self._submissions)
            self._submissions.clear()
        time_us = now_us()
        for operation, deadline_us, outcome in submissions:
            handle = self._link.session.submit(operation, time_us, deadline_us)
            self._outcomes[handle] = outcome

    def _end(self) -> None:
        """Leave nobody waiting, and nothing open."""
        with self._lock:
            self._is_closed = True
            waiting = [submission.outcome for submission in self._submissions]
        for outcome in waiting:
            outcome.set_result(NotDone(calls.CLOSED))
        self._link.session.abandon()
        for handle, value in self._link.session.take_completions():
            self._outcomes.pop(handle).set_result(value)
        for outcome in self._outcomes.values():
            outcome.set_result(ClientError(calls.CLOSED))
        self._link.close()
        self._waker.close()
        self._wakened.close()
