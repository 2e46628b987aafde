"""`notifyutil -g`: the thermal pressure that `powermetrics` reports too, in 8 ms and without root.

A key that macOS does not have reads as 0 as well, so 0 means that nobody complains. `pmset -g therm` stays silent on Apple silicon.
"""

from __future__ import annotations

import re
from enum import IntEnum

from macfleet.core.command import command
from macfleet.macos.answers import ask, unparsable

_KEY = "com.apple.system.thermalpressurelevel"


class ThermalPressure(IntEnum):
    NOMINAL = 0
    MODERATE = 1
    HEAVY = 2
    TRAPPING = 3
    SLEEPING = 4


def parse_thermal_level(text: str) -> ThermalPressure:
    match = re.fullmatch(rf"{re.escape(_KEY)} ([0-4])\s*", text)
    if match is None:
        raise unparsable("notifyutil", f'"{text.strip()[:80]}" is not the key and a level from 0 to 4')
    return ThermalPressure(int(match[1]))


THERMAL = ask("thermal-level", command("notifyutil", "-g", _KEY, timeout_s=10), parse_thermal_level)
