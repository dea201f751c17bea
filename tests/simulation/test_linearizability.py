"""The search for an order that explains a history, on histories known to be good and bad."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftudp.errors import DecodeError
from raftudp.simulation.history import (
    Argument,
    Comparison,
    OperationKind,
    Outcome,
    Recorded,
    Result,
    describe,
    save,
)
from raftudp.simulation.linearizability import Answer, check, check_file, shrink

READ, WRITE, DELETE, COMPARE = OperationKind
DONE, NOT_DONE, UNKNOWN = Outcome
KEY = b"k"
A, B, C = b"a", b"b", b"c"


def read(result: bytes | None, invoked: int, returned: int) -> Recorded:
    return Recorded(1, READ, KEY, None, result, invoked, returned, DONE)


def write(value: bytes, invoked: int, returned: int | None) -> Recorded:
    """A write; without a return, its outcome is unknown."""
    return ended(Recorded(2, WRITE, KEY, value, True, invoked, returned, DONE))


def delete(found: bool, invoked: int, returned: int | None) -> Recorded:
    return ended(Recorded(3, DELETE, KEY, None, found, invoked, returned, DONE))


def compare(
    expected: bytes | None, new: bytes, swapped: bool, invoked: int, returned: int | None
) -> Recorded:
    argument = Comparison(expected, new)
    return ended(Recorded(4, COMPARE, KEY, argument, swapped, invoked, returned, DONE))


def ended(recorded: Recorded) -> Recorded:
    if recorded.returned is None:
        return recorded._replace(result=None, outcome=UNKNOWN)
    return recorded


def not_done(recorded: Recorded) -> Recorded:
    return recorded._replace(result=None, outcome=NOT_DONE)


GOOD = {
    "nothing": [],
    "absent at first": [read(None, 1, 2)],
    "read what was written": [write(A, 1, 2), read(A, 3, 4)],
    "overlap, seen": [write(A, 1, 9), read(A, 2, 3)],
    "overlap, not yet seen": [write(A, 1, 9), read(None, 2, 3), read(A, 4, 5)],
    "overlapping writes, either order": [write(A, 1, 9), write(B, 1, 9), read(A, 10, 11)],
    "overlapping writes, both seen": [
        write(A, 1, 9),
        write(B, 1, 9),
        read(B, 2, 3),
        read(A, 4, 5),
    ],
    "equal times are concurrent": [write(A, 1, 5), read(None, 5, 6)],
    "one value written twice": [write(A, 1, 2), write(B, 3, 4), write(A, 5, 6), read(A, 7, 8)],
    "unknown write took effect later": [
        write(A, 1, None),
        write(B, 2, 3),
        read(B, 4, 5),
        read(A, 6, 7),
    ],
    "unknown write never took effect": [write(A, 1, None), write(B, 2, 3), read(B, 4, 5)],
    "unknown delete took effect": [write(A, 1, 2), delete(True, 3, None), read(None, 4, 5)],
    "unknown delete never took effect": [write(A, 1, 2), delete(True, 3, None), read(A, 4, 5)],
    "unknown compare took effect": [
        write(A, 1, 2),
        compare(A, B, True, 3, None),
        read(A, 4, 5),
        read(B, 6, 7),
    ],
    "unknown compare never took effect": [write(A, 1, 2), compare(A, B, True, 3, None)],
    "a chain of unknown operations": [
        write(A, 1, None),
        compare(A, B, True, 1, None),
        compare(B, C, True, 1, None),
        read(C, 4, 5),
    ],
    "an unseen unknown write makes a compare fail": [
        write(A, 1, 2),
        write(B, 3, None),
        compare(A, C, False, 4, 5),
    ],
    "an unseen unknown write gives a delete something to find": [
        write(B, 1, None),
        delete(True, 2, 3),
        read(None, 4, 5),
    ],
    "which of two unknown writes gave a delete something to find": [
        write(A, 1, None),
        write(C, 2, None),
        delete(True, 3, 4),
        read(A, 5, 6),
    ],
    "a write that only an unknown compare needs": [
        write(A, 1, 20),
        write(B, 1, 20),
        compare(A, C, True, 1, None),
        read(B, 5, 6),
        read(C, 21, 22),
    ],
    "the one order of two writes that an unknown compare needs": [
        write(A, 1, 8),
        write(B, 1, 9),
        compare(A, C, True, 1, None),
        read(C, 10, 11),
        compare(b"d", B, False, 12, 13),
    ],
    "found on the way back: who still needs a value": [
        write(C, 6, 10),
        compare(C, B, True, 13, 16),
        compare(A, A, False, 13, 16),
        write(C, 11, 16),
        compare(C, C, True, 14, 20),
        compare(C, A, True, 18, 21),
        compare(A, C, True, 16, 21),
    ],
    "found on the way back: who still refuses a value": [
        read(None, 0, 7),
        read(None, 0, 11),
        write(A, 0, 9),
        read(A, 0, 8),
        delete(False, 6, 15),
        write(A, 0, 7),
        delete(True, 5, 24),
        delete(True, 10, 20),
    ],
    "a read of unknown outcome": [read(A, 1, 2)._replace(returned=None, outcome=UNKNOWN)],
    "not done, not seen": [not_done(write(A, 1, 2)), read(None, 3, 4)],
    "compare finds absent": [compare(None, A, True, 1, 2), read(A, 3, 4)],
    "compare finds what it expected": [write(A, 1, 2), compare(A, B, True, 3, 4), read(B, 5, 6)],
    "compare finds another": [write(A, 1, 2), compare(B, C, False, 3, 4), read(A, 5, 6)],
    "compare with the same value": [write(A, 1, 2), compare(A, A, True, 3, 4), read(A, 5, 6)],
    "one of two compares wins": [
        compare(None, A, True, 1, 9),
        compare(None, B, False, 1, 9),
        read(A, 10, 11),
    ],
    "delete": [write(A, 1, 2), delete(True, 3, 4), delete(False, 5, 6), read(None, 7, 8)],
}

BAD = {
    "stale read": [write(A, 1, 2), write(B, 3, 4), read(A, 5, 6)],
    "stale read of nothing": [write(A, 1, 2), read(None, 3, 4)],
    "lost write": [write(A, 1, 2), write(B, 3, 4), read(A, 5, 6), read(A, 7, 8)],
    "applied twice": [write(A, 1, 2), write(B, 3, 4), read(B, 5, 6), read(A, 7, 8)],
    "an unknown write applied twice": [
        write(A, 1, None),
        read(A, 2, 3),
        write(B, 4, 5),
        read(B, 6, 7),
        read(A, 8, 9),
    ],
    "an unknown write seen, then unseen": [write(A, 1, None), read(A, 2, 3), read(None, 4, 5)],
    "an unknown write seen before it was invoked": [read(A, 1, 2), write(A, 3, None)],
    "an unknown delete seen, then unseen": [
        write(A, 1, 2),
        delete(True, 3, None),
        read(None, 4, 5),
        read(A, 6, 7),
    ],
    "one unknown write can't help twice": [
        write(B, 1, None),
        delete(True, 2, 3),
        delete(True, 4, 5),
    ],
    "an unknown compare without what it expects": [compare(A, B, True, 1, None), read(B, 2, 3)],
    "a value never written": [read(A, 1, 2)],
    "not done, and seen": [not_done(write(A, 1, 2)), read(A, 3, 4)],
    "read before its write": [read(A, 1, 2), write(A, 3, 4)],
    "two readers disagree about the order": [
        write(A, 1, 20),
        write(B, 1, 20),
        read(A, 2, 3),
        read(B, 4, 5),
        read(A, 6, 7),
    ],
    "new, then old, while the write is under way": [
        write(A, 1, 9),
        read(A, 2, 3),
        read(None, 4, 5),
    ],
    "two compares win": [compare(None, A, True, 1, 9), compare(None, B, True, 1, 9)],
    "compare finds what was overwritten": [
        write(A, 1, 2),
        write(B, 3, 4),
        compare(A, C, True, 5, 6),
    ],
    "compare misses what is there": [write(A, 1, 2), compare(A, B, False, 3, 4)],
    "a compare that found another changed something": [
        write(A, 1, 2),
        compare(B, C, False, 3, 4),
        read(C, 5, 6),
    ],
    "delete finds nothing": [write(A, 1, 2), delete(False, 3, 4)],
    "delete finds what is not there": [delete(True, 1, 2)],
    "more was found than was written": [
        write(A, 0, 0),
        write(B, 0, 1),
        read(None, 1, 1),
        delete(True, 1, 2),
        delete(True, 1, 2),
        delete(True, 3, 4),
    ],
    "deleted, and still there": [write(A, 1, 2), delete(True, 3, 4), read(A, 5, 6)],
}


@pytest.mark.parametrize("history", GOOD.values(), ids=GOOD.keys())
def test_good_histories_pass(history: list[Recorded]) -> None:
    """What a register may do is linearizable, and there is nothing to explain."""
    verdict = check(history)
    assert (verdict.answer, verdict.explanations) == (Answer.LINEARIZABLE, ())


@pytest.mark.parametrize("history", BAD.values(), ids=BAD.keys())
def test_bad_histories_fail(history: list[Recorded]) -> None:
    """What no register does is not linearizable, in whatever order the file lists it."""
    assert check(history).answer is Answer.VIOLATED
    assert check(history[::-1]).answer is Answer.VIOLATED


def test_revisions_that_go_back_fail() -> None:
    """What an order of values would explain can still be contradicted by its revisions."""
    history = [
        write(A, 1, 2)._replace(revision=5),
        write(B, 3, 4)._replace(revision=4),
        read(B, 5, 6)._replace(revision=4),
    ]
    verdict = check(history)
    assert verdict.answer is Answer.VIOLATED
    assert "the revision goes back" in verdict.explanations[0]
    assert check([recorded._replace(revision=None) for recorded in history]).answer is (
        Answer.LINEARIZABLE
    )


def test_keys_are_judged_each_by_itself() -> None:
    """One bad key makes the history bad, and it alone is explained."""
    good = [write(A, 1, 2)._replace(key=b"good"), read(A, 3, 4)._replace(key=b"good")]
    verdict = check([*good, *BAD["stale read"]])
    assert verdict.answer is Answer.VIOLATED
    assert (verdict.keys, verdict.operations) == (2, 5)
    assert len(verdict.explanations) == 1
    assert verdict.explanations[0].startswith("key 'k' is not linearizable")


def test_a_file_is_judged(tmp_path: Path) -> None:
    """A history from a file gets the verdict that it has in memory; a bad file is refused."""
    path = tmp_path / "history.jsonl"
    save(path, BAD["stale read"])
    assert check_file(path) == check(BAD["stale read"])
    path.write_text("nonsense\n")
    with pytest.raises(DecodeError, match="line 1"):
        check_file(path)


# ---- explanations


def test_a_failure_is_explained() -> None:
    """The explanation tells how far an order goes, what then fits nowhere, and the facts that alone
    fail.
    """
    history = [
        write(A, 1, 2),
        read(A, 3, 4),
        write(B, 5, 6),
        read(B, 7, 8),
        read(A, 9, 10),
        write(C, 11, 12),
    ]
    assert check(history).explanations[0].splitlines() == [
        "key 'k' is not linearizable: 2 of 6 completed operations fit in one order, ending with",
        "  process 2: write 'a' → true (from 1 to 2)",
        "  process 1: read → 'a' (from 3 to 4)",
        "the value is then 'a'; no order found in 2 configurations goes on with",
        "  process 2: write 'b' → true (from 5 to 6)",
        "  process 1: read → 'a' (from 9 to 10), the last to see this value",
        "these alone fail (unknown: its outcome makes no difference to that)",
        "  process 2: write 'a' → true (from 1 to 2)",
        "  process 2: write 'b' → true (from 5 to 6)",
        "  process 1: read → 'a' (from 9 to 10)",
    ]


def test_what_makes_no_difference_to_a_failure_becomes_unknown() -> None:
    """A writer whose end is not needed for the failure stays in its short form without one."""
    history = [write(A, 1, 2), write(B, 3, 4), read(C, 5, 6), write(C, 7, 8), read(C, 9, 10)]
    assert shrink(history) == [read(C, 5, 6), write(C, 7, None)]


def test_what_could_help_stays_in_the_short_form() -> None:
    """A failure is never made short by forgetting who wrote what somebody saw."""
    chained = [
        write(A, 1, 2),
        compare(A, B, True, 3, 4),
        read(B, 5, 6),
        write(C, 7, 8),
        read(B, 9, 10),
    ]
    assert shrink(chained) == [
        write(A, 1, 2),
        compare(A, B, True, 3, None),
        write(C, 7, 8),
        read(B, 9, 10),
    ]
    found_twice = [write(A, 1, 2), delete(True, 3, 4), delete(True, 5, 6)]
    assert shrink(found_twice) == [write(A, 1, None), *found_twice[1:]]


def test_a_value_never_written_is_told_at_once() -> None:
    """The operation that saw it is named, and nothing is searched."""
    verdict = check([*GOOD["delete"], read(B, 9, 10)])
    assert verdict.states == 0
    assert "nobody wrote what this saw\n  process 1: read → 'b'" in verdict.explanations[0]


# ---- against a search that has no ideas


def met(recorded: Recorded, value: bytes | None) -> tuple[bool, bytes | None]:
    """Whether the operation fits a register of this value, and what it leaves."""
    is_unknown = recorded.outcome is UNKNOWN
    result, argument = recorded.result, recorded.argument
    if recorded.operation is READ:
        return is_unknown or result == value, value
    if recorded.operation is DELETE:
        return is_unknown or result == (value is not None), None
    if isinstance(argument, Comparison):
        swaps = argument.expected == value
        return is_unknown or result == swaps, argument.new if swaps else value
    return True, argument


def has_an_order(history: Sequence[Recorded]) -> bool:
    """Every order that real time allows is tried, with and without what may never take effect."""
    done = frozenset(i for i, recorded in enumerate(history) if recorded.outcome is DONE)
    all_but_not_done = frozenset(i for i, r in enumerate(history) if r.outcome is not NOT_DONE)
    configurations: list[tuple[frozenset[int], bytes | None]] = [(all_but_not_done, None)]
    seen = set(configurations)
    while configurations:
        remaining, value = configurations.pop()
        ends = [history[i].returned or 0 for i in remaining & done]
        if not ends:
            return True
        for i in remaining:
            fits, left = met(history[i], value)
            following = (remaining - {i}, left)
            if fits and history[i].invoked <= min(ends) and following not in seen:
                seen.add(following)
                configurations.append(following)
    return False


@st.composite
def any_operation(draw: st.DrawFn) -> Recorded:
    """Any operation with any result, on few values and at few times."""
    values = st.sampled_from([A, B, C])
    operation = draw(st.sampled_from(OperationKind))
    invoked = draw(st.integers(0, 9))
    argument: Argument = None
    result: Result = True
    if operation is READ:
        result = draw(st.none() | values)
    elif operation is WRITE:
        argument = draw(values)
    else:
        result = draw(st.booleans())
        if operation is COMPARE:
            argument = Comparison(draw(st.none() | values), draw(values))
    outcome = draw(st.sampled_from([DONE, DONE, DONE, DONE, UNKNOWN, UNKNOWN, NOT_DONE]))
    returned = None if outcome is UNKNOWN else invoked + draw(st.integers(0, 5))
    return Recorded(
        1, operation, KEY, argument, result if outcome is DONE else None, invoked, returned, outcome
    )


@settings(max_examples=300, deadline=None)
@given(st.lists(any_operation(), max_size=7))
def test_the_verdict_is_that_of_trying_all_orders(history: list[Recorded]) -> None:
    """Whatever shortens the search loses no order, and invents none; a failure shrinks to a failure
    in which nothing is new.
    """
    verdict = check(history)
    assert verdict.answer is (Answer.LINEARIZABLE if has_an_order(history) else Answer.VIOLATED), (
        "\n".join(map(describe, history))
    )
    if verdict.answer is Answer.VIOLATED:
        core = shrink(history)
        assert not has_an_order(core)
        asked = [recorded[:4] for recorded in history]
        assert all(recorded[:4] in asked for recorded in core)


# ---- histories of a register


LATENCY = 100


class Register:
    """An atomic register, asked by processes that each do one thing after the other."""

    def __init__(
        self,
        random: Random,
        processes: int,
        unknown: float,
        values: Sequence[bytes] | None = None,
    ) -> None:
        """Without `values`, each write has a value of its own."""
        self._random = random
        self._processes = processes
        self._unknown = unknown
        self._values = values

    def run(self, count: int, kinds: Sequence[OperationKind]) -> list[Recorded]:
        """A history of `count` operations; each takes effect at a point of its own, if it does."""
        random = self._random
        free = [random.randrange(LATENCY) for _ in range(self._processes)]
        points = []
        for number in range(count):
            process = min(range(self._processes), key=free.__getitem__)
            invoked = free[process]
            point = invoked + random.randrange(LATENCY)
            returned = free[process] = point + random.randrange(LATENCY)
            is_unknown = random.random() < self._unknown
            if is_unknown and random.random() < 0.3:
                point += random.randrange(20 * LATENCY)
            happens = not is_unknown or random.random() < 0.6
            kind = random.choice(kinds)
            points.append((point, number, process, kind, invoked, returned, is_unknown, happens))
        history = []
        value: bytes | None = None
        for _, number, process, kind, invoked, returned, is_unknown, happens in sorted(points):
            argument: Argument = None
            new = b"v%d" % number if self._values is None else random.choice(self._values)
            if kind is WRITE:
                argument = new
            elif kind is COMPARE:
                argument = Comparison(value if random.random() < 0.5 else A, new)
            asked = Recorded(process, kind, KEY, argument, None, invoked, None, UNKNOWN)
            result, after = self._apply(asked, value)
            value = after if happens else value
            if not is_unknown:
                asked = asked._replace(result=result, returned=returned, outcome=DONE)
            history.append(asked)
        return history

    def _apply(self, asked: Recorded, value: bytes | None) -> tuple[Result, bytes | None]:
        _, left = met(asked, value)
        if asked.operation is READ:
            return value, left
        if asked.operation is DELETE:
            return value is not None, left
        if isinstance(asked.argument, Comparison):
            return asked.argument.expected == value, left
        return True, left


KINDS = [list(OperationKind), [READ, WRITE], [READ, READ, WRITE, DELETE, COMPARE], [READ, COMPARE]]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32),
    st.integers(1, 12),
    st.sampled_from([0, 0.05, 0.3]),
    st.sampled_from(KINDS),
)
def test_what_a_register_does_passes(
    seed: int, processes: int, unknown: float, kinds: list[OperationKind]
) -> None:
    """Every history of an atomic register is linearizable, in any order of its lines."""
    random = Random(seed)
    history = Register(random, processes, unknown).run(80, kinds)
    random.shuffle(history)
    verdict = check(history)
    assert verdict.answer is Answer.LINEARIZABLE, verdict.explanations


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4), st.sampled_from([0, 0.3]), st.sampled_from(KINDS))
def test_the_verdict_on_a_nearly_good_history_is_that_of_trying_all_orders(
    seed: int, values: int, unknown: float, kinds: list[OperationKind]
) -> None:
    """What a busy register does, and the same with a result or two spoilt, is told apart."""
    random = Random(seed)
    few = [A, B, C, b"d"][:values]
    for _ in range(10):
        history = Register(random, random.randint(2, 8), unknown, few).run(9, kinds)
        for number in random.choices(range(9), k=random.randrange(3)):
            recorded = history[number]
            if recorded.operation is READ and recorded.outcome is DONE:
                history[number] = recorded._replace(result=random.choice([*few, None]))
            elif recorded.operation in {DELETE, COMPARE} and recorded.outcome is DONE:
                history[number] = recorded._replace(result=not recorded.result)
        assert (check(history).answer is Answer.LINEARIZABLE) == has_an_order(history), "\n".join(
            map(describe, history)
        )


def reads_that_may_be_spoilt(history: Sequence[Recorded]) -> list[tuple[int, bytes | None]]:
    """Results that reads can't have had, by real time alone: every value is written once."""
    writes = [r for r in history if r.operation is WRITE and r.outcome is DONE]
    spoilt: list[tuple[int, bytes | None]] = []
    for number, recorded in enumerate(history):
        if recorded.operation is not READ or recorded.returned is None:
            continue
        spoilt.append((number, b"never written"))
        before = [w for w in writes if w.returned is not None and w.returned < recorded.invoked]
        if before:
            spoilt.append((number, None))
            last = max(before, key=lambda w: w.invoked)
            assert isinstance(last.argument, bytes)
            spoilt += [
                (number, w.argument)
                for w in before
                if w.returned is not None
                and w.returned < last.invoked
                and isinstance(w.argument, bytes)
            ]
        spoilt += [
            (number, w.argument)
            for w in writes
            if w.invoked > recorded.returned and isinstance(w.argument, bytes)
        ]
    return spoilt


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 8), st.data())
def test_one_spoilt_read_fails(seed: int, processes: int, data: st.DataObject) -> None:
    """A read of what was overwritten, came later, is gone or was never there is seen."""
    history = Register(Random(seed), processes, 0.05).run(40, [READ, WRITE])
    spoilt = reads_that_may_be_spoilt(history)
    if not spoilt:
        return
    number, result = data.draw(st.sampled_from(spoilt))
    history[number] = history[number]._replace(result=result)
    assert check(history).answer is Answer.VIOLATED


