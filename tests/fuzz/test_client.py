"""A client's session and authentic answers that no replica would give."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from raftudp.client.requests import Administer, Get, ListKeys
from raftudp.client.roster import Source
from raftudp.consensus.vocabulary import Cluster, ServerId
from raftudp.errors import DecodeError
from raftudp.store.commands import Put
from raftudp.wire.client_messages import OpenCluster, Transfer
from raftudp.wire.codec import encode_answer
from tests.client.world import CLUSTER, MS, SECOND, World
from tests.fuzz.requests import Nonsense

ANSWERS = 60
OTHER_CLUSTERS: list[Cluster | None] = [
    None,
    CLUSTER._replace(epoch=2, epoch_id=b"f" * 16),
    CLUSTER._replace(cluster_id=b"d" * 16),
]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**64 - 1))
def test_every_operation_ends_once_whatever_is_answered(seed: int) -> None:
    """Among good answers come bad ones: wrong numbers, wrong kinds, wrong clusters, wrong processes
    and parts of nothing. The session raises DecodeError or takes them, and ends all that was asked.
    """
    random = Random(seed)
    world = World(seed=seed)
    processes = [replica.process for replica in world.replicas.values()]
    nonsense = Nonsense(random, [*processes, b"client-id-000000", b"x" * 16], CLUSTER)
    handles = [
        world.submit(operation)
        for operation in (
            Put(b"a", b"1"),
            Get(b"a"),
            Put(b"large", bytes(3_000)),
            Get(b"large"),
            ListKeys(b""),
            Administer(None, Transfer("")),
            Administer("host-1:6000", OpenCluster(CLUSTER)),
        )
    ]
    for _ in range(ANSWERS):
        source = random.choice([one.source() for one in world.replicas.values()])
        if random.random() < 0.2:
            source = source._replace(
                cluster=random.choice(OTHER_CLUSTERS), process=random.choice(processes)
            )
        if random.random() < 0.1:
            source = Source("", ServerId("stranger", b"s" * 16), b"x" * 16, CLUSTER)
        body = encode_answer(nonsense.answer())
        if random.random() < 0.1:
            body = body[:-1]
        try:
            world.session.receive(source, body, world.now_us)
        except DecodeError:
            continue
        world.run_for(random.choice([0, 1, 5 * MS]))
    world.run(lambda: len(world.completed) == len(handles))
    assert sorted(world.completed) == sorted(handles)
    world.run_for(20 * SECOND)
    assert world.session.next_deadline() is None, "nothing goes on that nobody waits for"
