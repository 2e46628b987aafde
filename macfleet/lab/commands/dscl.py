"""`dscl`: the Mac's accounts, of which a rehearsal has one, and the check of its password."""

from __future__ import annotations

import uuid

from macfleet.lab.state import State
from macfleet.lab.world import Call, Reply, World, failed

# Accounts that every macOS has; their UUIDs are the same everywhere.
_SYSTEM = {
    "_uucp": "FFFFEEEE-DDDD-CCCC-BBBB-AAAA00000004",
    "root": "FFFFEEEE-DDDD-CCCC-BBBB-AAAA00000000",
}


def dscl(world: World, call: Call) -> Reply:
    match call.arguments:
        case (".", "-list", "/Users", "GeneratedUID"):
            users = {**_SYSTEM, world.state.user: generated_uid(world.state)}
            return Reply("".join(f"{name:<24}{users[name]}\n" for name in sorted(users)))
        case (".", "-authonly", user):  # without a password among its words it asks for one
            return _authenticate(world, user, call.stdin.decode(errors="replace").partition("\n")[0])
    return failed("dscl: a rehearsal Mac's directory knows no such question", 64)


def generated_uid(state: State) -> str:
    """The UUID of the Mac's account; the same name, the same UUID."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{state.user}.{state.name}")).upper()


def _authenticate(world: World, user: str, password: str) -> Reply:
    if (user, password) == (world.state.user, world.state.password):
        return Reply()
    return failed("Authentication for node . failed. (-14090, eDSAuthFailed)\n<dscl_cmd> DS Error: -14090 (eDSAuthFailed)", 78)
