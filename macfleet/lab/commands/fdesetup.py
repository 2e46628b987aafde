"""`fdesetup`: FileVault, and the one restart that gets past it."""

from __future__ import annotations

from macfleet.lab.world import Call, Reply, World, failed


def fdesetup(world: World, call: Call) -> Reply:
    match call.arguments:
        case ("status",):
            return Reply(f"FileVault is {'On' if world.state.filevault else 'Off'}.\n")
        case ("isactive",):
            return Reply("true\n") if world.state.filevault else Reply("false\n", exit_status=1)
        case ("supportsauthrestart",):
            return Reply("true\n")
    return failed("Usage: fdesetup <verb>")
