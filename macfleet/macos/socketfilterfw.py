"""`socketfilterfw`: the application firewall, which would ask about a new Python in a window that nobody sees."""

from __future__ import annotations

import re
from collections.abc import Sequence

from macfleet.core.command import Command, command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result
from macfleet.macos.answers import ask, unparsable


def parse_firewall(text: str) -> int:
    """0 off, 1 on, 2 blocks all incoming connections: the number behind `State =`, whatever the words are."""
    match = re.search(r"\(State = ([0-2])\)", text)
    if match is None:
        raise unparsable("socketfilterfw --getglobalstate", "no `(State = N)`")
    return int(match[1])


def parse_rule(text: str) -> bool | None:
    """Whether connections to the program are let in: True, False, or None when the firewall has no rule for it.

    The last word decides: the path in front of it may hold any word.
    """
    said = text.strip().rstrip(".").rstrip()
    if said.endswith(("permitted", "allowed")):
        return True
    if said.endswith(("blocked", "blocked from accepting incoming connections")):
        return False
    if "not part of the firewall" in said:
        return None
    raise unparsable("socketfilterfw --getappblocked", f'"{said[-60:]}" is neither permitted nor blocked')


def rule(path: str) -> Fact[bool | None]:
    """The rule for the program at `path`. Rules are kept for the file itself, so links are followed first."""

    def understand(results: Sequence[Result]) -> bool | Unknown | None:
        return parse_rule(results[0].stdout) if results[0].ok else Unknown(results[0].failure())

    script = 'exec socketfilterfw --getappblocked "$(readlink -f "$1" || echo "$1")"'
    return Fact(f"firewall rule of {path}", (command("sh", "-c", script, "sh", path, timeout_s=10),), understand)


STATE = ask("firewall", command("socketfilterfw", "--getglobalstate", timeout_s=10), parse_firewall)


def switch(state: int) -> tuple[Command, ...]:
    """The commands that bring the firewall into this state: 0 off, 1 on, 2 on and letting nobody in."""
    on, block = ("on" if state else "off"), ("on" if state == 2 else "off")
    return (
        (_set("--setglobalstate", on), _set("--setblockall", block))
        if state == 2
        else (_set("--setblockall", block), _set("--setglobalstate", on))
    )


def add(path: str) -> Command:
    return _set("--add", path)


def let_in(path: str) -> Command:
    return _set("--unblockapp", path)


def keep_out(path: str) -> Command:
    return _set("--blockapp", path)


def remove(path: str) -> Command:
    return _set("--remove", path)


def _set(option: str, value: str) -> Command:
    return command("socketfilterfw", option, value, sudo=True, timeout_s=15)
