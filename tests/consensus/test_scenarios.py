"""The stories of `tests/scenarios`, run and compared with what they tell; `story` has the language.

After a change that is meant, `REWRITE_SCENARIOS=1 pytest tests/consensus/test_scenarios.py` writes
what is seen now into the files; read the difference as carefully as code.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.consensus.story import Story

SCENARIOS = sorted((Path(__file__).resolve().parent.parent / "scenarios").glob("*.txt"))
SEPARATOR = "----"


def run(text: str) -> str:
    """The story with what is seen now in place of what it told."""
    story = Story()
    blocks = []
    for block in text.strip().split("\n\n"):
        lines = block.split("\n")
        said = lines[: lines.index(SEPARATOR)] if SEPARATOR in lines else lines
        seen = []
        for line in said:
            if line and not line.startswith("#"):
                seen.extend(story.command(line))
        blocks.append("\n".join([*said, SEPARATOR, *seen] if seen else said))
    return "\n\n".join(blocks) + "\n"


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_story_is_told_as_it_happens(path: Path) -> None:
    """Line by line, and with every check of safety on the way."""
    told = path.read_text()
    seen = run(told)
    if os.environ.get("REWRITE_SCENARIOS"):
        path.write_text(seen)
        return
    assert seen == told


def test_the_stories_are_there() -> None:
    """A runner that finds nothing to run proves nothing."""
    assert len(SCENARIOS) >= 10


def test_a_story_that_lies_is_found() -> None:
    """The comparison itself can fail."""
    told = "servers a\nfound\n----\nb Bind (term 1, index 1)\n"
    assert run(told) == "servers a\nfound\n----\na Bind (term 1, index 1)\n"
