"""Machines that are not what their inventory says: what they answer instead of the Mac that was meant.

A fault puts one in a Mac's place; its disk and its SSH server stay the Mac's own.
"""

from __future__ import annotations

from collections.abc import Mapping

from macfleet.lab.state import State
from macfleet.lab.world import Call, Reply, World, failed

# Programs that came later than this macOS, or that its hardware has no use for.
_RDMA = frozenset({"rdma_ctl", "ibv_devices", "ibv_devinfo"})
ABSENT: Mapping[str, frozenset[str]] = {"macos-15": _RDMA, "intel": _RDMA}

# What a Linux box has of the same name. Everything else of macOS is not there, as `sh` says.
_LINUX = frozenset({"uname", "sysctl", "stat", "df", "id", "whoami", "hostname", "chown", "chgrp", "shutdown", "reboot", "halt", "last"})
_INTEL = {"hw.model": "MacPro7,1", "machdep.cpu.brand_string": "Intel(R) Xeon(R) W-3223 CPU @ 3.50GHz"}


def reply(world: World, call: Call) -> Reply | None:
    """What this program answers on a machine that is another one; None where it is the Mac that was meant, or answers like it."""
    program, state = call.argv[0], world.state
    if any(program in absent for fault, absent in ABSENT.items() if state.has_fault(fault)):
        return _not_found(program)
    return _linux(call) if state.has_fault("linux") else None


def sysctls(state: State, values: Mapping[str, str]) -> dict[str, str]:
    """An Intel Mac has no such CPU and no such GPU; a virtual one no such GPU."""
    changed = {**values, **_INTEL} if state.has_fault("intel") else dict(values)
    missing = {"intel": ("hw.optional.arm64", "iogpu.wired_limit_mb"), "virtual": ("iogpu.wired_limit_mb",)}
    kind = "intel" if state.has_fault("intel") else "virtual" if is_virtual(state) else ""
    return {name: value for name, value in changed.items() if name not in missing.get(kind, ())}


def power_keys(state: State, keys: Mapping[str, int]) -> dict[str, int]:
    """The settings that this Mac offers: before macOS 26 none for the moment the power comes back."""
    return {key: value for key, value in keys.items() if key != "autorestartatconnect" or not state.has_fault("macos-15")}


def is_virtual(state: State) -> bool:
    return state.hardware.startswith("VirtualMac")


def _linux(call: Call) -> Reply | None:
    program, arguments = call.argv[0], call.arguments
    match program, arguments:
        case "uname", _:
            return Reply("Linux\n")
        case "sysctl", _:
            names = [word for word in arguments if not word.startswith("-")]
            lines = [f"sysctl: cannot stat /proc/sys/{name.replace('.', '/')}: No such file or directory" for name in names]
            return failed("\n".join(lines), 255)
        case "stat", ("-f", _, *files):  # GNU's -f is another one, and takes the format for a file
            return failed("\n".join(f"stat: cannot read file system information for '{file}': No such file or directory" for file in files))
        case "last", _:
            return Reply(
                "reboot   system boot  6.8.0-31-generic Mon Aug 24 08:17   still running\n\nwtmp begins Mon Aug 24 08:17:01 2026\n"
            )
    return None if program in _LINUX else _not_found(program)


def _not_found(program: str) -> Reply:
    return failed(f"sh: {program}: not found", 127)
