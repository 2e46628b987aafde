"""`softwareupdate`: the schedule of its own checks; there is never anything to install on a rehearsal Mac."""

from __future__ import annotations

from macfleet.lab.world import Call, Reply, World, failed


def softwareupdate(world: World, call: Call) -> Reply:
    match call.arguments:
        case ("--schedule",):
            return Reply(f"Automatic checking for updates is turned {'on' if world.state.checks_for_updates else 'off'}\n")
        case ("--schedule", "on" | "off" as way):
            if not call.is_root:
                return failed("softwareupdate: must be run as root")
            world.state.checks_for_updates = way == "on"
            return Reply(f"Automatic checking for updates is turned {way}\n")
        case ("-l" | "--list",) if world.state.has_fault("update-fails"):
            # As macOS says it, typographic apostrophe and all.
            return failed("Software Update Tool\n\nFinding available software\nCan\u2019t connect to the Apple Software Update server")
        case ("-l" | "--list",):
            return Reply("Software Update Tool\n\nFinding available software\n", "No new software available.\n")
    return failed("usage: softwareupdate <cmd> [<args> ...]")