# ---- bounds


@pytest.mark.parametrize("kinds", KINDS, ids="-".join)
def test_a_long_history_takes_few_configurations(kinds: list[OperationKind]) -> None:
    """A thousand operations on one key by ten processes, some unknown, cost a few configurations
    each.
    """
    for seed in range(3):
        history = Register(Random(seed), 10, 0.02).run(1_000, kinds)
        verdict = check(history)
        assert verdict.answer is Answer.LINEARIZABLE
        assert verdict.states < 5_000


def test_a_stale_read_in_a_long_history_is_found_and_made_short() -> None:
    """The failure among a thousand operations is told in a few lines."""
    history = Register(Random(5), 10, 0.02).run(1_000, [READ, WRITE])
    number, result = next(
        (number, result)
        for number, result in reads_that_may_be_spoilt(history)
        if number > 800 and result is not None and result != b"never written"
    )
    history[number] = history[number]._replace(result=result)
    verdict = check(history)
    assert verdict.answer is Answer.VIOLATED
    assert verdict.states < 5_000
    assert len(shrink(history)) <= 6


def test_very_long_histories_need_no_recursion() -> None:
    """The depth of the search is bounded by memory alone."""
    history = [write(b"%d" % i, 2 * i, 2 * i + 1) for i in range(20_000)]
    assert check(history).answer is Answer.LINEARIZABLE


