"""`socketfilterfw`: the application firewall, which is off on a new Mac."""

from __future__ import annotations

from macfleet.lab.world import Call, Reply, World, failed


def socketfilterfw(world: World, call: Call) -> Reply:
    match call.arguments:
        case ("--getglobalstate",):
            return Reply("Firewall is disabled. (State = 0)\n")
        case ("--getblockall",):
            return Reply("Firewall has block all state set to disabled.\n")
    return failed("usage: socketfilterfw [-h] [--getglobalstate] [--getblockall]")
