"""What clients asked and what they were told: recorded as it happens, kept as JSON lines, and what
each operation means.

Each line is one operation with exactly these fields, so that other checkers can read it:

- `process`: the number of the client that asked.
- `operation`: `read`, `write`, `delete` or `compare`.
- `key`, and all other keys and values: text, or `{"base64": ...}` where the bytes are not UTF-8.
- `argument`: a write's value; a compare's `{"expected": ..., "new": ...}`, where an `expected` of
  null stands for "absent"; otherwise null.
- `result`: what a read found (null: absent); true for a write; whether a delete found the key;
  whether a compare found what it expected, and set the new value. `{"outcome": "not done"}` where
  the client was told that the operation was not executed and never will be.
- `invoked`, `returned`: when, in integers of one clock. `returned` is null, and so is `result`,
  where the outcome is unknown: the operation may have taken effect at any time since, or never.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, StrEnum
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias, assert_never

from raftudp.errors import DecodeError

_VALUE_CHARACTERS_SHOWN: Final = 40


class OperationKind(StrEnum):
    """What was asked."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    COMPARE = "compare"


class Outcome(StrEnum):
    """What the client knows of its operation."""

    DONE = "done"
    """It took effect once, between its invocation and its return."""
    NOT_DONE = "not done"
    """It never takes effect."""
    UNKNOWN = "unknown"
    """It takes effect once, at any time after its invocation, or never."""


class Comparison(NamedTuple):
    """The argument of a compare; an `expected` of None stands for "absent"."""

    expected: bytes | None
    new: bytes


Argument: TypeAlias = bytes | Comparison | None
Result: TypeAlias = bytes | bool | None


class Recorded(NamedTuple):
    """One operation of a history."""

    process: int
    operation: OperationKind
    key: bytes
    argument: Argument
    """A write's value, a compare's Comparison, otherwise None."""
    result: Result
    """A read's value (None: absent); True for a write; whether a delete found the key; whether a
    compare found what it expected. None unless the outcome is DONE.
    """
    invoked: int
    returned: int | None
    """None, and only then, where the outcome is UNKNOWN."""
    outcome: Outcome
    revision: int | None = None
    """What came with the answer, where anything did: for a read, the place in the log of the write
    that it saw (0: absent), otherwise the operation's own. It is not exported.
    """


class History:
    """Records operations as they are invoked and end.

    The stamps of one recorder increase strictly even while its clock stands still, so that what
    ended before something else began is known to have done so: `invoke` before the request
    leaves, `complete` after the answer came. It belongs to one thread; the operations of several
    recorders can be joined if their clock is the same, and too fine to show one time twice.
    """

    def __init__(self) -> None:
        self._recorded: list[Recorded] = []
        self._stamp = -1

    def invoke(
        self, process: int, operation: OperationKind, key: bytes, argument: Argument, now: int
    ) -> int:
        """An operation begins; returns the number by which it is completed.

        Its outcome is unknown until then, and remains so if that never happens.
        """
        invoked = self._tick(now)
        self._recorded.append(
            Recorded(process, operation, key, argument, None, invoked, None, Outcome.UNKNOWN)
        )
        return len(self._recorded) - 1

    def complete(self, number: int, result: Result, now: int, revision: int | None = None) -> None:
        """The operation was done, with this result (see `Recorded.result`)."""
        self._end(number, result, now, Outcome.DONE, revision)

    def refuse(self, number: int, now: int) -> None:
        """The operation was not done and never will be."""
        self._end(number, None, now, Outcome.NOT_DONE, None)

    def operations(self) -> list[Recorded]:
        """All operations so far, in the order of their invocations."""
        return list(self._recorded)

    def _end(
        self, number: int, result: Result, now: int, outcome: Outcome, revision: int | None
    ) -> None:
        process, operation, key, argument, _, invoked, returned, _, _ = self._recorded[number]
        assert returned is None, "an operation ends once"
        self._recorded[number] = Recorded(
            process, operation, key, argument, result, invoked, self._tick(now), outcome, revision
        )

    def _tick(self, now: int) -> int:
        self._stamp = max(now, self._stamp + 1)
        return self._stamp


# ---- what operations mean


class _Nothing(Enum):
    NOTHING = "nothing"


NOTHING: Final = _Nothing.NOTHING
"""No content at all, not even "absent"."""
Content: TypeAlias = bytes | Literal[_Nothing.NOTHING] | None
"""A key's value, or None where it is absent."""


class Effect(NamedTuple):
    """What an operation met, and what it did, if it took effect."""

    requires: Content
    """The only content that it can have met."""
    refuses: Content
    """The only content that it can't have met."""
    becomes: Content
    """What it changed the content to."""


