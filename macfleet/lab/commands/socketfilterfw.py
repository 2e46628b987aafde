"""`socketfilterfw`: the application firewall, which is off on a new Mac. Rules are kept for the file, not for a link to it."""

from __future__ import annotations

import os

from macfleet.lab.world import Call, Reply, World, failed

_STATES = (
    "Firewall is disabled. (State = 0)",
    "Firewall is enabled. (State = 1)",
    "Firewall is blocking all non-essential incoming connections. (State = 2)",
)


def socketfilterfw(world: World, call: Call) -> Reply:
    wear = world.state.wear
    match call.arguments:
        case ("--getglobalstate",):
            return Reply(f"{_STATES[wear.firewall]}\n")
        case ("--getblockall",):
            return Reply(f"Firewall has block all state set to {'enabled' if wear.firewall == 2 else 'disabled'}.\n")
        case ("--getappblocked", path):
            return _rule(world, _file(world, call, path))
    if not call.is_root:
        return failed("Must be root to change settings.")
    return _change(world, call)


def _change(world: World, call: Call) -> Reply:
    wear = world.state.wear
    match call.arguments:
        case ("--setglobalstate", "on" | "off" as wanted):
            wear.firewall = 1 if wanted == "on" else 0
            return Reply(f"{_STATES[wear.firewall]}\n")
        case ("--setblockall", "on" | "off" as wanted):
            wear.firewall = 2 if wanted == "on" else min(wear.firewall, 1)
            return Reply(f"Firewall has block all state set to {'enabled' if wear.firewall == 2 else 'disabled'}.\n")
        case ("--add", path):
            wear.firewall_rules.setdefault(_file(world, call, path), True)
            return Reply(f"Application at path ( {path} ) added to firewall\n")
        case ("--remove", path):
            wear.firewall_rules.pop(_file(world, call, path), None)
            return Reply(f"Application at path ( {path} ) removed from firewall\n")
        case ("--unblockapp" | "--blockapp" as verb, path):
            file = _file(world, call, path)
            if file in wear.firewall_rules:
                wear.firewall_rules[file] = verb == "--unblockapp"
            return _rule(world, file)
    return failed("usage: socketfilterfw [-h] [--getglobalstate] [--getblockall] [--getappblocked <path>] [--add <path>]")


def _rule(world: World, file: str) -> Reply:
    is_let_in = world.state.wear.firewall_rules.get(file)
    if is_let_in is None:
        return Reply("The application is not part of the firewall \n")
    return Reply(f"Incoming connection to {file} is {'permitted' if is_let_in else 'blocked'} \n")


def _file(world: World, call: Call, path: str) -> str:
    return os.path.realpath(world.path(path, call.cwd))
