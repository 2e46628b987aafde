"""`sysctl`: hardware, boot, memory pressure, and the GPU's wired limit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from macfleet.core.change import Unsupported
from macfleet.core.command import Command, command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result
from macfleet.macos.answers import parse_number, parse_whole, unparsable

_UNITS = {"": 1, "B": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


@dataclass(frozen=True)
class Identity:
    """What this Mac is: Apple's model identifier ("Mac15,14", "VirtualMac2,1" in a VM), memory, chip ("Apple M3 Ultra")."""

    hardware: str
    memory_bytes: int
    chip: str
    is_apple_silicon: bool

    @property
    def is_virtual(self) -> bool:
        return self.hardware.startswith("VirtualMac")


@dataclass(frozen=True)
class Boot:
    """Which boot this is. `session` differs after every restart; `started_at_s` (epoch) also moves when the clock is set."""

    session: str
    started_at_s: int


@dataclass(frozen=True)
class MemoryPressure:
    """`level` 1 normal, 2 warning, 4 critical."""

    level: int
    swap_used_bytes: int
    swap_total_bytes: int


def parse_sysctl(text: str) -> dict[str, str]:
    """Name → value of every `name: value` line; other lines are not sysctl's."""
    return {name: value.strip() for name, value in re.findall(r"^([a-z]\w*(?:\.\w+)+):[ \t]*(.*)$", text, re.MULTILINE)}


def parse_identity(text: str) -> Identity:
    values = parse_sysctl(text)
    hardware, memory = _value(values, "hw.model"), parse_whole("sysctl", "hw.memsize", _value(values, "hw.memsize"))
    chip = _value(values, "machdep.cpu.brand_string")
    # An Intel Mac has no row hw.optional.arm64, and a text cut before it has none either: the chip's name tells them apart.
    return Identity(hardware, memory, chip, is_apple_silicon=values.get("hw.optional.arm64") == "1" or "Apple" in chip)


def parse_boot(text: str) -> Boot:
    """The boot's UUID, and the seconds out of `{ sec = 1790421415, usec = 985376 } Sat Sep 26 06:16:55 2026`."""
    values = parse_sysctl(text)
    session = _value(values, "kern.bootsessionuuid")
    if not re.fullmatch(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", session):
        raise unparsable("sysctl", f'kern.bootsessionuuid is "{session[:80]}"')
    seconds = re.search(r"\bsec = (\d{1,12})\b", _value(values, "kern.boottime"))
    if seconds is None:
        raise unparsable("sysctl", f'kern.boottime is "{values["kern.boottime"][:80]}"')
    return Boot(session.upper(), int(seconds[1]))


def parse_memory_pressure(text: str) -> MemoryPressure:
    """`vm.swapusage` prints decimals with a comma in some locales, and G beside M."""
    values = parse_sysctl(text)
    usage = dict(re.findall(r"(\w+) = ([\d.,]+[BKMGT]?)", _value(values, "vm.swapusage")))
    level = parse_whole("sysctl", "the memory pressure level", _value(values, "kern.memorystatus_vm_pressure_level"))
    return MemoryPressure(level, _swap_bytes(usage, "used"), _swap_bytes(usage, "total"))


def _understand_identity(results: Sequence[Result]) -> Identity | Unknown:
    # An Intel Mac lacks hw.optional.arm64 and exits 1: the lines it did print are still true.
    return Unknown(results[0].failure()) if not results[0].stdout.strip() else parse_identity(results[0].stdout)


def _understand_boot(results: Sequence[Result]) -> Boot | Unknown:
    return parse_boot(results[0].stdout) if results[0].ok else Unknown(results[0].failure())


def _understand_pressure(results: Sequence[Result]) -> MemoryPressure | Unknown:
    return parse_memory_pressure(results[0].stdout) if results[0].ok else Unknown(results[0].failure())


def _understand_wired_limit(results: Sequence[Result]) -> int | Unsupported | Unknown:
    values = parse_sysctl(results[0].stdout)
    if "iogpu.wired_limit_mb" in values:
        return parse_whole("sysctl", "iogpu.wired_limit_mb", values["iogpu.wired_limit_mb"])
    if "hw.memsize" in values and not results[0].ok:
        return Unsupported("this Mac has no iogpu.wired_limit_mb (a virtual machine, or macOS before 14)")
    return Unknown(results[0].failure() if not results[0].ok else "`sysctl` printed no iogpu.wired_limit_mb")


# Names that may be unknown stand last: `sysctl` may stop at the first one it does not know.
IDENTITY: Fact[Identity] = Fact(
    "hardware",
    (command("sysctl", "hw.model", "hw.memsize", "machdep.cpu.brand_string", "hw.optional.arm64", timeout_s=10),),
    _understand_identity,
)
BOOT: Fact[Boot] = Fact("boot", (command("sysctl", "kern.bootsessionuuid", "kern.boottime", timeout_s=10),), _understand_boot)
PRESSURE: Fact[MemoryPressure] = Fact(
    "memory-pressure", (command("sysctl", "vm.swapusage", "kern.memorystatus_vm_pressure_level", timeout_s=10),), _understand_pressure
)
# MiB; 0 leaves it to macOS. hw.memsize is asked along: when only it answers, this Mac has no such setting.
WIRED_LIMIT: Fact[int | Unsupported] = Fact(
    "wired-limit", (command("sysctl", "hw.memsize", "iogpu.wired_limit_mb", timeout_s=10),), _understand_wired_limit
)


def set_wired_limit(limit_mib: int) -> Command:
    """In force at once, forgotten at the next boot."""
    return command("sysctl", f"iogpu.wired_limit_mb={limit_mib}", sudo=True, timeout_s=10)


def _value(values: Mapping[str, str], name: str) -> str:
    if not values.get(name):
        raise unparsable("sysctl", f"no {name} line")
    return values[name]


def _swap_bytes(usage: Mapping[str, str], key: str) -> int:
    if key not in usage:
        raise unparsable("sysctl", f"vm.swapusage says no `{key}`")
    match = re.fullmatch(r"([\d.,]+)([BKMGT]?)", usage[key])
    assert match is not None  # the same pattern found it
    return round(parse_number("sysctl", f"swap {key}", match[1]) * _UNITS[match[2]])
