"""Whether a history is linearizable: whether one order of its operations explains every result.

Each key is judged by itself, for linearizability is local (Herlihy and Wing, 1990, section 3.1).
The search is Wing and Gong's with Lowe's memoisation ("Testing for linearizability", 2017): put
next any operation that nothing still to be placed ended before, go back where none fits, and never
visit a configuration (what is placed, what the value is) twice. Operations whose times are equal
count as concurrent. These shorten the search, and lose no order that matters:

1. *What changes nothing and fits is placed at once.* In an order that places it later it can be
   moved here: nothing notices.
2. *A value that must still be seen is not overwritten for the last time*: no move leaves it while
   an observer of it is to be placed and no writer of it is.
3. *A value that nothing left to place asks about equals any other such value.*
4. *A write that nobody can notice is placed together with another write, just before it*, if
   nothing left to place needs its value or may succeed because the value is another one.
5. *An operation of unknown outcome is used only directly before one that fails without it.* Take
   an order with as few of them as can be. Each is noticed, else it could be left out; move it
   later, to just before the first operation that fails without it. It never returned, so any later
   place is allowed, and what it is moved across changes nothing: had that set the value, nothing
   behind it could notice. So an unknown write whose value nobody sees costs nothing, unless a
   failed compare or a delete that found something needs just any other value; then it is tried.
   Among unknown operations of equal effect the first one invoked is used first: exchange them. A
   configuration that has used more of them than one visited before is no better.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

from raftudp.simulation.history import (
    NOTHING,
    Content,
    Outcome,
    Recorded,
    describe,
    effect,
    load,
    may_matter,
    revisions_violated,
    shown,
)

STATES_MAXIMUM: Final = 1_000_000
"""Configurations reached for one key; each takes some 15 microseconds and up to 200 bytes."""
SHRINKING_STATES_MAXIMUM: Final = 50_000
"""Configurations reached to make the explanation of a failure short."""
LINES_MAXIMUM: Final = 30
"""Operations that an explanation shows."""


class Answer(StrEnum):
    """What the search found."""

    LINEARIZABLE = "linearizable"
    VIOLATED = "not linearizable"
    UNDECIDED = "undecided"
    """It ended at its bound."""


class Verdict(NamedTuple):
    """The answer for a history: that of its worst key."""

    answer: Answer
    keys: int
    operations: int
    states: int
    """Configurations reached, for all keys."""
    explanations: tuple[str, ...]
    """One for each key that is not linearizable or undecided; several lines each."""


def check_file(path: Path, *, states_maximum: int = STATES_MAXIMUM) -> Verdict:
    """Judge a history kept as JSON lines; DecodeError names the first bad line."""
    return check(load(path), states_maximum=states_maximum)


def check(operations: Iterable[Recorded], *, states_maximum: int = STATES_MAXIMUM) -> Verdict:
    """Judge a history, in any order; each key may cost up to `states_maximum` configurations.

    Where there are revisions, they are judged first.
    """
    keys: defaultdict[bytes, list[Recorded]] = defaultdict(list)
    for recorded in operations:
        keys[recorded.key].append(recorded)
    verdict = Verdict(Answer.LINEARIZABLE, len(keys), sum(map(len, keys.values())), 0, ())
    for key, of_key in sorted(keys.items()):
        answer, states, complaint = _judge(of_key, states_maximum)
        verdict = verdict._replace(states=verdict.states + states)
        if answer is not Answer.LINEARIZABLE:
            worst = verdict.answer if verdict.answer is Answer.VIOLATED else answer
            line = f"key {shown(key)} is {answer}: {complaint}"
            verdict = verdict._replace(answer=worst, explanations=(*verdict.explanations, line))
    return verdict


def _judge(operations: Sequence[Recorded], states_maximum: int) -> tuple[Answer, int, str]:
    complaint = revisions_violated(operations)
    if complaint is not None:
        return Answer.VIOLATED, 0, complaint
    search = _Search(operations, states_maximum)
    answer = search.run()
    if answer is Answer.LINEARIZABLE:
        return answer, search.states, ""
    lines = search.complaint()
    if answer is Answer.VIOLATED:
        core = shrink(operations)
        lines.append("these alone fail (unknown: its outcome makes no difference to that)")
        lines += [f"  {describe(recorded)}" for recorded in core[:LINES_MAXIMUM]]
    return answer, search.states, "\n".join(lines)


# ---- the search

_NONE: Final = -1
"""No value, in the lists of the search; a counter at this index counts what nobody asks for."""
_ABSENT: Final = 0
_OTHER: Final = 1
"""Any value that no result and no compare ever names; the named ones are 2, 3, ..."""


class _Problem:
    """The operations of one key, with numbers for their values.

    The completed ones are 0 to `completed` - 1 in the order of their invocations, and those of
    unknown outcome follow, likewise.
    """

    def __init__(self, operations: Iterable[Recorded]) -> None:
        relevant = filter(may_matter, operations)
        ordered = sorted(
            relevant, key=lambda recorded: (recorded.returned is None, recorded.invoked)
        )
        effects = [effect(recorded) for recorded in ordered]
        numbers: dict[Content, int] = {NOTHING: _NONE, None: _ABSENT}
        for met in effects:
            for content in (met.requires, met.refuses):
                if content not in numbers:
                    numbers[content] = len(numbers)
        self.operations = ordered
        self.completed = sum(recorded.returned is not None for recorded in ordered)
        self.values = len(numbers)
        self.contents = {number: content for content, number in numbers.items()}
        self.invoked = [recorded.invoked for recorded in ordered]
        self.returned = [r.returned for r in ordered if r.returned is not None]
        self.requires = [numbers[met.requires] for met in effects]
        self.refuses = [numbers[met.refuses] for met in effects]
        self.becomes = [numbers.get(met.becomes, _OTHER) for met in effects]
        classes: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for i in range(self.completed, len(ordered)):
            classes[self.requires[i], self.becomes[i]].append(i)
        self.classes = list(classes.values())
        """The unknown operations, those of equal effect together."""

    def counted(self, numbers: Sequence[int]) -> list[int]:
        """How often each value occurs; the last cell is that of `_NONE`."""
        count = Counter(numbers)
        return [count[number] for number in range(self.values)] + [count[_NONE]]


class _Search:
    """One search through the orders of one key's operations."""

    def __init__(self, operations: Iterable[Recorded], states_maximum: int) -> None:
        problem = self._problem = _Problem(operations)
        completed = self._completed = problem.completed
        self.states = 0
        self._states_maximum = states_maximum
        self._value = _ABSENT
        self._order: list[int] = []
        """What is placed, in order."""
        # The completed operations still to be placed, as a list in a ring; its head is the last.
        self._after = [*range(1, completed + 1), 0]
        self._before = [completed, *range(completed)]
        self._placed_bits = 0
        self._used_bits = 0
        self._used_of_class = [0] * len(problem.classes)
        self._class_of = {i: c for c, members in enumerate(problem.classes) for i in members}
        self._classes_giving: defaultdict[int, list[int]] = defaultdict(list)
        for number, members in enumerate(problem.classes):
            self._classes_giving[problem.becomes[members[0]]].append(number)
        # By value, among the operations still to be placed (or used).
        self._observers = problem.counted(problem.requires[:completed])
        self._refusers = problem.counted(problem.refuses[:completed])
        self._writers = problem.counted(problem.becomes)
        self._refusers_left = completed - self._refusers[_NONE]
        self._wanted = problem.counted(problem.requires[completed:])
        """How many unknown compares can use the value."""
        self._visited: dict[tuple[int, int, int], list[int]] = {}
        self._best: tuple[int, list[int], int, list[int]] = (-1, [], _ABSENT, [])
        """The longest order: how many completed operations, which, the value, what came next."""

    def run(self) -> Answer:
        """Search."""
        if self._unwritten():
            return Answer.VIOLATED
        # Configurations on the way: how many are placed, the value, what is still to be tried.
        frames: list[tuple[int, int, Iterator[tuple[int, ...]]]] = []
        while True:
            candidates = self._place_observers()
            if not candidates:
                return Answer.LINEARIZABLE
            self.states += 1
            moves = self._moves(candidates) if self._is_new() else []
            is_enough = self.states >= self._states_maximum
            if is_enough or not moves:
                self._note(candidates)
            if is_enough:
                return Answer.UNDECIDED
            frames.append((len(self._order), self._value, iter(moves)))
            while frames:
                placed, value, rest = frames[-1]
                while len(self._order) > placed:
                    self._take_back()
                self._value = value
                move = next(rest, None)
                if move is not None:
                    for i in move:
                        self._place(i)
                    break
                frames.pop()
            else:
                return Answer.VIOLATED

    def _unwritten(self) -> list[int]:
        """Completed operations that saw a value that nobody wrote."""
        seen = enumerate(self._problem.requires[: self._completed])
        return [i for i, value in seen if value > _ABSENT and not self._writers[value]]

    # ---- placing

    def _place(self, i: int) -> None:
        problem = self._problem
        self._order.append(i)
        if i < self._completed:
            after, before = self._after[i], self._before[i]
            self._after[before], self._before[after] = after, before
            self._placed_bits |= 1 << i
            self._observers[problem.requires[i]] -= 1
            refused = problem.refuses[i]
            if refused != _NONE:
                self._refusers[refused] -= 1
                self._refusers_left -= 1
        else:
            self._used_bits |= 1 << (i - self._completed)
            self._used_of_class[self._class_of[i]] += 1
        becomes = problem.becomes[i]
        self._writers[becomes] -= 1
        if becomes != _NONE:
            self._value = becomes

    def _take_back(self) -> None:
        """Undo the last `_place`, but for the value."""
        problem = self._problem
        i = self._order.pop()
        if i < self._completed:
            self._after[self._before[i]] = self._before[self._after[i]] = i
            self._placed_bits ^= 1 << i
            self._observers[problem.requires[i]] += 1
            refused = problem.refuses[i]
            if refused != _NONE:
                self._refusers[refused] += 1
                self._refusers_left += 1
        else:
            self._used_bits ^= 1 << (i - self._completed)
            self._used_of_class[self._class_of[i]] -= 1
        self._writers[problem.becomes[i]] += 1

    def _place_observers(self) -> list[int]:
        """Place what may be next, fits and changes nothing (1); what else may be next is returned.

        One pass is enough: nothing invoked later can return before something met earlier began.
        """
        problem, value = self._problem, self._value
        candidates = []
        deadline = None
        i = self._after[self._completed]
        while i != self._completed and (deadline is None or problem.invoked[i] <= deadline):
            if problem.becomes[i] == _NONE and self._fits(i, value):
                self._place(i)
            else:
                candidates.append(i)
                if deadline is None or problem.returned[i] < deadline:
                    deadline = problem.returned[i]
            i = self._after[i]
        return candidates

    def _fits(self, i: int, value: int) -> bool:
        return self._problem.requires[i] in (_NONE, value) and self._problem.refuses[i] != value

    def _is_new(self) -> bool:
        """Whether this configuration, or a better one (5), was never visited; it is now."""
        value = self._value
        if not (self._observers[value] or self._refusers[value] or self._wanted[value]):
            value = _OTHER  # (3)
        first = self._after[self._completed]
        used = self._visited.setdefault((first, self._placed_bits >> first, value), [])
        if any(bits & ~self._used_bits == 0 for bits in used):
            return False
        used.append(self._used_bits)
        return True

    # ---- what may come next

    def _moves(self, candidates: list[int]) -> list[tuple[int, ...]]:
        """What to place next, together; those that must return first come first."""
        problem, value = self._problem, self._value
        in_turn = sorted(candidates, key=problem.returned.__getitem__)
        deadline = problem.returned[in_turn[0]]
        pinning = 0 if self._writers[value] else self._observers[value]
        unnoticed = self._unnoticed(candidates)
        direct: list[tuple[int, ...]] = []
        helped: list[tuple[int, ...]] = []
        for i in in_turn:
            if pinning > (problem.requires[i] == value):
                continue  # (2)
            if not self._fits(i, value):
                helped += [(*chain, i) for chain in self._chains(i, deadline)]
            elif problem.requires[i] == problem.refuses[i] == _NONE:
                direct.append((*(other for other in unnoticed if other != i), i))
            else:
                direct.append((i,))
        return direct + helped

    def _unnoticed(self, candidates: list[int]) -> list[int]:
        """The candidates that may be placed before any write (4)."""
        if self._refusers_left:
            return []
        requires, becomes = self._problem.requires, self._problem.becomes
        blind = (i for i in candidates if requires[i] == _NONE)
        return [i for i in blind if not (self._observers[becomes[i]] or self._wanted[becomes[i]])]

    def _chains(self, i: int, deadline: int) -> Iterator[tuple[int, ...]]:
        """The sequences of unknown operations that make a candidate fit which does not (5).

        A refused value is left by one. A required value comes from the last of a chain, in which
        each needs the one before it, and no value occurs twice.
        """
        problem, value = self._problem, self._value
        if problem.refuses[i] == value:
            for number in range(len(problem.classes)):
                u = self._unused(number, deadline)
                if u != _NONE and problem.becomes[u] != value and self._fits(u, value):
                    yield (u,)
            return
        unfinished: list[tuple[int, tuple[int, ...]]] = [(problem.requires[i], ())]
        while unfinished:
            needed, chain = unfinished.pop()
            for number in self._classes_giving[needed]:
                u = self._unused(number, deadline)
                if u != _NONE and self._fits(u, value):
                    yield (u, *chain)
                elif u != _NONE and all(
                    problem.requires[u] != problem.becomes[later] for later in chain
                ):
                    unfinished.append((problem.requires[u], (u, *chain)))

    def _unused(self, number: int, deadline: int) -> int:
        """The first unknown operation of a class that may be used now, or `_NONE`."""
        members, used = self._problem.classes[number], self._used_of_class[number]
        if used < len(members) and self._problem.invoked[members[used]] <= deadline:
            return members[used]
        return _NONE

    # ---- explaining

    def _note(self, candidates: list[int]) -> None:
        """A dead end: remember the longest order."""
        placed = len(self._order) - self._used_bits.bit_count()
        if placed > self._best[0]:
            self._best = (placed, list(self._order), self._value, candidates)

    def complaint(self) -> list[str]:
        """How far the search came, in a few lines."""
        operations = self._problem.operations
        unwritten = self._unwritten()
        if unwritten:
            return ["nobody wrote what this saw", f"  {describe(operations[unwritten[0]])}"]
        placed, order, value, candidates = self._best
        now = shown(self._problem.contents[value]) if value != _OTHER else "one that nobody saw"
        there = {*order, *candidates}
        later = (i for i in range(self._completed) if i not in there)
        saw = [i for i in later if self._problem.requires[i] == value]
        return [
            f"{placed} of {self._completed} completed operations fit in one order, ending with",
            *(f"  {describe(operations[i])}" for i in order[-3:]),
            f"the value is then {now}; no order found in {self.states} configurations goes on with",
            *(f"  {describe(operations[i])}" for i in candidates),
            *(f"  {describe(operations[i])}, the last to see this value" for i in saw[-1:]),
        ]


