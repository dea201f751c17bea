"""The core over a network that loses, doubles, delays and reorders: every command ends, once."""

from __future__ import annotations

from random import Random

import pytest

from raftudp.consensus.inputs import CommandProposed, ReadRequested
from raftudp.consensus.vocabulary import EntryKind, Role
from raftudp.encoding.records import decode_command, encode_command
from raftudp.store.commands import Command, OpenSession, Outcome, Put, Result
from raftudp.store.state_machine import StateMachine
from tests.consensus.cluster import SimulatedCluster, opened
from tests.consensus.network import RandomNetwork

SECOND_US = 1_000_000
CLIENT_ID = b"the-only-client!"


class Clients:
    """Proposes commands under one session, again and again, until the store has their results.

    Each server has a store of its own, fed with what the server has committed.
    """

    RETRY_US = 130_000

    def __init__(self, cluster: SimulatedCluster, network: RandomNetwork, count: int) -> None:
        self.cluster, self.network = cluster, network
        self.stores = {name: StateMachine(decode_command) for name in cluster.names}
        self.waiting = list(range(1, count + 1))
        self.results: dict[int, Result] = {}
        self.opened_at = 0
        self.proposed = 0
        self.reads = 0
        network.call_at(cluster.now_us, self.turn)

    def is_done(self) -> bool:
        """Whether all commands have ended, and all servers have applied as much."""
        if self.waiting:
            return False
        self.apply()
        return len({store.last_applied for store in self.stores.values()}) == 1

    def apply(self) -> None:
        """Each store catches up with what its server has committed."""
        for name, store in self.stores.items():
            committed = self.cluster.machines[name].memory.committed
            for index in range(store.last_applied + 1, len(committed) + 1):
                entry = committed[index - 1]
                if not isinstance(entry.data, bytes) or entry.kind is EntryKind.NOOP:
                    store.apply_other(index, entry.term)
                elif entry.kind is EntryKind.COMMAND_PART:
                    store.apply_part(index, entry.term, entry.data)
                else:
                    self._take_result(*store.apply_command(index, entry.term, entry.data))

    def _take_result(self, command: Command | None, result: Result) -> None:
        assert command is not None, "an entry was damaged"
        if isinstance(command.operation, OpenSession):
            self.opened_at = self.opened_at or result.revision
        else:
            assert result.outcome is Outcome.DONE
            known = self.results.setdefault(command.sequence, result)
            assert known == result, "the same result at every replica, for every repetition"

    def turn(self) -> None:
        """Whatever has no result yet is proposed again, to whoever claims to lead."""
        self.apply()
        self.waiting = [sequence for sequence in self.waiting if sequence not in self.results]
        for name in self.cluster.names:
            if self.cluster.role(name) is Role.LEADER:
                self._propose(name)
        if self.waiting:
            self.network.call_at(self.cluster.now_us + self.RETRY_US, self.turn)

    def _propose(self, name: str) -> None:
        if not self.opened_at:
            commands = [Command(CLIENT_ID, 0, 0, 0, OpenSession())]
        else:
            commands = [self.command(sequence) for sequence in self.waiting[:8]]
        self.proposed += len(commands)
        inputs = [
            CommandProposed(command.sequence, encode_command(command)) for command in commands
        ]
        self.reads += 1
        self.cluster.step(name, *inputs, ReadRequested(("read", self.reads)))

    def command(self, sequence: int) -> Command:
        """Every seventh command is larger than one entry."""
        value = bytes(3_000) if sequence % 7 == 0 else b"value"
        operation = Put(b"key %d" % sequence, value)
        return Command(CLIENT_ID, self.opened_at, sequence, 1, operation)


def assert_all_ended_once(clients: Clients, count: int) -> None:
    """Logs and stores are equal, and each key's last change is its command's first application."""
    cluster = clients.cluster
    logs = [memory.committed for memory in cluster.memories()]
    assert all(log == logs[0] for log in logs)
    digests = {store.digest() for store in clients.stores.values()}
    assert len(digests) == 1
    store = clients.stores[cluster.names[0]]
    for sequence in range(1, count + 1):
        item = store.get(b"key %d" % sequence)
        assert item is not None
        assert item.revision == clients.results[sequence].revision
    revisions = [result.revision for result in clients.results.values()]
    assert len(set(revisions)) == count
    assert cluster.role(cluster.leader()) is Role.LEADER


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("names", ["abc", "abcde"])
@pytest.mark.parametrize("loss_percent", [0, 5, 20, 50])
def test_all_commands_end_exactly_once(loss_percent: int, names: str, seed: int) -> None:
    """Whatever is lost, doubled and reordered, with no retransmission but Raft's own."""
    count = 24
    cluster = opened(names, seed=seed)
    network = RandomNetwork(cluster, seed, loss_percent / 100)
    clients = Clients(cluster, network, count)
    assert network.run(cluster.now_us + 120 * SECOND_US, clients.is_done), "commands never ended"
    assert_all_ended_once(clients, count)
    assert network.doubled
    assert (network.lost > 0) == (loss_percent > 0)


@pytest.mark.parametrize("seed", range(4))
def test_all_commands_end_exactly_once_while_servers_are_cut_off_in_turn(seed: int) -> None:
    """Leaders come and go; what was not committed is overwritten, what was stays."""
    count = 40
    cluster = opened("abcde", seed=seed)
    network = RandomNetwork(cluster, seed, loss=0.05, delay_us_maximum=120_000)
    clients = Clients(cluster, network, count)
    random = Random(seed)

    def cut_someone_off() -> None:
        cluster.heal()
        if clients.waiting:
            victims = random.sample(cluster.names, 2)
            leading = [name for name in cluster.names if cluster.role(name) is Role.LEADER]
            cluster.cut_off(*(leading[:1] if leading and random.random() < 0.7 else victims))
            network.call_at(cluster.now_us + random.randint(200_000, 1_500_000), cut_someone_off)

    network.call_at(cluster.now_us + 300_000, cut_someone_off)
    assert network.run(cluster.now_us + 300 * SECOND_US, clients.is_done), "commands never ended"
    assert_all_ended_once(clients, count)
    assert len(cluster.safety.leaders) > 1, "a run without a change of leader proves nothing"


def test_a_seed_gives_one_history() -> None:
    """Nothing in the core depends on anything but its inputs, its time and its generator."""

    def history() -> list[object]:
        cluster = opened("abcde", seed=7)
        network = RandomNetwork(cluster, 7, loss=0.2)
        clients = Clients(cluster, network, 10)
        network.run(cluster.now_us + 30 * SECOND_US, clients.is_done)
        return [(name, repr(outputs)) for name, outputs in cluster.history]

    assert history() == history()
