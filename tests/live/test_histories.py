"""Replicas on hosts of their own, under every fault that a network and an operator have to offer:
whatever their clients saw must be explained by one order of all operations.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from raftudp.simulation.history import Recorded, save
from raftudp.simulation.linearizability import Answer, Verdict, check, check_file
from tests.integration.replicas import patiently
from tests.live.clients import ClientProcess, Plan
from tests.live.corruption import with_lost_write, with_stale_read
from tests.live.lab import Lab, why_not
from tests.live.nemesis import Nemesis
from tests.live.replicas import LiveCluster

CLIENT_HOSTS = ["c-0", "c-1"]
THREADS = 4
KEYS = [f"k{number}" for number in range(5)]
TIMEOUT_S = 2.0
PAUSE_MS = 12.0
OPERATIONS_MINIMUM = 500

WHY_NOT = why_not()
pytestmark = [
    pytest.mark.skipif(WHY_NOT is not None, reason=f"no live lab: {WHY_NOT}"),
    pytest.mark.timeout(300),
]


class Run:
    """What a tormented cluster left behind."""

    def __init__(self, replicas: int, duration_s: float, seed: int, directory: Path) -> None:
        names = [f"ss-{number}" for number in range(replicas)]
        with ExitStack() as stack:
            self.lab = lab = stack.enter_context(Lab([*names, *CLIENT_HOSTS]))
            self.cluster = cluster = stack.enter_context(LiveCluster(lab, names, directory))
            cluster.found(CLIENT_HOSTS[0])
            clients = [
                stack.enter_context(ClientProcess(lab, host, plan(cluster, number, seed)))
                for number, host in enumerate(CLIENT_HOSTS)
            ]
            self.nemesis = Nemesis(lab, cluster, CLIENT_HOSTS, seed)
            self.nemesis.torment(duration_s)
            self.operations = [one for client in clients for one in client.finish()]
            self.fallen = cluster.fallen()
            self.elections = cluster.elections()
        self.outcomes = Counter(operation.outcome.value for operation in self.operations)

    def __str__(self) -> str:
        struck = ", ".join(f"{name} {count}" for name, count in sorted(self.nemesis.struck.items()))
        return (
            f"{len(self.operations)} operations {dict(self.outcomes)}; leaders of"
            f" {len(self.elections)} terms; struck: {struck}; {self.lab.dropped} packets dropped"
            f" by rules; on the wire {dict(self.lab.carried)}"
        )


def plan(cluster: LiveCluster, number: int, seed: int) -> Plan:
    """What the clients on the host of this number do."""
    return Plan(
        first_process=100 * number,
        threads=THREADS,
        servers=list(cluster.addresses.values()),
        key_file=str(cluster.key_file),
        keys=KEYS,
        timeout_s=TIMEOUT_S,
        pause_ms=PAUSE_MS,
        seed=seed,
    )


def judged(operations: list[Recorded], path: Path) -> Verdict:
    """The verdict on the history as it is exported, without revisions."""
    save(path, operations)
    return check_file(path)


def check_something_happened(run: Run) -> None:
    """A run that did nothing proves nothing."""
    assert run.outcomes["done"] >= OPERATIONS_MINIMUM
    assert set(run.nemesis.struck) == set(run.nemesis.names), "every fault strikes"
    assert len(set(run.elections)) > len(run.cluster.names) - len(run.cluster.alive) + 1
    assert run.lab.dropped > 0
    carried = run.lab.carried
    assert min(carried[what] for what in ("delayed", "doubled", "overtaken", "lost")) > 0


@pytest.mark.parametrize(
    ("replicas", "duration_s"),
    [(5, 34), (3, 28), (5, 32)],
    ids=["five", "three", "five-again"],
)
def test_what_clients_saw_has_one_order(
    replicas: int, duration_s: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kills, pauses, cuts, loss and storms: the history is linearizable, and would not be with a
    stale read or a lost write in it.
    """
    seed = int(os.environ.get("LIVE_SEED", "") or int.from_bytes(os.urandom(4)))
    with capsys.disabled():
        print(f"\n{replicas} replicas, {duration_s} s, LIVE_SEED={seed}")
    run = Run(replicas, duration_s, seed, tmp_path)
    path = tmp_path / "history.jsonl"
    verdict, with_revisions = judged(run.operations, path), check(run.operations)
    with capsys.disabled():
        print(f"{run}\n{verdict.states} configurations searched; history: {path}")
    where = f"seed {seed}; the history is in {path}, logs are beside it"
    assert not run.fallen, f"replicas ended by themselves: {run.fallen}; {where}"
    for each in (verdict, with_revisions):
        assert each.answer is Answer.LINEARIZABLE, "\n".join((where, *each.explanations))
    check_something_happened(run)
    for name, spoil in (("stale", with_stale_read), ("lost", with_lost_write)):
        spoilt = judged(spoil(run.operations), tmp_path / f"{name}.jsonl")
        assert spoilt.answer is Answer.VIOLATED, f"a planted {name} value is not seen; {where}"


def test_nothing_of_a_lab_is_left(tmp_path: Path) -> None:
    """Namespaces, cables and processes go with the lab, also where something fails within it."""
    before = surroundings()
    processes: list[int] = []

    def fail_within() -> None:
        with Lab(["a", "b"]) as lab, LiveCluster(lab, ["a", "b"], tmp_path) as cluster:
            assert surroundings() != before
            processes.extend(process.pid for process in cluster.processes())
            raise RuntimeError("within")

    with pytest.raises(RuntimeError, match="within"):
        fail_within()
    assert len(processes) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in processes)
    for _ in patiently():
        if surroundings() == before:
            break
    assert surroundings() == before


def surroundings() -> tuple[list[str], list[str]]:
    """Named namespaces and the interfaces of this one."""
    named = Path("/run/netns")
    return (
        sorted(path.name for path in named.iterdir()) if named.exists() else [],
        sorted(path.name for path in Path("/sys/class/net").iterdir()),
    )