def effect(recorded: Recorded) -> Effect:
    """What the operation met and did, if it took effect; for an unknown one, if it changed
    anything.
    """
    is_unknown = recorded.outcome is Outcome.UNKNOWN
    argument, result = recorded.argument, recorded.result
    match recorded.operation:
        case OperationKind.READ:
            assert not isinstance(result, bool)
            return Effect(NOTHING if is_unknown else result, NOTHING, NOTHING)
        case OperationKind.WRITE:
            assert isinstance(argument, bytes)
            return Effect(NOTHING, NOTHING, argument)
        case OperationKind.DELETE:
            if is_unknown:
                return Effect(NOTHING, NOTHING, None)
            return Effect(NOTHING, None, None) if result else Effect(None, NOTHING, NOTHING)
        case OperationKind.COMPARE:
            assert isinstance(argument, Comparison)
            expected, new = argument
            if is_unknown or result:
                return Effect(expected, NOTHING, NOTHING if new == expected else new)
            return Effect(NOTHING, expected, NOTHING)
        case _:
            assert_never(recorded.operation)


def may_matter(recorded: Recorded) -> bool:
    """False for what never took effect, and for what told nothing and changed nothing."""
    if recorded.outcome is Outcome.UNKNOWN:
        return effect(recorded).becomes is not NOTHING
    return recorded.outcome is Outcome.DONE


def describe(recorded: Recorded) -> str:
    """One operation on one line, for people."""
    argument, result = recorded.argument, recorded.result
    if isinstance(argument, Comparison):
        asked = f" {shown(argument.expected)} to {shown(argument.new)}"
    else:
        asked = "" if argument is None else f" {shown(argument)}"
    if recorded.outcome is not Outcome.DONE:
        told = str(recorded.outcome)
    else:
        told = str(result).lower() if isinstance(result, bool) else shown(result)
    span = f"from {recorded.invoked}"
    if recorded.returned is not None:
        span += f" to {recorded.returned}"
    if recorded.revision:
        span += f", revision {recorded.revision}"
    return f"process {recorded.process}: {recorded.operation}{asked} → {told} ({span})"


def shown(content: Content) -> str:
    """A value or key in at most a few words."""
    if not isinstance(content, bytes):
        return "absent"
    text = ascii(content.decode(errors="backslashreplace"))
    if len(text) > _VALUE_CHARACTERS_SHOWN:
        return f"{text[:_VALUE_CHARACTERS_SHOWN]}... ({len(content)} bytes)"
    return text


# ---- what revisions say


def revisions_violated(operations: Iterable[Recorded]) -> str | None:
    """What the revisions of one key's operations contradict, or None.

    No two commands have one revision; a read's revision is that of a write of what it saw; and
    what began after something else had ended has a revision no lower. Operations without a
    revision are left out.
    """
    known = [r for r in operations if r.outcome is Outcome.DONE and r.revision]
    return _revision_shared(known) or _revision_going_back(known)


def _revision_shared(known: Iterable[Recorded]) -> str | None:
    first: dict[int | None, Recorded] = {}
    for recorded in sorted(known, key=_is_read):
        other = first.setdefault(recorded.revision, recorded)
        if other is not recorded and not _is_read(recorded):
            return _pair("two operations have one revision", other, recorded)
        if _content(other) != _content(recorded):
            return _pair("one revision has two values", other, recorded)
    return None


def _revision_going_back(known: Sequence[Recorded]) -> str | None:
    ended = sorted(known, key=_returned, reverse=True)
    last: Recorded | None = None
    last_change: Recorded | None = None
    for recorded in sorted(known, key=lambda recorded: recorded.invoked):
        while ended and _returned(ended[-1]) < recorded.invoked:
            earlier = ended.pop()
            last = _later(last, earlier)
            if _content(earlier) is not NOTHING:
                last_change = _later(last_change, earlier)
        bound = last_change if _is_read(recorded) else last
        if bound is not None and _revision(recorded) < _revision(bound) + (not _is_read(recorded)):
            return _pair("the revision goes back", bound, recorded)
    return None


def _is_read(recorded: Recorded) -> bool:
    return recorded.operation is OperationKind.READ


def _revision(recorded: Recorded) -> int:
    return recorded.revision or 0


def _returned(recorded: Recorded) -> int:
    return recorded.returned or 0


def _later(one: Recorded | None, other: Recorded) -> Recorded:
    return other if one is None or _revision(other) > _revision(one) else one


def _content(recorded: Recorded) -> Content:
    """What the key holds at the operation's revision; NOTHING if that is not of its making."""
    met = effect(recorded)
    if recorded.operation is OperationKind.READ:
        return met.requires
    if recorded.operation is OperationKind.COMPARE and recorded.result:
        return met.requires if met.becomes is NOTHING else met.becomes
    return met.becomes


def _pair(complaint: str, one: Recorded, other: Recorded) -> str:
    return f"{complaint}\n  {describe(one)}\n  {describe(other)}"


# ---- JSON lines


