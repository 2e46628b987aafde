"""`shutdown`, `reboot`, `halt`."""

from __future__ import annotations

from macfleet.lab.world import Call, Reply, World, failed


def shutdown(world: World, call: Call) -> Reply:
    if not call.is_root:
        return failed("shutdown: NOT super-user")
    match call.arguments:
        case ("-r", "now", *_):
            world.restart()
        case ("-h", "now", *_):
            world.halt()
        case _:
            return failed("usage: shutdown [-] [-h [-u] [-n] | -r [-n] | -s | -k] time [warning-message ...]")
    return Reply("Shutdown NOW!\n\nSystem shutdown time has arrived\n")


def reboot(world: World, call: Call) -> Reply:
    if not call.is_root:
        return failed("reboot: Operation not permitted")
    world.restart()
    return Reply()


def halt(world: World, call: Call) -> Reply:
    if not call.is_root:
        return failed("halt: Operation not permitted")
    world.halt()
    return Reply()
