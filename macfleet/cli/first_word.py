"""The first sign of life, while the libraries of a command are still being loaded: a quarter of a second, and more from a cold disk.

The one thing besides `output.py` that reaches the terminal, because `output.py` and rich are among what is waited for. It is on
stderr, only where somebody looks, and the cursor stays in front of it: whatever is said next takes its place.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

_SILENCING = frozenset(("--help", "-h", "--quiet", "-q"))
_STDERR = 2


def say(name: str, words: Sequence[str]) -> None:
    """The command `name` is about to be loaded; `words` are those behind it."""
    if _SILENCING.isdisjoint(words) and os.isatty(_STDERR):
        os.write(_STDERR, f"{name}: starting\r".encode())


def take_back() -> None:
    """Nothing of it is left on the terminal. Without a word before, this changes nothing."""
    if os.isatty(_STDERR):
        os.write(_STDERR, b"\x1b[K")
