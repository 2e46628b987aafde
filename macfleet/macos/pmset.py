"""`pmset`: when a Mac sleeps and whether it comes back after a power cut."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from macfleet.core.command import Command, command
from macfleet.macos.answers import ask, unparsable

# The three choices of System Settings as (autorestart, autorestartatconnect), measured on an M4 mini with 26.5.2.
# Never both 1: System Settings then rewrites autorestart to 0, and a check of one key alone flaps.
POWER_ON = {"never": ("0", "0"), "after-failure": ("1", "0"), "always": ("0", "1")}


@dataclass(frozen=True)
class PowerSettings:
    """Key → value as printed, on mains power. A desktop has no other section; a key that is absent is not offered.

    `ups` is what holds as soon as a UPS carries the Mac, `battery` of a laptop; each empty where macOS knows of none.
    """

    ac: Mapping[str, str]
    ups: Mapping[str, str] = field(default_factory=dict)
    battery: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PowerDifference:
    key: str
    have: str
    want: str


def parse_custom(text: str) -> PowerSettings:
    """The stored settings on mains power from `pmset -g custom` (or `-g` of a Mac without such sections)."""
    section = ""
    ac: dict[str, str] = {}
    others: dict[str, dict[str, str]] = {"UPS Power": {}, "Battery Power": {}}
    for line in text.splitlines():
        if re.fullmatch(r"\S.*:\s*", line):
            section = line.strip().removesuffix(":")
        elif row := _row(line):
            others.get(section, ac)[row[0]] = row[1]
    if "sleep" not in ac:
        raise unparsable("pmset -g custom", "no `sleep` setting on AC power: cut short?")
    return PowerSettings(ac, others["UPS Power"], others["Battery Power"])


def parse_capabilities(text: str) -> frozenset[str]:
    """The keys that this Mac can set, from `pmset -g cap`."""
    lines = text.strip().splitlines()
    if not lines or not lines[0].startswith("Capabilities for"):
        raise unparsable("pmset -g cap", "no line `Capabilities for AC Power:`")
    return frozenset(line.strip() for line in lines[1:] if line.startswith(" ") and line.strip())


CUSTOM = ask("power-settings", command("pmset", "-g", "custom", timeout_s=10), parse_custom)
CAPABILITIES = ask("power-capabilities", command("pmset", "-g", "cap", timeout_s=10), parse_capabilities)


def set_power(settings: Mapping[str, str], source: str = "-a") -> Command:
    """`pmset -a key value …` for all power sources (`-c` mains, `-b` battery, `-u` UPS); kept over a reboot."""
    return command("pmset", source, *(word for pair in settings.items() for word in pair), sudo=True, timeout_s=15)


def policy(
    *,
    sleep_min: int,
    display_sleep_min: int,
    disk_sleep_min: int,
    wake_on_lan: bool,
    power_nap: bool,
    low_power_mode: bool,
    tcp_keep_alive: bool,
    power_on: str,
) -> dict[str, str]:
    """The inventory's power settings as pmset's keys: `policy(**mac.settings.power.model_dump())`."""
    autorestart, at_connect = POWER_ON[power_on]
    return {
        "sleep": str(sleep_min),
        "displaysleep": str(display_sleep_min),
        "disksleep": str(disk_sleep_min),
        "womp": str(int(wake_on_lan)),
        "powernap": str(int(power_nap)),
        "lowpowermode": str(int(low_power_mode)),
        "tcpkeepalive": str(int(tcp_keep_alive)),
        "autorestart": autorestart,
        "autorestartatconnect": at_connect,
    }


def differences(have: PowerSettings, wanted: Mapping[str, str]) -> tuple[PowerDifference, ...]:
    """What must be set. A key that this Mac does not have is not a difference: see `unsupported`."""
    offered = {key: value for key, value in _as_offered(have, wanted).items() if key in have.ac}
    return tuple(PowerDifference(key, have.ac[key], value) for key, value in offered.items() if have.ac[key] != value)


def unsupported(have: PowerSettings, wanted: Mapping[str, str]) -> tuple[str, ...]:
    """Wanted keys that this Mac does not offer (a VM, before macOS 26.5) where that matters: a wanted 0 is what absence means."""
    return tuple(key for key, value in _as_offered(have, wanted).items() if key not in have.ac and value != "0")


def _as_offered(have: PowerSettings, wanted: Mapping[str, str]) -> dict[str, str]:
    """Laptops with a high power mode have `powermode` instead of `lowpowermode`: 1 is low, 0 and 2 are not."""
    low = wanted.get("lowpowermode")
    if low is None or "lowpowermode" in have.ac or "powermode" not in have.ac:
        return dict(wanted)
    rest = {key: value for key, value in wanted.items() if key != "lowpowermode"}
    is_low = have.ac["powermode"] == "1"
    return rest if is_low == (low == "1") else {**rest, "powermode": low}


def _row(line: str) -> tuple[str, str] | None:
    """`printf(" %-20s ", key)` and the value: keys may hold blanks, and the value may carry what holds at the moment:
    ` sleep                1 (sleep prevented by caffeinate)` is a setting of 1."""
    match = re.fullmatch(r" (\S.*?)\s+(\S+?)(?:\s+\(.*\))?\s*", line)
    if match and not match[2].isascii():
        raise unparsable("pmset -g custom", f'{match[1]} is "{match[2]}"')
    return (match[1], match[2]) if match else None
