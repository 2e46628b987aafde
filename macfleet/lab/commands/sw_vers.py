"""`sw_vers`: version and build."""

from __future__ import annotations

from macfleet.lab.world import Call, Reply, World, failed


def sw_vers(world: World, call: Call) -> Reply:
    rows = {"productName": "macOS", "productVersion": world.state.macos_version, "buildVersion": world.state.macos_build}
    if not call.arguments:
        # Two tabs, as recorded in tests/fixtures/ops/sw_vers.26.5.txt.
        return Reply("".join(f"{key[0].upper()}{key[1:]}:\t\t{value}\n" for key, value in rows.items()))
    key = call.arguments[0].lstrip("-")
    lowered = {name.lower(): value for name, value in rows.items()}
    return Reply(lowered[key.lower()] + "\n") if key.lower() in lowered else failed(f"sw_vers: unrecognized option `{call.arguments[0]}'")
