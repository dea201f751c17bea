"""`Client` and `AsyncClient` on real sockets, among scripted replicas."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Iterator

import pytest

from raftudp import (
    AsyncClient,
    Client,
    ClientError,
    ConfigurationError,
    InvalidRequest,
    NoAnswer,
    NotDone,
    OutcomeUnknown,
)
from raftudp.consensus.vocabulary import ServerId
from raftudp.limits import MIB
from raftudp.wire.client_messages import Stop, Write
from tests.integration.scripted_servers import KEY, ScriptedServers


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.fixture
def servers() -> Iterator[ScriptedServers]:
    with ScriptedServers() as running:
        yield running


@pytest.fixture
def client(servers: ScriptedServers) -> Iterator[Client]:
    with Client(servers.addresses, key=KEY) as running:
        yield running


def test_a_client_writes_and_reads(client: Client) -> None:
    """Each method does what its name says, with text and bytes."""
    written = client.put("a", "1")
    item = client.get(b"a")
    assert item == (b"a", b"1", written.revision)
    assert client.get("none") is None
    assert client.get("a", stale=True) == item
    assert client.compare_and_set("a", "1", "2").swapped
    assert not client.compare_and_set("a", None, "3").swapped
    assert [found.key for found in client.list("a")] == [b"a"]
    assert client.delete("a").found
    assert not client.delete("a").found
    assert client.list() == []


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_a_client_speaks_ipv6() -> None:
    """A server may be on ::1 as well as on 127.0.0.1."""
    with ScriptedServers(host="::1") as servers, Client(servers.addresses, key=KEY) as client:
        client.put("a", "1")
        assert client.get("a") is not None


def test_a_client_looks_names_up(servers: ScriptedServers) -> None:
    """A host's name is looked up on another thread; its first request is kept meanwhile."""
    named = [address.replace("127.0.0.1", "localhost") for address in servers.addresses]
    with Client(named, key=KEY) as client:
        client.put("a", "1")
        assert client.get("a") is not None


