"""The difference between two texts, for a person who looks before saying yes."""

from __future__ import annotations

from difflib import unified_diff


def text_diff(path: str, before: str | None, after: str) -> str:
    """A unified diff; against nothing where there is no file yet."""
    old = [] if before is None else before.splitlines()
    lines = unified_diff(old, after.splitlines(), "/dev/null" if before is None else path, path, lineterm="")
    return "\n".join(lines)