def knot(width: int) -> list[Recorded]:
    """Compares that lead twice to each value and twice away from it, all at once: whoever follows
    them all ends where they began, and then another value is read.
    """
    random = Random(1)
    values = [b"%d" % i for i in range(width)]
    away = [*values, *values]
    to = random.sample(away, len(away))
    maze = [compare(one, other, True, 1, 1_000) for one, other in zip(away, to, strict=True)]
    return [write(values[0], 0, 0), *maze, read(values[1], 2_000, 2_001)]


def test_the_search_ends_at_its_bound() -> None:
    """A history that would take too long is neither good nor bad but undecided, and says so."""
    verdict = check(knot(20), states_maximum=500)
    assert verdict.answer is Answer.UNDECIDED
    assert verdict.states == 500
    assert verdict.explanations[0].startswith("key 'k' is undecided: ")


def test_a_failure_outweighs_what_is_undecided() -> None:
    """A history with a bad key is bad, whatever remains open about another."""
    bad = [recorded._replace(key=b"bad") for recorded in BAD["stale read"]]
    verdict = check([*knot(20), *bad], states_maximum=500)
    assert verdict.answer is Answer.VIOLATED
    assert len(verdict.explanations) == 2


def test_one_history_has_one_verdict() -> None:
    """The same history costs the same configurations and is explained in the same words."""
    histories: list[Callable[[], list[Recorded]]] = [
        lambda: Register(Random(3), 8, 0.1).run(200, KINDS[0]),
        lambda: [*Register(Random(3), 8, 0.1).run(200, KINDS[1]), read(None, 9_999, 10_000)],
    ]
    for history in histories:
        assert check(history()) == check(history())
