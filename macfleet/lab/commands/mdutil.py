"""`mdutil`: Spotlight's index of the system volume. The data volume's is administered through "/"."""

from __future__ import annotations

from macfleet.lab.world import Call, Reply, World, failed


def mdutil(world: World, call: Call) -> Reply:
    match call.arguments:
        case ("-s", "/"):
            return Reply(_state(world))
        case ("-s", volume):
            return Reply(f"{volume}:\n\tError: unknown indexing state.\n")
        case ("-i", "on" | "off", "/") | ("-a", "-i", "on" | "off") if not call.is_root:
            return failed("mdutil: must be run as root to change the indexing state")
        case ("-i", "on" | "off" as wanted, "/") | ("-a", "-i", "on" | "off" as wanted):
            world.state.wear.is_indexed = wanted == "on"
            return Reply(_state(world))
    return failed("Usage: mdutil -pEsa -i (on|off) -d volume ...", 64)


def _state(world: World) -> str:
    return f"/:\n\tIndexing {'enabled' if world.state.wear.is_indexed else 'disabled'}. \n"
