"""`socketfilterfw`: the application firewall, which would ask about a new Python in a window that nobody sees."""

from __future__ import annotations

import re

from macfleet.core.command import command
from macfleet.macos.answers import ask, unparsable


def parse_firewall(text: str) -> int:
    """0 off, 1 on, 2 blocks all incoming connections: the number behind `State =`, whatever the words are."""
    match = re.search(r"\(State = ([0-2])\)", text)
    if match is None:
        raise unparsable("socketfilterfw --getglobalstate", "no `(State = N)`")
    return int(match[1])


STATE = ask("firewall", command("socketfilterfw", "--getglobalstate", timeout_s=10), parse_firewall)
