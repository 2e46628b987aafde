"""`id` and `whoami`: the Mac's own user, or root behind sudo."""

from __future__ import annotations

from macfleet.lab.world import Call, Reply, World


def id(world: World, call: Call) -> Reply:
    user, number, group, group_number = ("root", 0, "wheel", 0) if call.is_root else (world.state.user, 501, "staff", 20)
    match "".join(sorted("".join(word.lstrip("-") for word in call.arguments))):
        case "u":
            return Reply(f"{number}\n")
        case "nu":
            return Reply(f"{user}\n")
        case "g":
            return Reply(f"{group_number}\n")
        case "gn":
            return Reply(f"{group}\n")
    return Reply(f"uid={number}({user}) gid={group_number}({group}) groups={group_number}({group}),80(admin),399(com.apple.access_ssh)\n")


def whoami(world: World, call: Call) -> Reply:
    return Reply(f"{'root' if call.is_root else world.state.user}\n")
