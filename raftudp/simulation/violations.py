"""What a run can end with, other than well."""

from __future__ import annotations


class Violation(Exception):
    """Something that must never happen did. `check` names the kind of check that saw it."""

    def __init__(self, check: str, message: str) -> None:
        super().__init__(f"{check}: {message}")
        self.check = check


class Stuck(Exception):
    """After all faults had ended, something that must happen did not."""
