"""The core and the store are pure, and their parts keep to their places: read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
CORE = sorted((ROOT / "raftudp" / "consensus").glob("*.py"))
STORE = sorted((ROOT / "raftudp" / "store").glob("*.py"))
PURE = [*CORE, *STORE]

ALLOWED_MODULES = {
    "__future__",
    "bisect",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "hashlib",
    "itertools",
    "operator",
    "sortedcontainers",
    "typing",
}
"""Of these nothing has an effect outside; whoever needs another one adds it here, and says why."""
FORBIDDEN_CALLS = {
    "print",
    "open",
    "input",
    "exec",
    "eval",
    "__import__",
    "id",
    "hash",
    "breakpoint",
}
"""`id` and `hash` differ from run to run."""
CONCERNS = {
    "election",
    "replication",
    "snapshotting",
    "membership_change",
    "reading",
    "leadership_transfer",
    "founding",
}
GUARDED = {"role", "current_term", "voted_for", "cluster"}
SET_ATTRIBUTES = {"votes_granted", "votes_answered", "heard_of"}
"""The attributes of `State` that are sets; a test below finds those that are missing here."""
ORDERED_CONSUMERS = {"tuple", "list", "enumerate", "zip", "iter", "map", "filter", "dict", "next"}


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text()))


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Module and name, for each import."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from ((node.module or "", alias.name) for alias in node.names)


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_nothing_impure_is_imported(path: Path) -> None:
    """No clock, socket, file, thread, logger or randomness; of `random` the type alone."""
    for module, name in imported(path):
        if module == "random":
            assert name == "Random"
        elif module.split(".")[0] == "raftudp":
            own = f"raftudp.{path.parent.name}"
            assert module == own or module.startswith((f"{own}.", "raftudp.limits", "raftudp.err"))
        else:
            assert module.split(".")[0] in ALLOWED_MODULES, module


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_nothing_impure_is_called(path: Path) -> None:
    """No output, no input, no addresses of objects; no coroutines, no global state."""
    for node in nodes(path):
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.Global)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in FORBIDDEN_CALLS, f"line {node.lineno}"
            assert node.func.id != "Random", "a generator is an argument"


def is_set(node: ast.expr) -> bool:
    """Whether an expression is visibly a set."""
    match node:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
        case ast.Attribute(attr=attribute):
            return attribute in SET_ATTRIBUTES
        case ast.BinOp(left=left, right=right, op=ast.BitOr() | ast.BitAnd() | ast.Sub()):
            return is_set(left) or is_set(right)
        case _:
            return False


def unordered_iterations(tree: ast.AST) -> Iterator[int]:
    """Lines where the order of a set could show."""
    for node in ast.walk(tree):
        match node:
            case ast.For(iter=iterated) | ast.comprehension(iter=iterated) if is_set(iterated):
                yield iterated.lineno
            case ast.Call(func=ast.Name(id=consumer), args=arguments) if (
                consumer in ORDERED_CONSUMERS
            ):
                yield from (argument.lineno for argument in arguments if is_set(argument))
            case ast.Starred(value=value) if is_set(value):
                yield value.lineno
            case ast.Call(func=ast.Attribute(value=value, attr="pop")) if is_set(value):
                yield value.lineno


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_no_set_is_iterated_unsorted(path: Path) -> None:
    """One seed gives one trace under every PYTHONHASHSEED; assertions may look in any order."""
    tree = ast.parse(path.read_text())
    if path.name == "invariants.py":
        return
    assert list(unordered_iterations(tree)) == []


def test_the_sets_of_the_state_are_known_to_this_test() -> None:
    """Else the test above would look past a new one."""
    tree = ast.parse((ROOT / "raftudp" / "consensus" / "state.py").read_text())
    annotated = {
        node.target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        if ast.unparse(node.annotation).startswith(("set[", "frozenset["))
    }
    assert annotated == SET_ATTRIBUTES


@pytest.mark.parametrize(
    "source",
    [
        "for voter in state.votes_granted: pass",
        "x = [v for v in {1, 2}]",
        "x = tuple(set(y))",
        "x = [*state.heard_of]",
        "x = state.heard_of.pop()",
        "for v in state.votes_granted | other: pass",
    ],
)
def test_an_unsorted_iteration_is_found(source: str) -> None:
    """The check itself can fail."""
    assert list(unordered_iterations(ast.parse(source)))


@pytest.mark.parametrize("path", CORE, ids=name_of)
def test_role_term_vote_and_cluster_are_assigned_in_transitions_alone(path: Path) -> None:
    """One home for every transition."""
    if path.name == "transitions.py":
        return
    for node in nodes(path):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            assert node.attr not in GUARDED, f"{path.name}:{node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "setattr"


@pytest.mark.parametrize("path", CORE, ids=name_of)
def test_concerns_do_not_import_one_another(path: Path) -> None:
    """They return facts; the control flow between them is in `server` alone."""
    used = {name for _, name in imported(path)} | {m.split(".")[-1] for m, _ in imported(path)}
    if path.stem != "server":
        assert not used & (CONCERNS - {path.stem})
    if path.stem in CONCERNS:
        assert not used & {"server", "transitions", "invariants"}
