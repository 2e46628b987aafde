"""`sysctl`: what the kernel says of this Mac, and the one number that macfleet sets."""

from __future__ import annotations

import time

from macfleet.core.units import GIB, MIB
from macfleet.lab.commands.scutil import host_name
from macfleet.lab.state import Kernel
from macfleet.lab.strange import sysctls
from macfleet.lab.world import Call, Reply, World


def sysctl(world: World, call: Call) -> Reply:
    """`name: value` lines; unknown names go to stderr, the others are printed all the same, and the exit status is 1."""
    values = _values(world)
    bare = "-n" in call.arguments
    out, errors = "", ""
    for word in call.arguments:
        if word.startswith("-"):
            continue
        name, _, wanted = word.partition("=")
        if name not in values:
            errors += f"sysctl: unknown oid '{name}'\n"
        elif "=" in word:
            said, error = _set(world.kernel, name, wanted, call.is_root)
            out, errors = out + said, errors + error
        else:
            out += values[name] + "\n" if bare else f"{name}: {values[name]}\n"
    return Reply(out, errors, 1 if errors else 0)


def _set(kernel: Kernel, name: str, wanted: str, is_root: bool) -> tuple[str, str]:
    if name not in kernel.sysctls:
        return "", f"sysctl: oid '{name}' is read only\n"
    if not is_root:
        return "", f"sysctl: {name}: Operation not permitted\n"
    if not wanted.isdecimal():
        return "", f"sysctl: {name}: Invalid argument\n"
    before, kernel.sysctls[name] = kernel.sysctls[name], int(wanted)
    return f"{name}: {before} -> {wanted}\n", ""


def _swap(used_bytes: int) -> str:
    """macOS makes files of 1 GiB as it needs them; what is free of the newest one is free swap."""
    used, total = used_bytes / MIB, -(-used_bytes // GIB) * 1024
    return f"total = {total:.2f}M  used = {used:.2f}M  free = {total - used:.2f}M  (encrypted)"


def _values(world: World) -> dict[str, str]:
    booted = world.kernel.booted_at
    since = f"{{ sec = {int(booted)}, usec = {int(booted % 1 * 1e6)} }} {time.asctime(time.localtime(booted))}"
    wear = world.state.wear
    values = {
        "hw.model": world.state.hardware,
        "hw.memsize": str(world.state.memory_bytes),
        "hw.optional.arm64": "1",
        "hw.pagesize": "16384",
        "machdep.cpu.brand_string": world.hardware.chip,
        "kern.bootsessionuuid": world.kernel.boot_session,
        "kern.boottime": since,
        "kern.osproductversion": world.state.macos_version,
        "kern.osversion": world.state.macos_build,
        "kern.hostname": host_name(world),
        "kern.memorystatus_vm_pressure_level": str(wear.pressure_level),
        "kern.memorystatus_level": "92",
        "vm.swapusage": _swap(wear.swap_used_bytes),
        "vm.loadavg": "{ 1.21 1.34 1.30 }",
        **{name: str(value) for name, value in world.kernel.sysctls.items()},
    }
    return sysctls(world.state, values)
