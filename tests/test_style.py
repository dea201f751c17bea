"""The rules of the house that no linter knows, kept by a test and not by memory."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted([*ROOT.glob("raftudp/**/*.py"), *ROOT.glob("shell/**/*.py")])
TESTS = sorted(ROOT.glob("tests/**/*.py"))

FUNCTION_LINES_MAXIMUM = 70
FILE_LINES_MAXIMUM = 450
TOP_LEVEL = {
    "raftudp",
    "shell",
    "deploy",
    "tests",
    "Dockerfile",
    "tox.ini",
    "README.md",
    "pyproject.toml",
}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=relative)
def test_functions_are_short(path: Path) -> None:
    """No function is longer than a screen or so."""
    long = [
        f"{function.name}: {function.end_lineno - function.lineno + 1} lines"
        for function in functions(path)
        if function.end_lineno and function.end_lineno - function.lineno >= FUNCTION_LINES_MAXIMUM
    ]
    assert not long


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_files_are_short(path: Path) -> None:
    """A file has one responsibility, and a length to match."""
    assert len(path.read_text().splitlines()) <= FILE_LINES_MAXIMUM


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_modules_say_what_they_are_responsible_for(path: Path) -> None:
    """Every module opens with a docstring."""
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", [p for p in TESTS if p.name.startswith("test_")], ids=relative)
def test_tests_say_what_must_hold(path: Path) -> None:
    """Every test has a docstring."""
    silent = [
        f.name for f in functions(path) if f.name.startswith("test_") and not ast.get_docstring(f)
    ]
    assert not silent


@pytest.mark.parametrize(
    "path",
    [p for p in TESTS if not {"integration", "live", "benchmarks"} & set(p.parts)],
    ids=relative,
)
def test_unit_tests_neither_sleep_nor_read_the_clock(path: Path) -> None:
    """Time is an argument outside tests/integration, tests/live and tests/benchmarks."""
    imports = {
        alias.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert "time" not in imports


@pytest.mark.parametrize(
    "path", [*SOURCES, *(p for p in TESTS if p != Path(__file__))], ids=relative
)
def test_exceptions_from_the_rules_have_reasons(path: Path) -> None:
    """A lint or type exception names its rule and says why; nothing is left to be done later."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        where = f"{relative(path)}:{number}: {line.strip()}"
        assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line), where
        if "# noqa" in line:
            assert re.search(r"# noqa: [A-Z]+\d+(, ?[A-Z]+\d+)* +(- |# |\()\w", line), where
        if "# type: ignore" in line:
            assert re.search(r"# type: ignore\[[a-z-]+(, ?[a-z-]+)*\]  # \w", line), where


def test_the_top_level_holds_what_was_asked_for() -> None:
    """Nothing else lies at the top of the repository."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    top = {name.split("/")[0] for name in listed.stdout.splitlines()}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL
