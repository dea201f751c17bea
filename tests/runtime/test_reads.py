"""A linearizable read is answered from a store that has reached its read index, and not before."""

from __future__ import annotations

from raftudp.consensus.inputs import ReadRequested
from raftudp.consensus.outputs import ReadGrant
from raftudp.encoding.records import decode_command
from raftudp.runtime.outbox import Outbox
from raftudp.runtime.reads import Reads
from raftudp.runtime.requests import Origin
from raftudp.store.state_machine import StateMachine
from raftudp.wire.client_messages import GetRequest, LeaderHint, Read, ReadAnswer

ORIGIN = Origin(("10.0.0.9", 1), b"p" * 16)
NOBODY = LeaderHint("", "")


def test_a_granted_read_waits_until_its_index_is_applied() -> None:
    """Granted at 2: not answered at 1, answered at 2, and told so."""
    store, outbox = StateMachine(decode_command), Outbox(944)
    reads = Reads(store, outbox, [])
    reads.take(ORIGIN, Read(False, (GetRequest(5, b"a"),)), False, 0)
    (requested,) = reads.requested()
    assert isinstance(requested, ReadRequested)
    reads.granted(ReadGrant(requested.token, None, 2), 0)
    store.apply_other(1, 1)
    reads.answer_applied(1)
    assert outbox.take(NOBODY) == []
    assert len(reads) == 1
    store.apply_other(2, 1)
    reads.answer_applied(2)
    ((origin, answer),) = outbox.take(NOBODY)
    assert origin == ORIGIN
    assert isinstance(answer, ReadAnswer)
    assert answer.applied_index == 2
    assert len(reads) == 0


def test_the_reads_of_a_wake_up_ask_once() -> None:
    """One request to the core for all, and none for no reads."""
    reads = Reads(StateMachine(decode_command), Outbox(944), [])
    assert reads.requested() == []
    for number in range(5):
        reads.take(ORIGIN, Read(False, (GetRequest(number, b"a"),)), False, 0)
    assert len(reads.requested()) == 1
    assert reads.requested() == []
