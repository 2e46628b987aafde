"""`uname -s`: whether this is a Mac at all."""

from __future__ import annotations

from macfleet.core.command import command
from macfleet.macos.answers import ask, unparsable


def parse_uname(text: str) -> str:
    """ "Darwin" on a Mac."""
    words = text.split()
    if len(words) != 1:
        raise unparsable("uname -s", f"{len(words)} words instead of one")
    return words[0]


KERNEL = ask("kernel", command("uname", "-s", timeout_s=10), parse_uname)
