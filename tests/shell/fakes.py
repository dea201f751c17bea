"""A cluster of three servers in one dict, and ways to run the shell on it."""

from __future__ import annotations

from dataclasses import dataclass, field

from raftudp.client.results import Deleted, Dump, ServerReport, Swapped, Written
from raftudp.consensus.vocabulary import Cluster, Membership, Slot
from raftudp.errors import NotDone
from raftudp.store.commands import Item
from raftudp.wire.client_messages import Follower, LeaderHint, StatusAnswer
from shell.answers import ExitStatus
from shell.lookups import Lookups
from shell.operations import Operations
from shell.output import Output
from shell.protocols import Starter
from shell.runner import Runner
from shell.servers import Servers
from shell.verbs import verbs

ADDRESSES = {f"ss-{number}": f"127.0.0.1:{6000 + number}" for number in range(3)}
CLUSTER = Cluster(bytes(range(16)), 1, bytes(16))
MEMBERSHIP = Membership(
    tuple(
        Slot(name, address, bytes([number]) * 16)
        for number, (name, address) in enumerate(ADDRESSES.items())
    )
)


@dataclass
class FakeCluster:
    """A `ClusterClient` of three servers; reads and writes raise `failure`."""

    leader: str = "ss-0"
    silent: set[str] = field(default_factory=set)
    failure: BaseException | None = None
    values: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    revision: int = 4
    stopped: list[str] = field(default_factory=list)
    elected: list[str] = field(default_factory=list)
    """Who leads after each further status."""

    def _change(self) -> int:
        if self.failure is not None:
            raise self.failure
        self.revision += 1
        return self.revision

    def put(self, key: bytes, value: bytes) -> Written:
        """Write."""
        self.values[key] = (value, self._change())
        return Written(self.revision, "request")

    def get(self, key: bytes) -> Item | None:
        """Read."""
        if self.failure is not None:
            raise self.failure
        return Item(key, *self.values[key]) if key in self.values else None

    def delete(self, key: bytes) -> Deleted:
        """Delete."""
        revision = self._change()
        return Deleted(self.values.pop(key, None) is not None, revision, "request")

    def compare_and_set(self, key: bytes, expected: bytes, value: bytes) -> Swapped:
        """Write where the value is `expected`."""
        revision = self._change()
        if key not in self.values or self.values[key][0] != expected:
            return Swapped(False, revision, "request")
        self.values[key] = (value, revision)
        return Swapped(True, revision, "request")

    def list(self, prefix: bytes, *, limit: int | None = None, stale: bool = False) -> list[Item]:
        """The keys that begin with `prefix`."""
        if self.failure is not None:
            raise self.failure
        keys = sorted(key for key in self.values if key.startswith(prefix))
        return [Item(key, *self.values[key]) for key in keys][:limit]

    def status(self) -> list[ServerReport]:
        """Everybody's status."""
        if self.elected:
            self.leader = self.elected.pop(0)
        return [self._report(name, address) for name, address in ADDRESSES.items()]

    def _report(self, name: str, address: str) -> ServerReport:
        if name in self.silent:
            return ServerReport(address, None, None, f"{address} did not answer within 10 s")
        is_leader = name == self.leader
        others = [other for other in ADDRESSES if other != name]
        answer = StatusAnswer(
            request=1,
            name=name,
            incarnation=MEMBERSHIP.slots[list(ADDRESSES).index(name)].incarnation or b"",
            role="leader" if is_leader else "follower",
            state="ready",
            durability="memory",
            term=2,
            leader=LeaderHint(self.leader, ADDRESSES.get(self.leader, "")),
            commit_index=self.revision,
            last_applied=self.revision,
            last_log_index=self.revision,
            cluster=CLUSTER,
            uptime_s=75,
            version="0.1.0",
            membership=MEMBERSHIP,
            followers=tuple(Follower(other, 4, 0, 250, 12_500) for other in others)
            if is_leader
            else (),
        )
        return ServerReport(address, name, answer, None)

    def store(self, server: str, prefix: bytes) -> Dump:
        """What one server holds: here all hold the same."""
        name = next(name for name, address in ADDRESSES.items() if address == server)
        if name in self.silent:
            raise NotDone(f"{server} did not answer")
        return Dump(name, self.revision, tuple(self.list(prefix)))

    def stop(self, server: str) -> None:
        """Note who was to stop."""
        self.stopped.append(server)

    def transfer(self, name: str) -> None:
        """Lead, but not before two more statuses."""
        self.elected = [self.leader, self.leader, name]


@dataclass
class FakeStarter:
    """A `Starter` that notes whom it was to start."""

    started: list[str] = field(default_factory=list)

    def start(self, name: str) -> None:
        """Note it."""
        self.started.append(name)

    def wait_until_ended(self, name: str, timeout_s: float) -> bool:
        """Processes end at once."""
        return True


def operations_on(cluster: FakeCluster, starter: Starter | None = None) -> Operations:
    """What commands need to work on `cluster`."""
    servers = Servers(cluster, {})
    lookups = Lookups(cluster, servers)
    return Operations(verbs(with_start=starter is not None), cluster, servers, lookups, starter)


def run(
    cluster: FakeCluster, *lines: str, as_json: bool = False, starter: Starter | None = None
) -> ExitStatus:
    """Run lines as from a pipe; what they print goes to the test's captured output."""
    runner = Runner(operations_on(cluster, starter), Output(as_json=as_json))
    runner.run_all(lines, "line")
    return runner.status
