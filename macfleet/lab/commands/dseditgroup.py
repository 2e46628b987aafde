"""`dseditgroup -o checkmember`: the Mac's account is an administrator, unless it is told otherwise."""

from __future__ import annotations

from macfleet.lab.world import Call, Reply, World, failed

_EVERYBODYS = {"staff", "everyone", "com.apple.access_ssh"}


def dseditgroup(world: World, call: Call) -> Reply:
    match call.arguments:
        case ("-o", "checkmember", "-m", user, group):
            groups = _EVERYBODYS | ({"admin"} if world.state.is_admin else set())
            if user == world.state.user and group in groups:
                return Reply(f"yes {user} is a member of {group}\n")
            return Reply(f"no {user} is NOT a member of {group}\n", exit_status=67)
    return failed("dseditgroup: a rehearsal Mac's groups can only be asked for their members", 64)
