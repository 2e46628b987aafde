"""`diskutil apfs listcryptousers`: who may unlock the system volume, and who owns it."""

from __future__ import annotations

from macfleet.lab.commands.dscl import generated_uid
from macfleet.lab.world import Call, Reply, World, failed


def diskutil(world: World, call: Call) -> Reply:
    match tuple(word.lower() for word in call.arguments):
        case ("apfs", "listcryptousers" | "listusers", "/"):
            return Reply(_crypto_users(world))
    return failed("diskutil: a rehearsal Mac knows only `apfs listcryptousers /`", 1)


def _crypto_users(world: World) -> str:
    """A Mac whose account never got its token has nobody, as one that was only ever reached by SSH."""
    if not world.state.is_volume_owner:
        return "No cryptographic users for disk3s1s1\n"
    return (
        "Cryptographic user for disk3s1s1 (1 found)\n|\n"
        f"+-- {generated_uid(world.state)}\n"
        "    Type: Local Open Directory User\n"
        "    Volume Owner: Yes\n"
    )
