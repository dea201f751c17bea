"""What a step asks for is done in the order that makes it safe, however slow the storage is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from raftudp.consensus.inputs import EntriesPersisted, Input, MailReceived
from raftudp.consensus.messages import AppendEntries, Mail, Message, RequestVoteResponse
from raftudp.consensus.outputs import Outputs, ServerStatus
from raftudp.consensus.server import Server
from raftudp.consensus.trace import Action, TraceEvent
from raftudp.consensus.vocabulary import (
    Entry,
    EntryKind,
    HardState,
    Membership,
    Role,
    ServerId,
    Slot,
)
from raftudp.encoding.records import decode_command
from raftudp.runtime.replica import Identity, Replica
from raftudp.runtime.requests import AnswerTo
from raftudp.store.state_machine import StateMachine
from tests.runtime.house import BODY_BYTES, CLUSTER, Watcher

ME, OTHER = ServerId("a", b"a" * 16), ServerId("b", b"b" * 16)
APPEND = AppendEntries(1, 1, 0, 0, 0, ())
VOTE = RequestVoteResponse(1, True)
NOOP = Entry(1, EntryKind.NOOP, b"")


class Script:
    """A core that asks for what the test has written down."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.membership_committed = True
        self.commit_index = 0
        self.outputs: list[Outputs] = []
        self.inputs: list[Input] = []

    def step(self, inputs: Sequence[Input], now_us: int) -> Outputs:
        self.inputs += inputs
        return self.outputs.pop(0) if self.outputs else Outputs()

    def next_deadline(self) -> int:
        return 0

    def status(self, now_us: int) -> ServerStatus:
        membership = Membership((Slot("a", "h:1", ME.incarnation),))
        return ServerStatus(
            identity=ME,
            cluster=CLUSTER,
            role=self.role,
            term=1,
            leader=ME,
            commit_index=self.commit_index,
            last_log_index=0,
            membership=membership,
            membership_committed=self.membership_committed,
            is_open=True,
            is_transferring=False,
            followers=(),
            cluster_seen=None,
        )


class Diary:
    """Storage, transport and store, which write down what happened to them, in order."""

    durability = "disk"

    def __init__(self, at_once: bool) -> None:
        self.at_once = at_once
        self.lines: list[str] = []

    def write(self, outputs: Outputs) -> bool:
        self.lines.append("write")
        return self.at_once

    def send_mail(self, mails: Sequence[Mail]) -> None:
        self.lines += [type(mail.message).__name__ for mail in mails]

    def send_answers(self, answers: Sequence[AnswerTo]) -> None:
        self.lines += [type(answer).__name__ for _, answer in answers]


class DiaryStore(StateMachine):
    """A store that writes down that it applied something."""

    def __init__(self, diary: Diary) -> None:
        super().__init__(decode_command)
        self._diary = diary

    def apply_other(self, index: int, term: int) -> None:
        super().apply_other(index, term)
        self._diary.lines.append(f"apply {index}")


def replica(script: Script, diary: Diary) -> Replica:
    """A replica around them."""
    return Replica(
        server=cast("Server", script),
        state_machine=DiaryStore(diary),
        storage=diary,
        transport=diary,
        observer=Watcher(),
        identity=Identity(b"p" * 16, "0", 0),
        random_bytes=bytes,
        body_bytes=BODY_BYTES,
    )


def mail(*messages: Message) -> list[Mail]:
    """Mail to the other one."""
    return [Mail(ME, OTHER, CLUSTER, message) for message in messages]


def test_durable_then_sent_then_applied() -> None:
    """With storage that is done at once, the order is write, send, apply."""
    script, diary = Script(Role.FOLLOWER), Diary(at_once=True)
    outputs = Outputs(entries=[NOOP], first_index=1, messages=mail(APPEND, VOTE))
    outputs.committed, outputs.first_committed = [NOOP], 1
    script.outputs = [outputs]
    replica(script, diary).handle([], [], 1)
    assert diary.lines == ["write", "AppendEntries", "RequestVoteResponse", "apply 1"]


def test_a_leader_hears_of_its_own_entries_once_they_are_durable() -> None:
    """The leader's own write is reported back in the same wake-up, where the storage is fast."""
    script = Script(Role.LEADER)
    script.outputs = [Outputs(entries=[NOOP, NOOP], first_index=4)]
    replica(script, Diary(at_once=True)).handle([], [], 1)
    assert script.inputs == [EntriesPersisted(5, 1)]