def test_the_largest_value_goes_both_ways(client: Client) -> None:
    """A megabyte travels in parts over loopback's large datagrams."""
    value = bytes(range(256)) * (MIB // 256)
    client.put("large", value)
    item = client.get("large")
    assert item is not None
    assert item.value == value


def test_a_client_serves_many_threads(client: Client) -> None:
    """Each thread gets the outcome of its own request."""
    failures: list[str] = []

    def work(thread: int) -> None:
        for number in range(20):
            client.put(f"k{thread}", str(number))
            item = client.get(f"k{thread}")
            if item is None or item.value != str(number).encode():
                failures.append(f"{thread}/{number}: {item}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_an_interrupted_call_leaves_the_client_usable(
    servers: ScriptedServers, client: Client
) -> None:
    """Ctrl-C ends the call and nothing else."""
    client.put("a", "1")
    arrived = threading.Event()

    def script(request: object) -> None:
        if isinstance(request, Write) and not arrived.is_set():
            arrived.set()

    servers.replicas["ss-0"].script = lambda request: (
        script(request) or ([] if isinstance(request, Write) else None)
    )
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        arrived.wait()
        signal.pthread_kill(main, signal.SIGINT)

    helper = threading.Thread(target=interrupt)
    helper.start()
    with pytest.raises(KeyboardInterrupt):
        client.put("a", "2")
    helper.join()
    servers.replicas["ss-0"].script = lambda _: None
    client.put("a", "3")
    item = client.get("a")
    assert item is not None
    assert item.value == b"3"


def test_a_wrong_key_is_told_like_silence(servers: ScriptedServers) -> None:
    """Nobody answers what can't be opened, and the error names that cause among the others."""
    with Client(servers.addresses, key=KEY[::-1], timeout=0.5) as client:
        with pytest.raises(NoAnswer, match="key") as failed:
            client.get("a")
        assert failed.value.reason == "silent"
        with pytest.raises(NotDone):
            client.put("a", "1")


def test_an_answer_to_another_client_is_ignored(servers: ScriptedServers) -> None:
    """It may come late, to one who got that client's port; its numbers mean something else."""
    servers.receiver = ServerId("", b"another client..")
    with Client(servers.addresses, key=KEY, timeout=0.3) as client, pytest.raises(NoAnswer):
        client.get("a")


def test_an_unknown_outcome_is_its_own_exception(servers: ScriptedServers) -> None:
    """A write that was sent and not answered."""
    with Client(servers.addresses, key=KEY, timeout=0.5) as client:
        client.put("a", "1")
        leader = servers.replicas["ss-0"]
        leader.script = lambda request: [] if isinstance(request, Write) else None
        with pytest.raises(OutcomeUnknown) as failed:
            client.put("a", "2")
        assert failed.value.request_id in str(failed.value)


def test_a_status_reports_each_server(servers: ScriptedServers, client: Client) -> None:
    """Those that answer, and those that don't."""
    servers.replicas["ss-1"].is_up = False
    reports = client.status(timeout=0.3)
    assert sorted((r.name or "", r.answer is None) for r in reports) == [
        ("", True),
        ("ss-0", False),
        ("ss-2", False),
    ]


def test_one_server_is_stopped_by_its_name(servers: ScriptedServers, client: Client) -> None:
    """Names are learned from the servers' own answers."""
    client.stop("ss-2")
    assert [admin.action for admin in servers.replicas["ss-2"].actions] == [Stop()]
    with pytest.raises(InvalidRequest, match="ss-0, ss-1, ss-2"):
        client.stop("ss-9")


def test_the_dump_of_one_server(client: Client) -> None:
    """It tells whose it is, and how far that server had applied the log."""
    client.put("a", "1")
    dump = client.store("ss-1", "a")
    assert (dump.name, dump.applied_index) == ("ss-1", 2)
    assert [item.key for item in dump.items] == [b"a"]


def test_a_closed_client_says_so(servers: ScriptedServers) -> None:
    """Calls after the end, and calls that wait for an answer at the end."""
    client = Client(servers.addresses, key=KEY)
    client.put("a", "1")
    client.close()
    client.close()
    with pytest.raises(ClientError, match="closed"):
        client.get("a")


@pytest.mark.parametrize("options", [{"key": "zz"}, {"key": KEY, "key_file": "x"},
                                     {"key_file": "/nowhere/key"}])  # fmt: skip
def test_a_wrong_key_setting_is_refused(options: dict[str, str]) -> None:
    """At the start, and nothing stays open."""
    with pytest.raises(ConfigurationError):
        Client(["127.0.0.1:6000"], **options)  # type: ignore[arg-type]  # of any kind


def test_an_async_client_writes_and_reads(servers: ScriptedServers) -> None:
    """As the blocking one."""

    async def work() -> None:
        async with AsyncClient(servers.addresses, key=KEY) as client:
            await asyncio.gather(*[client.put(f"k{n}", str(n)) for n in range(200)])
            items = await client.list("k")
            assert len(items) == 200
            assert await client.get("none") is None
            assert (await client.compare_and_set("k1", "1", "x")).swapped
            assert (await client.delete("k1")).found
            assert len(await client.status()) == 3
            await client.stop("ss-1")
            assert (await client.store("ss-0", "k2")).name == "ss-0"
            await client.transfer()
            value = bytes(MIB)
            await client.put("large", value)
            item = await client.get("large")
            assert item is not None
            assert item.value == value

    asyncio.run(work())


def test_an_async_call_that_is_cancelled_leaves_the_client_usable(servers: ScriptedServers) -> None:
    """Its outcome is forgotten; the next call works."""

    async def work() -> None:
        async with AsyncClient(servers.addresses, key=KEY) as client:
            await client.put("a", "1")
            leader = servers.replicas["ss-0"]
            leader.script = lambda request: [] if isinstance(request, Write) else None
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.put("a", "2"), 0.1)
            leader.script = lambda _: None
            await client.put("a", "3")

    asyncio.run(work())


def test_an_async_client_that_is_closed_says_so(servers: ScriptedServers) -> None:
    """Calls under way end as well."""

    async def work() -> None:
        client = AsyncClient(servers.addresses, key=KEY)
        for replica in servers.replicas.values():
            replica.is_up = False
        call = asyncio.ensure_future(client.get("a"))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(NoAnswer):
            await call
        with pytest.raises(ClientError, match="closed"):
            await client.get("a")

    asyncio.run(work())
