"""`powermetrics --samplers thermal`: the thermal pressure that macOS itself reports. Needs root."""

from __future__ import annotations

import re

from macfleet.core.command import command
from macfleet.macos.answers import ask, unparsable


def parse_thermal_pressure(text: str) -> str:
    """As macOS says: "Nominal", "Moderate", "Heavy", "Trapping" or "Sleeping". `pmset -g therm` stays silent on Apple silicon."""
    match = re.search(r"^Current pressure level: (\w+)[ \t\r]*$", text, re.MULTILINE)
    if match is None:
        raise unparsable("powermetrics", "no line `Current pressure level:`")
    return match[1]


THERMAL_PRESSURE = ask(
    "thermal-pressure",
    command("powermetrics", "-n", "1", "-i", "1000", "--samplers", "thermal", sudo=True, timeout_s=15),
    parse_thermal_pressure,
)
