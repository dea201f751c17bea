"""The client for asyncio: the session runs in the event loop's own thread."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from raftudp.client import calls
from raftudp.client.calls import STATUS_TIMEOUT_S, TIMEOUT_S, ValueT
from raftudp.client.directory import Directory
from raftudp.client.link import Link, now_us
from raftudp.client.requests import AskStatus, Operation
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
from raftudp.errors import ClientError
from raftudp.store.commands import Item


class AsyncClient:
    """As `Client`, for one event loop.

        async with AsyncClient(["127.0.0.1:6000"], key_file="key") as client:
            await client.put("a", "1")

    What is asked in one turn of the loop travels together. A call that is cancelled is forgotten
    here, but its write goes on.
    """

    def __init__(
        self,
        servers: str | Sequence[str],
        *,
        key: str | bytes | None = None,
        key_file: str | Path | None = None,
        timeout: float = TIMEOUT_S,
    ) -> None:
        """As `Client`. To be made, used and closed inside a running event loop."""
        self._timeout_s = timeout
        self._loop = asyncio.get_running_loop()
        self._link = Link(servers, key, key_file, self._wake)
        self._directory = Directory(self._link.servers)
        self._outcomes: dict[int, asyncio.Future[Value | ClientError]] = {}
        self._next_turn: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._loop.add_reader(self._link.socket.fileno(), self._turn)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the socket back; calls under way raise ClientError."""
        if self._is_closed:
            return
        self._is_closed = True
        self._loop.remove_reader(self._link.socket.fileno())
        for handle in (self._next_turn, self._timer):
            if handle is not None:
                handle.cancel()
        self._link.close()
        self._link.session.abandon()
        for completion in self._link.session.take_completions():
            ended = self._outcomes.get(completion.handle)
            if ended is not None and not ended.done():
                ended.set_result(completion.value)
        for outcome in self._outcomes.values():
            if not outcome.done():
                outcome.set_result(ClientError(calls.CLOSED))

    # -- keys and values --------------------------------------------------------------------------

    async def put(self, key: str | bytes, value: str | bytes) -> Written:
        """Give `key` a value."""
        return await self._call(calls.put(key, value), Written)

    async def get(self, key: str | bytes, *, stale: bool = False) -> Item | None:
        """The value and revision of `key`; None if it is absent. See `Client.get`."""
        return (await self._call(calls.get(key, stale=stale), Found)).item

    async def delete(self, key: str | bytes) -> Deleted:
        """Remove `key`, if it is there."""
        return await self._call(calls.delete(key), Deleted)

    async def compare_and_set(
        self, key: str | bytes, expected: str | bytes | None, value: str | bytes
    ) -> Swapped:
        """Give `key` a value if its value is `expected` now; None stands for "absent"."""
        return await self._call(calls.compare_and_set(key, expected, value), Swapped)

    async def list(
        self,
        prefix: str | bytes = "",
        *,
        after: str | bytes | None = None,
        limit: int | None = None,
        stale: bool = False,
    ) -> builtins.list[Item]:
        """The keys that begin with `prefix`, in order. See `Client.list`."""
        operation = calls.list_keys(prefix, after, limit, stale=stale)
        return [*(await self._call(operation, Listing)).items]

    # -- servers ----------------------------------------------------------------------------------

    async def status(self, *, timeout: float = STATUS_TIMEOUT_S) -> builtins.list[ServerReport]:
        """How each server is: those that were given, and those that their answers name."""
        outcomes: dict[str, Value | ClientError] = {}
        wanted = [*self._directory.servers]
        while wanted:
            outcomes |= await self._ask_status(wanted, timeout)
            wanted = self._directory.unasked(outcomes)
        return self._directory.report(outcomes)

    async def _ask_status(
        self, servers: Sequence[str], timeout_s: float
    ) -> Mapping[str, Value | ClientError]:
        asked = [self._begin(AskStatus(server), timeout_s) for server in servers]
        outcomes = dict(zip(servers, await asyncio.gather(*asked), strict=True))
        for server, outcome in outcomes.items():
            if isinstance(outcome, Reported):
                self._directory.learn(server, outcome.answer)
        return outcomes

    async def store(self, server: str, prefix: str | bytes = "") -> Dump:
        """All that one server, by name or `HOST:PORT`, itself holds under `prefix`."""
        address = await self._address_of(server)
        listing = await self._call(calls.store(address, prefix), Listing)
        return calls.dump(self._directory.name_of(address) or server, listing)

    async def stop(self, server: str) -> Administered:
        """End the process of one server, by name or `HOST:PORT`."""
        return await self._call(calls.stop(await self._address_of(server)), Administered)

    async def transfer(self, name: str | None = None) -> Administered:
        """Have the leader hand over to `name`, or to the follower that is furthest."""
        return await self._call(calls.transfer(name), Administered)

    async def _address_of(self, server: str) -> str:
        """The address of a server by its name, which is asked for if it isn't known."""
        address = self._directory.address_of(server)
        if address is None:
            await self.status()
            address = self._directory.address_of(server)
        if address is None:
            raise self._directory.unknown(server)
        return address

    # -- the event loop ---------------------------------------------------------------------------

    async def _call(self, operation: Operation, kind: type[ValueT]) -> ValueT:
        return calls.take(await self._begin(operation, self._timeout_s), kind)

    def _begin(self, operation: Operation, timeout_s: float) -> asyncio.Future[Value | ClientError]:
        """Give an operation to the session; it leaves at the end of this turn of the loop."""
        if self._is_closed:
            raise ClientError(calls.CLOSED)
        time_us = now_us()
        deadline_us = time_us + int(timeout_s * 1_000_000)
        handle = self._link.session.submit(operation, time_us, deadline_us)
        outcome: asyncio.Future[Value | ClientError] = self._loop.create_future()
        self._outcomes[handle] = outcome
        if self._next_turn is None:
            self._next_turn = self._loop.call_soon(self._turn)
        return outcome

    def _wake(self) -> None:
        """A name was looked up, on another thread."""
        with suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._turn)

    def _turn(self) -> None:
        """Run the session once, and see to it that it is run again in time."""
        if self._is_closed:
            return
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None
        for handle, value in self._link.turn():
            outcome = self._outcomes.pop(handle)
            if not outcome.done():
                outcome.set_result(value)
        self._set_timer()

    def _set_timer(self) -> None:
        wait_s = self._link.wait_s()
        if wait_s is None:
            return
        when = self._loop.time() + wait_s
        if self._timer is not None:
            if not self._timer.cancelled() and self._loop.time() < self._timer.when() <= when:
                return  # it comes early enough, and will look again
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._turn)
