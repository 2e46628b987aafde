"""`notifyutil -g KEY`: the thermal pressure. A key that nobody posts reads as 0."""

from __future__ import annotations

from macfleet.lab.world import Call, Reply, World, failed


def notifyutil(world: World, call: Call) -> Reply:
    match call.arguments:
        case ("-g", "com.apple.system.thermalpressurelevel" as key):
            return Reply(f"{key} {world.state.wear.thermal_level}\n")
        case ("-g", key):
            return Reply(f"{key} 0\n")
    return failed("usage: notifyutil [-q] [-v] [-z msec] [-M] [-R] [command ...]")