# ---- making a failure short


def shrink(
    operations: Iterable[Recorded], *, states_maximum: int = SHRINKING_STATES_MAXIMUM
) -> list[Recorded]:
    """Forget of one key's history what is not needed for it to be not linearizable.

    An operation that changes nothing is left out; the outcome of another one becomes unknown. That
    allows every order that was allowed before, so what remains fails for a reason that the whole
    has too. It is short, if the bound allows, though not always the shortest.
    """
    ordered = sorted(filter(may_matter, operations), key=lambda recorded: recorded.invoked)
    certain = [i for i, recorded in enumerate(ordered) if recorded.outcome is Outcome.DONE]
    states_left = states_maximum

    def fails(kept: list[int]) -> bool:
        nonlocal states_left
        search = _Search(_knowing(ordered, kept), states_left)
        answer = search.run()
        states_left -= search.states + 1
        return answer is Answer.VIOLATED

    # Without these, unknown writes whose value nobody saw go too, and the rest is quick.
    plain = [i for i in certain if effect(ordered[i]).refuses is NOTHING]
    if fails(plain):
        certain = plain
    size = len(certain) // 2
    while size and states_left > 0:
        length = len(certain)
        for end in range(length, 0, -size):
            kept = certain[: max(0, end - size)] + certain[end:]
            if states_left > 0 and fails(kept):
                certain = kept
        if size > 1 or len(certain) == length:
            size //= 2
    return _knowing(ordered, certain)


def _knowing(operations: Sequence[Recorded], certain: Iterable[int]) -> list[Recorded]:
    """The history of which only these operations' outcomes are known, without what can't help."""
    history = {i: operations[i] for i in certain}
    effects = [effect(recorded) for recorded in history.values()]
    seen = {met.requires for met in effects}
    any_value_helps = any(met.refuses is not NOTHING for met in effects)
    size = -1
    while size < len(history):  # an unknown compare helps, and then needs help itself
        size = len(history)
        for i, recorded in enumerate(operations):
            becomes = effect(recorded).becomes
            if i not in history and becomes is not NOTHING and (any_value_helps or becomes in seen):
                history[i] = recorded._replace(result=None, returned=None, outcome=Outcome.UNKNOWN)
                seen.add(effect(history[i]).requires)
    return [history[i] for i in sorted(history)]
