"""Founding: once, resumed where it was left, and never a second one silently."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from raftudp.client.founding import Founded, found
from raftudp.client.marker import FileMarker, MarkerState
from raftudp.client.results import Administered, Reported
from raftudp.consensus.vocabulary import Cluster, Membership
from raftudp.errors import ClientError, FoundingError, NoAnswer, NotDone
from raftudp.wire.client_messages import LeaderHint, StatusAnswer

EXPECTED = (("ss-0", "a:1"), ("ss-1", "b:2"), ("ss-2", "c:3"))


class Server:
    """One server as the founding sees it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.life = 1
        self.is_up = True
        self.cluster: Cluster | None = None
        self.commit_index = 0
        self.durability = "memory"

    @property
    def incarnation(self) -> bytes:
        return f"{self.name}/{self.life}".encode().ljust(16, b".")

    def lose_memory(self) -> None:
        self.life += 1
        self.cluster = None
        self.commit_index = 0

    def status(self) -> StatusAnswer:
        return StatusAnswer(
            1, self.name, self.incarnation, "blank", "unformed", self.durability, 1,
            LeaderHint("", ""), self.commit_index, 0, 0, self.cluster, 1, "1", Membership(()), (),
        )  # fmt: skip


class Servers:
    """All servers; they commit the founding once a majority is bound. Time is counted in pauses."""

    def __init__(self) -> None:
        self.by_address = {address: Server(name) for name, address in EXPECTED}
        self.by_name = {server.name: server for server in self.by_address.values()}
        self.told: list[str] = []
        self.opened: list[Cluster] = []
        self.can_open = True
        self.now_s = 0.0
        self.lines: list[str] = []
        self.on_pause: Callable[[], None] = lambda: None

    def ask_status(
        self, servers: Sequence[str], *, timeout: float
    ) -> Mapping[str, Reported | ClientError]:
        asked = {address: self.by_address[address] for address in servers}
        return {
            address: Reported(server.status()) if server.is_up else NoAnswer("silent", "silent")
            for address, server in asked.items()
        }

    def found_cluster(
        self, server: str, cluster: Cluster, membership: Membership, *, timeout: float
    ) -> Administered:
        told = self.by_address[server]
        slot = membership.slot(told.name)
        assert slot is not None
        assert slot.incarnation == told.incarnation
        self.told.append(told.name)
        told.cluster = cluster
        bound = [s for s in self.by_address.values() if s.cluster == cluster]
        if len(bound) >= 2:
            for one in bound:
                one.commit_index = 2
        return Administered(server)

    def open_cluster(self, cluster: Cluster, *, timeout: float) -> Administered:
        if not self.can_open:
            raise NotDone("no leader")
        self.opened.append(cluster)
        return Administered("a:1")

    def sleep(self, duration_s: float) -> None:
        self.now_s += duration_s
        self.on_pause()

    def found(self, path: Path, expected: Sequence[tuple[str, str]] = EXPECTED) -> Founded:
        numbers = iter(range(1, 100))
        return found(
            expected,
            FileMarker(path),
            self,
            timeout=10,
            progress=self.lines.append,
            random_bytes=lambda size: next(numbers).to_bytes(size),
            clock=lambda: self.now_s,
            sleep=self.sleep,
        )


@pytest.fixture
def servers() -> Servers:
    return Servers()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "marker"


def state_of(path: Path) -> MarkerState | None:
    content = FileMarker(path).read()
    return None if content is None else content.state


def test_a_cluster_is_founded(servers: Servers, path: Path) -> None:
    """Everybody is told, the marker says founded, and clients are let in."""
    founded = servers.found(path)
    assert founded.is_new
    assert founded.notices == ()
    assert servers.told == ["ss-0", "ss-1", "ss-2"]
    assert servers.opened == [founded.cluster]
    assert state_of(path) is MarkerState.FOUNDED
    assert founded.cluster.epoch == 1


def test_founding_again_changes_nothing(servers: Servers, path: Path) -> None:
    """The same cluster is named, and nobody is told anything but to be open."""
    first = servers.found(path)
    servers.told.clear()
    again = servers.found(path)
    assert not again.is_new
    assert again.cluster == first.cluster
    assert servers.told == []


def test_a_founded_cluster_that_is_down_is_still_named(servers: Servers, path: Path) -> None:
    """Its id comes from the marker; that it wasn't reached is a notice."""
    first = servers.found(path)
    servers.can_open = False
    again = servers.found(path)
    assert again.cluster == first.cluster
    assert len(again.notices) == 1


def test_a_silent_server_is_waited_for(servers: Servers, path: Path) -> None:
    """Nothing is founded before all are there."""
    late = servers.by_name["ss-1"]
    late.is_up = False

    def appear() -> None:
        if not late.is_up:
            assert state_of(path) is None
            late.is_up = servers.now_s > 3

    servers.on_pause = appear
    assert servers.found(path).is_new
    assert servers.lines.count("waiting for ss-1") == 1


