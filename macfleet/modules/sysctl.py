"""`sysctl`: a kernel setting, now. macOS forgets it at the next boot, so a LaunchDaemon sets it again: see provision.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.core.change import Change, Diff, Unsupported
from macfleet.core.command import command
from macfleet.core.errors import RequestError
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.result import Result
from macfleet.core.units import MIB, format_size
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict
from macfleet.macos.sysctl import parse_sysctl
from macfleet.modules.base import Surroundings


class SysctlArgs(Strict):
    name: str
    value: int


def setting(name: str) -> Fact[str | Unsupported]:
    """One sysctl. hw.memsize is asked along: when only it answers, this Mac has no such setting."""

    def understand(results: Sequence[Result]) -> str | Unsupported | Unknown:
        values = parse_sysctl(results[0].stdout)
        if name in values:
            return values[name]
        return Unsupported(f"this Mac has no sysctl {name}") if "hw.memsize" in values else Unknown(results[0].failure())

    return Fact(f"sysctl {name}", (command("sysctl", "hw.memsize", name, timeout_s=10),), understand)


class Sysctl:
    name = "sysctl"
    Args = SysctlArgs
    looks_around: tuple[Fact[Any], ...] = ()
    example = """
sysctl:
  name: iogpu.wired_limit_mb
  value: 28672
"""

    def facts(self, args: SysctlArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return (setting(args.name),)

    def diff(self, args: SysctlArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        _refuse_too_large(args, mac)
        have = facts[setting(args.name)]
        if isinstance(have, Unknown | Unsupported):
            return (have,)
        if have == str(args.value):
            return ()
        set_it = command("sysctl", f"{args.name}={args.value}", sudo=True, timeout_s=10)
        return (Change(f"sysctl {args.name}", have, str(args.value), (set_it,)),)


def _refuse_too_large(args: SysctlArgs, mac: Mac) -> None:
    """A wired limit above the memory ends in a kernel panic, not in an error."""
    if args.name == "iogpu.wired_limit_mb" and args.value * MIB >= mac.memory_bytes:
        limit, memory = format_size(args.value * MIB), format_size(mac.memory_bytes)
        raise RequestError(
            f"a wired limit of {limit} leaves nothing of {memory} to macOS", mac=mac.name, hint="keep at least 8 GiB for macOS"
        )
