"""`sysctl`: a kernel setting, now and, if wanted, from every boot on: macOS forgets it, so a LaunchDaemon sets it again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from macfleet.core.change import Change, Diff, Difference, Unsupported
from macfleet.core.command import Command, command
from macfleet.core.errors import RequestError
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.result import Result
from macfleet.core.template import render
from macfleet.core.units import MIB, format_size
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict
from macfleet.macos.sysctl import parse_sysctl
from macfleet.modules.base import Surroundings
from macfleet.modules.job import WantedJob

_TEMPLATE = "sysctl.plist.j2"
SysctlName = Annotated[str, StringConstraints(pattern=r"^[a-z][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)+$")]


class SysctlArgs(Strict):
    name: SysctlName = Field(description="Its name, like iogpu.wired_limit_mb")
    value: int = Field(description="The number it shall have")
    at_boot: bool = Field(False, description="Also at every boot, by a LaunchDaemon; `false` looks at none")
    label: str | None = Field(None, description="The label of that LaunchDaemon; dev.macfleet.sysctl.NAME without it")

    def job(self, mac: Mac) -> WantedJob:
        return WantedJob(mac, self.label or f"dev.macfleet.sysctl.{self.name}")


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
  at_boot: true
"""

    def facts(self, args: SysctlArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return (setting(args.name), *(args.job(mac).facts if args.at_boot else ()))

    def diff(self, args: SysctlArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        _refuse_too_large(args, mac)
        have = facts[setting(args.name)]
        if isinstance(have, Unknown | Unsupported):
            return (have,)
        return [*_now(args, have), *(_at_boot(args, mac, facts, around) if args.at_boot else ())]


def _now(args: SysctlArgs, have: str) -> Iterator[Change]:
    if have != str(args.value):
        yield Change(f"sysctl {args.name}", have, str(args.value), (_set(args.name, str(args.value)),), undo=(_set(args.name, have),))


def _set(name: str, value: str) -> Command:
    return command("sysctl", f"{name}={value}", sudo=True, timeout_s=10)


def _at_boot(args: SysctlArgs, mac: Mac, facts: Facts, around: Surroundings) -> Sequence[Difference]:
    job = args.job(mac)
    values = {"name": args.name, "value": args.value, "label": job.label, "paths": mac.paths}
    return job.difference(facts, render(_TEMPLATE, around.templates, values).encode())


def _refuse_too_large(args: SysctlArgs, mac: Mac) -> None:
    """A wired limit above the memory ends in a kernel panic, not in an error."""
    if args.name == "iogpu.wired_limit_mb" and args.value * MIB >= mac.memory_bytes:
        limit, memory = format_size(args.value * MIB), format_size(mac.memory_bytes)
        raise RequestError(
            f"a wired limit of {limit} leaves nothing of {memory} to macOS", mac=mac.name, hint="keep at least 8 GiB for macOS"
        )
