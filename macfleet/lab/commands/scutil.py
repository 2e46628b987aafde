"""`scutil`: the three names of the Mac. A new one has no HostName."""

from __future__ import annotations

from macfleet.lab.world import Call, Reply, World, failed

_KINDS = ("ComputerName", "LocalHostName", "HostName")


def scutil(world: World, call: Call) -> Reply:
    match call.arguments:
        case ("--get", kind) if kind in _KINDS:
            name = name_of(world, kind)
            return Reply(f"{name}\n") if name else failed(f"{kind}: not set")
        case ("--set", kind, name) if kind in _KINDS:
            return _set(world, kind, name, call.is_root)
    return failed("usage: scutil --get pref | --set pref [newval]", 64)


def name_of(world: World, kind: str) -> str | None:
    """As it was set; from the start the name of the rehearsal, and no HostName."""
    return world.state.names.get(kind) or (None if kind == "HostName" else world.state.name)


def host_name(world: World) -> str:
    """What the kernel calls the Mac: without a HostName its Bonjour name."""
    return name_of(world, "HostName") or f"{name_of(world, 'LocalHostName')}.local"


def _set(world: World, kind: str, name: str, is_root: bool) -> Reply:
    if not is_root:
        return failed("SCPreferencesCommitChanges() failed: Permission denied")
    if name in ("", world.state.name if kind != "HostName" else ""):
        world.state.names.pop(kind, None)
    else:
        world.state.names[kind] = name
    return Reply()