def test_a_server_that_never_comes_is_named(servers: Servers, path: Path) -> None:
    """And no marker is left behind."""
    servers.by_name["ss-2"].is_up = False
    with pytest.raises(FoundingError, match="no answer from ss-2"):
        servers.found(path)
    assert state_of(path) is None
    assert servers.told == []


def test_another_name_at_an_address_is_an_error(servers: Servers, path: Path) -> None:
    """The list is wrong, and waiting would not mend it."""
    servers.by_address["a:1"].name = "ss-7"
    with pytest.raises(FoundingError, match="answers as ss-7"):
        servers.found(path)


def test_a_server_of_another_cluster_is_not_founded_again(servers: Servers, path: Path) -> None:
    """Its cluster may hold data; the marker of that one is missing."""
    servers.by_name["ss-1"].cluster = Cluster(b"o" * 16, 1, b"p" * 16)
    with pytest.raises(FoundingError, match="belongs to the cluster"):
        servers.found(path)
    assert state_of(path) is None


def interrupted(servers: Servers, path: Path, *, tell: int) -> None:
    """Let a founding die after so many were told."""
    original = servers.found_cluster

    def dying(
        server: str, cluster: Cluster, membership: Membership, *, timeout: float
    ) -> Administered:
        if len(servers.told) == tell:
            raise KeyboardInterrupt
        return original(server, cluster, membership, timeout=timeout)

    servers.found_cluster = dying  # type: ignore[method-assign]  # for this test
    with pytest.raises(KeyboardInterrupt):
        servers.found(path)
    servers.found_cluster = original  # type: ignore[method-assign]  # for this test
    assert state_of(path) is MarkerState.FOUNDING


@pytest.mark.parametrize("told", [0, 1, 2])
def test_an_interrupted_founding_is_resumed(servers: Servers, path: Path, told: int) -> None:
    """The same cluster is finished, wherever the first run died."""
    interrupted(servers, path, tell=told)
    content = FileMarker(path).read()
    assert content is not None
    founded = servers.found(path)
    assert founded.cluster == content.cluster
    assert state_of(path) is MarkerState.FOUNDED


def test_a_founding_nobody_was_told_of_ends_when_a_memory_is_gone(
    servers: Servers, path: Path
) -> None:
    """Another one is never begun silently; the error says what to do."""
    interrupted(servers, path, tell=0)
    servers.by_name["ss-1"].lose_memory()
    with pytest.raises(FoundingError, match="remove the marker"):
        servers.found(path)
    assert state_of(path) is MarkerState.FOUNDING
    assert servers.told == []


def test_a_founding_is_resumed_without_a_member_that_forgot(servers: Servers, path: Path) -> None:
    """While any replica is bound, the others that still live are enough for a quorum."""
    interrupted(servers, path, tell=1)
    servers.by_name["ss-2"].lose_memory()
    assert servers.found(path).is_new
    assert servers.told == ["ss-0", "ss-1"]


def test_nobody_is_told_while_a_silent_one_may_have_forgotten(servers: Servers, path: Path) -> None:
    """If nobody is bound, all named incarnations must live before it goes on."""
    interrupted(servers, path, tell=0)
    servers.by_name["ss-1"].is_up = False
    with pytest.raises(FoundingError, match="run init again"):
        servers.found(path)
    assert servers.told == []


def test_a_resumed_founding_needs_its_own_servers(servers: Servers, path: Path) -> None:
    """Another list is another founding."""
    interrupted(servers, path, tell=0)
    with pytest.raises(FoundingError, match="exactly these"):
        servers.found(path, EXPECTED[:2])


def test_a_cluster_that_can_not_be_opened_is_founded_all_the_same(
    servers: Servers, path: Path
) -> None:
    """The error says that init is to be run again, and then it is opened."""
    servers.can_open = False
    with pytest.raises(FoundingError, match="run init again"):
        servers.found(path)
    servers.can_open = True
    assert not servers.found(path).is_new
    assert len(servers.opened) == 1


@pytest.mark.parametrize(
    ("count", "durability", "warns"),
    [(1, "memory", True), (2, "memory", True), (2, "disk", False), (3, "memory", False)],
)
def test_few_servers_without_disks_are_warned_of(
    servers: Servers, path: Path, count: int, durability: str, warns: bool
) -> None:
    """Fewer than three memories survive nothing."""
    for server in servers.by_name.values():
        server.durability = durability
        server.commit_index = 2
    founded = servers.found(path, EXPECTED[:count])
    assert bool(founded.notices) is warns


def test_of_two_foundings_at_once_one_cluster_comes(servers: Servers, path: Path) -> None:
    """The one that finds a marker created meanwhile goes on with that one."""
    first = Servers()
    first.by_address = servers.by_address
    first.by_name = servers.by_name
    interrupted(first, path, tell=0)
    content = FileMarker(path).read()
    assert content is not None
    marker = FileMarker(path)
    reads = iter([None])
    original = marker.read
    marker.read = lambda: next(reads, original())  # type: ignore[method-assign]  # for this test
    founded = found(
        EXPECTED, marker, servers, timeout=10, clock=lambda: servers.now_s, sleep=servers.sleep
    )
    assert founded.cluster == content.cluster