def to_lines(operations: Iterable[Recorded]) -> Iterator[str]:
    """The operations as JSON, each without an end of line."""
    for recorded in operations:
        yield json.dumps(
            {
                "process": recorded.process,
                "operation": recorded.operation.value,
                "key": _from_bytes(recorded.key),
                "argument": _from_argument(recorded.argument),
                "result": _from_result(recorded),
                "invoked": recorded.invoked,
                "returned": recorded.returned,
            }
        )


def from_lines(lines: Iterable[str | bytes]) -> Iterator[Recorded]:
    """The operations that `to_lines` wrote; DecodeError names the first line that is none."""
    for number, line in enumerate(lines, 1):
        try:
            yield _to_recorded(json.loads(line))
        except DecodeError as error:
            raise DecodeError(f"line {number}: {error}") from error
        except (ValueError, RecursionError) as error:
            raise DecodeError(f"line {number} is not JSON: {error}") from error


def save(path: Path, operations: Iterable[Recorded]) -> None:
    """Write the operations to a file of JSON lines."""
    with path.open("w", encoding="ascii") as file:
        file.writelines(f"{line}\n" for line in to_lines(operations))


def load(path: Path) -> list[Recorded]:
    """Read a file of JSON lines; DecodeError names the first bad line."""
    with path.open("rb") as file:
        return list(from_lines(file))


def _from_bytes(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _from_argument(argument: Argument) -> object:
    match argument:
        case None:
            return None
        case bytes():
            return _from_bytes(argument)
        case Comparison(expected, new):
            return {
                "expected": None if expected is None else _from_bytes(expected),
                "new": _from_bytes(new),
            }
        case _:
            assert_never(argument)


def _from_result(recorded: Recorded) -> object:
    if recorded.outcome is Outcome.NOT_DONE:
        return {"outcome": Outcome.NOT_DONE.value}
    result = recorded.result
    return _from_bytes(result) if isinstance(result, bytes) else result


_FIELDS = ("process", "operation", "key", "argument", "result", "invoked", "returned")


def _to_recorded(line: object) -> Recorded:
    if not isinstance(line, dict) or set(line) != set(_FIELDS):
        raise DecodeError(f"not an object of exactly the fields {' '.join(_FIELDS)}")
    name = line["operation"]
    if name not in list(OperationKind):
        raise DecodeError(f"operation is none of {', '.join(OperationKind)}")
    operation = OperationKind(name)
    invoked = _to_integer(line["invoked"], "invoked")
    returned = None
    if line["returned"] is not None:
        returned = _to_integer(line["returned"], "returned")
        if returned < invoked:
            raise DecodeError("returned is before invoked")
    if returned is None:
        outcome = Outcome.UNKNOWN
    elif line["result"] == {"outcome": Outcome.NOT_DONE.value}:
        outcome = Outcome.NOT_DONE
    else:
        outcome = Outcome.DONE
    return Recorded(
        process=_to_integer(line["process"], "process"),
        operation=operation,
        key=_to_bytes(line["key"], "key"),
        argument=_to_argument(line["argument"], operation),
        result=_to_result(line["result"], operation, outcome),
        invoked=invoked,
        returned=returned,
        outcome=outcome,
    )


def _to_integer(value: object, field: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise DecodeError(f"{field} is not an integer")
    return value


def _to_bytes(value: object, field: str) -> bytes:
    try:
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, dict) and list(value) == ["base64"]:
            return base64.b64decode(value["base64"], validate=True)
    except (TypeError, ValueError) as error:
        raise DecodeError(f"{field}: {error}") from error
    raise DecodeError(f'{field} is neither text nor {{"base64": ...}}')


def _to_argument(value: object, operation: OperationKind) -> Argument:
    match operation:
        case OperationKind.READ | OperationKind.DELETE:
            if value is not None:
                raise DecodeError(f"the argument of a {operation} is not null")
            return None
        case OperationKind.WRITE:
            return _to_bytes(value, "argument")
        case OperationKind.COMPARE:
            if not isinstance(value, dict) or set(value) != {"expected", "new"}:
                raise DecodeError("the argument of a compare is not an object of expected and new")
            expected = value["expected"]
            return Comparison(
                None if expected is None else _to_bytes(expected, "expected"),
                _to_bytes(value["new"], "new"),
            )
        case _:
            assert_never(operation)


def _to_result(value: object, operation: OperationKind, outcome: Outcome) -> Result:
    if outcome is Outcome.UNKNOWN:
        if value is not None:
            raise DecodeError("there is a result, but returned is null")
        return None
    if outcome is Outcome.NOT_DONE:
        return None
    if operation is OperationKind.READ:
        return None if value is None else _to_bytes(value, "result")
    if not isinstance(value, bool) or (operation is OperationKind.WRITE and not value):
        wanted = "true" if operation is OperationKind.WRITE else "true or false"
        raise DecodeError(f"the result of a {operation} is not {wanted}")
    return value
