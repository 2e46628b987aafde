"""`uname -s`: whether this is a Mac at all."""

from __future__ import annotations

import re

from macfleet.core.command import command
from macfleet.macos.answers import ask, unparsable


def parse_uname(text: str) -> str:
    """ "Darwin" on a Mac."""
    match = re.fullmatch(r"\s*([A-Za-z][\w.-]{0,40})\s*", text, re.ASCII)
    if match is None:
        raise unparsable("uname -s", f'"{text.strip()[:80]}" is no kernel\'s name')
    return match[1]


MACS_KERNEL = "Darwin"
KERNEL = ask("kernel", command("uname", "-s", timeout_s=10), parse_uname)
