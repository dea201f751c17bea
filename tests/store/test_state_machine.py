"""The state machine: whatever the log holds, it does what a naive model does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftudp.encoding.records import decode_command, encode_command
from raftudp.limits import (
    COMMAND_BYTES_MAXIMUM,
    LIST_BYTES_MAXIMUM,
    LIST_ITEMS_MAXIMUM,
    VALUE_BYTES_MAXIMUM,
)
from raftudp.store import sessions as sessions_module
from raftudp.store.commands import (
    Command,
    CompareAndSet,
    Delete,
    Item,
    OpenSession,
    Operation,
    Outcome,
    Put,
    Result,
)
from raftudp.store.state_machine import StateMachine
from tests.store.model import Model

CLIENTS = [bytes([number]) * 16 for number in range(4)]
SESSIONS, OUTSTANDING = 3, 4


class Asked(NamedTuple):
    """A command in the log, in one entry or several."""

    command: Command
    cuts: tuple[int, ...]
    """Where it is cut into parts, in thousandths."""
    cut_short: bool
    """A change of leader loses its last part."""


class Other(NamedTuple):
    """An entry that is no command, or whose bytes are none."""

    garbage: bytes | None
    new_term: bool


keys = st.sampled_from([b"", b"a", b"ab", b"b"])
values = st.sampled_from([b"", b"1", b"2" * 30])
operations: st.SearchStrategy[Operation] = st.one_of(
    st.builds(Put, keys, values),
    st.builds(Delete, keys),
    st.builds(CompareAndSet, keys, st.none() | values, values),
)
commands = st.one_of(
    st.builds(Command, st.sampled_from(CLIENTS), st.just(0), st.just(0), st.just(0),
              st.just(OpenSession())),
    # opened_at stands for the how-manieth session of the client here
    st.builds(Command, st.sampled_from(CLIENTS), st.integers(0, 1), st.integers(1, 9),
              st.integers(0, 9), operations),
)  # fmt: skip
steps = st.lists(
    st.one_of(
        st.builds(Asked, commands, st.lists(st.integers(0, 1000), max_size=3).map(tuple),
                  st.sampled_from([False, False, False, True])),
        st.builds(Other, st.none() | st.binary(max_size=5), st.booleans()),
    ),
    max_size=60,
)  # fmt: skip


class Log:
    """Feeds a state machine and the model with the same log, and compares what they say."""

    def __init__(self) -> None:
        self.machine = StateMachine(decode_command)
        self.model = Model(SESSIONS, OUTSTANDING)
        self.term = 1
        self.sessions_opened: dict[bytes, list[int]] = {client: [] for client in CLIENTS}

    @property
    def next_index(self) -> int:
        return self.machine.last_applied + 1

    def take(self, step: Asked | Other) -> None:
        if isinstance(step, Asked):
            self.take_command(step)
            return
        self.term += step.new_term
        if step.garbage is None:
            self.machine.apply_other(self.next_index, self.term)
        else:
            index = self.next_index
            result = self.machine.apply_command(index, self.term, step.garbage)
            assert result == (None, Result(Outcome.INVALID, index))

    def take_command(self, asked: Asked) -> None:
        command = asked.command
        opened = self.sessions_opened[command.client_id]
        if not isinstance(command.operation, OpenSession):
            generation = command.opened_at
            opened_at = opened[-1 - generation] if generation < len(opened) else 999_999
            command = command._replace(opened_at=opened_at)
        data = encode_command(command)
        edges = [0, *sorted(len(data) * cut // 1000 for cut in asked.cuts), len(data)]
        *parts, last = [data[a:b] for a, b in pairwise(edges)]
        for part in parts:
            self.machine.apply_part(self.next_index, self.term, part)
        if asked.cut_short:
            self.term += 1
            self.machine.apply_other(self.next_index, self.term)
            return
        index = self.next_index
        expected = self.model.apply(command, index)
        assert self.machine.apply_command(index, self.term, last) == (command, expected)
        if isinstance(command.operation, OpenSession) and expected.revision == index:
            opened.append(index)

    def compare(self) -> None:
        listed, more = self.machine.list(b"", None, LIST_ITEMS_MAXIMUM)
        assert list(listed) == sorted(self.model.items.values())
        assert not more
        for key in (b"", b"a", b"ab", b"b", b"absent"):
            assert self.machine.get(key) == self.model.items.get(key)


@pytest.fixture(scope="module", autouse=True)
def small_limits() -> Iterator[None]:
    """Few sessions with few results, so that random logs reach the bounds."""
    with (
        mock.patch.object(sessions_module, "SESSIONS_MAXIMUM", SESSIONS),
        mock.patch.object(sessions_module, "SESSION_OUTSTANDING_MAXIMUM", OUTSTANDING),
    ):
        yield


@given(steps)
def test_it_does_what_the_model_does(log: list[Asked | Other]):
    """Duplicates, expiry, parts, parts cut short and garbage, in any order: as in the model."""
    both = Log()
    for step in log:
        both.take(step)
    both.compare()


@given(steps)
def test_the_same_log_gives_the_same_digest(log: list[Asked | Other]):
    """Two replicas agree at every index, whether they hold the same bytes objects or not."""
    first, second = Log(), Log()
    for step in log:
        first.take(step)
        second.take(step)
        assert first.machine.digest() == second.machine.digest()
    assert first.machine.last_applied == second.machine.last_applied


@given(steps, st.integers(0, 59))
def test_an_entry_left_out_shows_in_the_digest(log: list[Asked | Other], place: int):
    """Replicas that applied different commands that changed something have different digests."""
    whole, holed = Log(), Log()
    for number, step in enumerate(log):
        before = whole.machine.digest()
        whole.take(step)
        assert whole.machine.digest() != before
        if number != place:
            holed.take(step)
    if place < len(log):
        assert whole.machine.digest() != holed.machine.digest()


def machine_with_session() -> tuple[StateMachine, int]:
    machine = StateMachine(decode_command)
    opened = encode_command(Command(CLIENTS[0], 0, 0, 0, OpenSession()))
    assert machine.apply_command(1, 1, opened)[1] == Result(Outcome.DONE, 1)
    return machine, 1


def write(sequence: int, operation: Operation) -> Command:
    return Command(CLIENTS[0], 1, sequence, sequence, operation)


def in_parts(data: bytes, part_bytes: int) -> list[bytes]:
    return [data[begin : begin + part_bytes] for begin in range(0, len(data), part_bytes)]


def test_the_largest_command_in_parts():
    """A compare-and-set with two values of the greatest size is joined and applied."""
    machine, _ = machine_with_session()
    value = bytes(VALUE_BYTES_MAXIMUM)
    command = write(1, CompareAndSet(b"k", value, value))
    *parts, last = in_parts(encode_command(command), 768)
    for part in parts:
        machine.apply_part(machine.last_applied + 1, 1, part)
    index = machine.last_applied + 1
    assert machine.apply_command(index, 1, last) == (command, Result(Outcome.DIFFERENT, index))


@pytest.mark.parametrize(
    ("size", "reaches_decoding"),
    [(COMMAND_BYTES_MAXIMUM, True), (COMMAND_BYTES_MAXIMUM + 1, False)],
)
def test_joined_parts_at_the_bound_and_one_past_it(size: int, reaches_decoding: bool):
    """Parts of more than COMMAND_BYTES_MAXIMUM are dropped as they come, and INVALID at the end."""
    decoded: list[int] = []

    def decode(data: bytes) -> Command:
        decoded.append(len(data))
        return write(1, Delete(b""))

    machine = StateMachine(decode)
    *parts, last = in_parts(bytes(size), 60_000)
    for part in parts:
        machine.apply_part(machine.last_applied + 1, 1, part)
    command, result = machine.apply_command(machine.last_applied + 1, 1, last)
    assert decoded == ([size] if reaches_decoding else [])
    assert (command is None) == (result.outcome == Outcome.INVALID) == (not reaches_decoding)


@pytest.mark.parametrize("interruption", ["term", "other"])
def test_parts_cut_short_leave_nothing(interruption: str):
    """Neither a new term nor another kind of entry lets old parts join what comes later."""
    machine, _ = machine_with_session()
    old, new = write(1, Put(b"k", b"old")), write(1, Put(b"k", b"new"))
    first = encode_command(old)[:20]
    machine.apply_part(2, 1, first)
    term = 1
    if interruption == "term":
        term = 2
    else:
        machine.apply_other(3, 1)
    index = machine.last_applied + 1
    command, result = machine.apply_command(index, term, encode_command(new))
    assert (command, result) == (new, Result(Outcome.DONE, index))
    assert machine.get(b"k") == Item(b"k", b"new", index)


def test_unfinished_parts_show_in_the_digest():
    """Replicas that hold different unfinished parts are told apart."""
    digests = set()
    for data in (b"", b"a", b"b"):
        machine = StateMachine(decode_command)
        machine.apply_part(1, 1, data)
        digests.add(machine.digest())
    assert len(digests) == 3


def test_an_applied_write_is_found_again():
    """`result_of` knows what was applied, under its own session alone."""
    machine, opened_at = machine_with_session()
    machine.apply_command(2, 1, encode_command(write(1, Put(b"k", b"v"))))
    assert machine.result_of(CLIENTS[0], opened_at, 1) == Result(Outcome.DONE, 2)
    assert machine.result_of(CLIENTS[0], opened_at, 2) is None
    assert machine.result_of(CLIENTS[0], 2, 1) is None
    assert machine.result_of(CLIENTS[1], opened_at, 1) is None


def test_pages_keep_to_the_limits():
    """A page has LIST_ITEMS_MAXIMUM items at most, and LIST_BYTES_MAXIMUM of keys and values."""
    machine, _ = machine_with_session()
    for number in range(LIST_ITEMS_MAXIMUM + 1):
        put = Put(b"%05d" % number, b"")
        machine.apply_command(number + 2, 1, encode_command(write(number + 1, put)))
    page, more = machine.list(b"", None, LIST_ITEMS_MAXIMUM + 1)
    assert (len(page), more) == (LIST_ITEMS_MAXIMUM, True)
    for number in (0, 1):
        put = Put(b"x%d" % number, bytes(LIST_BYTES_MAXIMUM))
        index = machine.last_applied + 1
        machine.apply_command(index, 1, encode_command(write(index, put)))
    page, more = machine.list(b"x", None, 2)
    assert ([item.key for item in page], more) == ([b"x0"], True)


def test_entries_are_applied_in_order():
    """Skipping or repeating an index is a fault of the caller, and changes nothing."""
    machine, _ = machine_with_session()
    for index in (1, 3):
        with pytest.raises(AssertionError):
            machine.apply_other(index, 1)
    assert machine.last_applied == 1


SCRIPT = """
from raftudp.encoding.records import decode_command, encode_command
from raftudp.store.commands import Command, OpenSession, Put
from raftudp.store.state_machine import StateMachine
machine = StateMachine(decode_command)
for number in range(1, 51):
    client = bytes([number]) * 16
    index = machine.last_applied + 1
    machine.apply_command(index, 1, encode_command(Command(client, 0, 0, 0, OpenSession())))
    put = Put(client[: number % 7], client)
    machine.apply_command(index + 1, 1, encode_command(Command(client, index, 1, 1, put)))
print(machine.digest().hex())
"""


def test_the_digest_is_the_same_under_every_hash_seed():
    """Nothing replicated depends on the order of a set or on hashes of strings."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(digests) == 1
