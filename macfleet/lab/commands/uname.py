"""`uname` and `hostname`."""

from __future__ import annotations

from macfleet.lab.commands.scutil import host_name
from macfleet.lab.world import Call, Reply, World


def uname(world: World, call: Call) -> Reply:
    rows = {"s": "Darwin", "n": host_name(world), "r": "25.5.0", "m": "x86_64" if world.state.has_fault("intel") else "arm64"}
    asked = "".join(word.lstrip("-") for word in call.arguments) or "s"
    letters = "snrm" if "a" in asked else [letter for letter in "snrm" if letter in asked]
    return Reply(" ".join(rows[letter] for letter in letters) + "\n")


def hostname(world: World, call: Call) -> Reply:
    name = host_name(world)
    return Reply(f"{name.partition('.')[0] if '-s' in call.arguments else name}\n")
