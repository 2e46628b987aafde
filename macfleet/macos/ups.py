"""`pmset -g batt` and `pmset -g ups`: what the Mac draws its power from, and when it shuts itself down on a UPS.

A UPS on USB needs no other software: macOS reads it, and reads the restart policy again when it shuts down for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from macfleet.core.command import command
from macfleet.macos.answers import ask, unparsable

THRESHOLDS = ("haltlevel", "haltafter", "haltremain")


@dataclass(frozen=True)
class Sources:
    """`drawing_from` as macOS says: "AC Power", "UPS Power", "Battery Power". `ups` is the name of the one on USB, if there is one."""

    drawing_from: str
    ups: str | None = None
    ups_percent: int | None = None

    @property
    def has_ups(self) -> bool:
        return self.ups is not None or self.drawing_from == "UPS Power"


def parse_sources(text: str) -> Sources:
    """The headline, and the first source that is no battery of the Mac itself: ` -UPS-1500VA (id=1234567)\t87%; discharging; …`."""
    headline = re.match(r"(?:Now|Currently) drawing from '([^'\n]+)'", text)
    if headline is None:
        raise unparsable("pmset -g batt", "no line `Now drawing from '…'`")
    for name, charge in re.findall(r"^ -(.+?)(?: \(id=\d+\))?\t\s*(\d{1,3})%;", text, re.MULTILINE):
        if not name.startswith("InternalBattery"):
            return Sources(headline[1], name, int(charge))
    return Sources(headline[1])


def parse_thresholds(text: str) -> Mapping[str, int]:
    """Those thresholds that are on: haltlevel in percent, haltafter and haltremain in minutes. No UPS ever seen prints nothing."""
    if not text.strip():
        return {}
    if not text.startswith("UPS settings:"):
        raise unparsable("pmset -g ups", "no line `UPS settings:`")
    rows = re.findall(r"^[ \t]+(\w+)[ \t]+(on|off)[ \t]+(-?\d{1,6})[ \t\r]*$", text, re.MULTILINE)
    if len(rows) != len(text.splitlines()) - 1 or not rows:
        raise unparsable("pmset -g ups", "a row that is no threshold, or none at all: cut short?")
    return {key: int(value) for key, state, value in rows if key in THRESHOLDS and state == "on"}


SOURCES = ask("power-sources", command("pmset", "-g", "batt", timeout_s=10), parse_sources)
UPS = ask("ups-thresholds", command("pmset", "-g", "ups", timeout_s=10), parse_thresholds)