def test_a_leader_that_waits_for_answers_hears_of_its_own_write_with_them() -> None:
    """Where entries were sent, one step takes both the answers and, first, the leader's own."""
    script = Script(Role.LEADER)
    script.outputs = [Outputs(entries=[NOOP], first_index=4, messages=mail(APPEND))]
    leader = replica(script, Diary(at_once=True))
    leader.handle([], [], 1)
    assert script.inputs == []
    leader.handle(mail(VOTE), [], 2)
    assert script.inputs == [EntriesPersisted(4, 1), MailReceived(*mail(VOTE))]
    leader.handle([], [], 3)
    assert len(script.inputs) == 2


def test_only_append_entries_overtake_a_slow_write() -> None:
    """A vote waits for the disk, and so does the leader's count of itself."""
    script, diary = Script(Role.LEADER), Diary(at_once=False)
    script.outputs = [Outputs(entries=[NOOP], first_index=4, messages=mail(VOTE, APPEND))]
    slow = replica(script, diary)
    slow.handle([], [], 1)
    assert diary.lines == ["write", "AppendEntries"]
    assert script.inputs == []
    slow.handle_durable(1, 2)
    assert diary.lines == ["write", "AppendEntries", "RequestVoteResponse"]
    assert script.inputs == [EntriesPersisted(4, 1)]


def test_later_messages_wait_behind_an_earlier_write() -> None:
    """A message of a step that wrote nothing may still tell of what is not yet durable."""
    script, diary = Script(Role.FOLLOWER), Diary(at_once=False)
    script.outputs = [Outputs(hard_state=HardState(1, OTHER)), Outputs(messages=mail(VOTE))]
    slow = replica(script, diary)
    slow.handle([], [], 1)
    slow.handle([], [], 2)
    assert diary.lines == ["write"]
    slow.handle_durable(1, 3)
    assert diary.lines == ["write", "RequestVoteResponse"]


def test_writes_are_released_in_order() -> None:
    """Each write that is done lets out what waited for it, and no more."""
    script, diary = Script(Role.FOLLOWER), Diary(at_once=False)
    script.outputs = [
        Outputs(hard_state=HardState(term, None), messages=mail(VOTE)) for term in (1, 2, 3)
    ]
    slow = replica(script, diary)
    for now_us in (1, 2, 3):
        slow.handle([], [], now_us)
    slow.handle_durable(1, 4)
    assert diary.lines.count("RequestVoteResponse") == 1
    slow.handle_durable(2, 5)
    assert diary.lines.count("RequestVoteResponse") == 3


def test_nothing_to_write_is_not_written() -> None:
    """A step that only sends asks nothing of the storage."""
    script, diary = Script(Role.FOLLOWER), Diary(at_once=True)
    script.outputs = [Outputs(messages=mail(APPEND))]
    replica(script, diary).handle([], [], 1)
    assert diary.lines == ["AppendEntries"]


@pytest.mark.parametrize("role", [Role.FOLLOWER, Role.LEADER])
def test_a_transition_is_seen_by_the_next_to_ask(role: Role) -> None:
    """What the core traced is current in `transition`."""
    script = Script(Role.BLANK)
    joined = replica(script, Diary(at_once=True))
    script.role = role
    script.outputs = [Outputs(trace=[TraceEvent(Action.FOLLOW, 1, 1)])]
    joined.handle([], [], 1)
    assert joined.transition.role is role


def test_ready_needs_a_committed_membership_and_what_was_committed_when_it_joined() -> None:
    """A known leader is not enough: the membership is committed, and its time is caught up with."""
    script = Script(Role.FOLLOWER)
    script.membership_committed = False
    joining = replica(script, Diary(at_once=True))
    news = TraceEvent(Action.MEMBERSHIP, 1, 1)
    script.outputs = [Outputs(trace=[news])]
    joining.handle([], [], 1)
    assert joining.state() == "returning"
    script.membership_committed, script.commit_index = True, 2
    script.outputs = [
        Outputs(trace=[news], committed=[NOOP], first_committed=1),
        Outputs(committed=[NOOP], first_committed=2),
    ]
    joining.handle([], [], 2)
    assert joining.state() == "returning"
    joining.handle([], [], 3)
    assert joining.state() == "ready"
