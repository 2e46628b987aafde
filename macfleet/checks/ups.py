"""Does the Mac stay awake on its UPS, and shut itself down before that is empty?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import PowerOn
from macfleet.macos import pmset, ups


class Ups:
    name = "ups"
    why = "a UPS that runs empty is a power cut, and macOS has power settings of their own for the time on it, which may let it sleep"
    source = (
        "Apple's pmset and powerd; an operator whose Mac slept for four hours after 67 s on its UPS, because only `pmset -c` said sleep 0"
    )

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (ups.SOURCES, ups.UPS, pmset.CUSTOM)

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        sources, thresholds, settings = facts[ups.SOURCES], facts[ups.UPS], facts[pmset.CUSTOM]
        wanted = _wanted(mac)
        want = _describe(wanted) if wanted else "a threshold, where there is a UPS"
        if isinstance(sources, Unknown):
            return [findings.unknown(self, sources, want)]
        if isinstance(thresholds, Unknown):
            return [findings.unknown(self, thresholds, want)]
        profile = {} if isinstance(settings, Unknown) else settings.ups  # `power` says that nobody knows

        found = [
            *self._set_otherwise(wanted, thresholds, want),
            *self._connected(mac, sources, thresholds, profile, want),
            *self._not_connected(sources, wanted, want),
        ]
        name = sources.ups or "a UPS"
        have = f"{name}, {_describe(thresholds)}" if sources.has_ups else "none is connected"
        return found or [findings.ok(self, have, want)]

    def _set_otherwise(self, wanted: Mapping[str, int], thresholds: Mapping[str, int], want: str) -> Iterator[Finding]:
        if any(thresholds.get(key) != value for key, value in wanted.items()):
            yield findings.fail(self, _describe(thresholds), want, "`macfleet provision` sets it, and pmset keeps it over restarts")

    def _connected(
        self, mac: Mac, sources: ups.Sources, thresholds: Mapping[str, int], profile: Mapping[str, str], want: str
    ) -> Iterator[Finding]:
        if not sources.has_ups:
            return
        if sources.drawing_from == "UPS Power":
            left = "" if sources.ups_percent is None else f", {sources.ups_percent} % left"
            yield findings.warn(self, f"runs on {sources.ups or 'its UPS'}{left}", want, f"there is no mains power where {mac.name} stands")
        if profile.get("sleep", "0") != "0":
            have = f"sleeps after {profile['sleep']} min on its UPS, and does not wake when the power returns"
            yield findings.fail(self, have, want, "`sudo pmset -u sleep 0 womp 1` on the Mac")
        if not thresholds:
            have = f"nothing shuts it down before {sources.ups or 'its UPS'} is empty"
            yield findings.warn(self, have, want, "`sudo pmset -u haltlevel 20 haltremain 5` on the Mac, and `ups` in the inventory")
        elif mac.settings.power.power_on is PowerOn.NEVER:
            have = "shuts itself down on its UPS and does not start when the power returns (power_on: never)"
            yield findings.warn(self, have, want, "write `power_on: after-failure` into the inventory and provision")

    def _not_connected(self, sources: ups.Sources, wanted: Mapping[str, int], want: str) -> Iterator[Finding]:
        if wanted and not sources.has_ups:
            yield findings.warn(self, "none is connected, and the inventory has thresholds for one", want, "plug in its USB cable")


def _wanted(mac: Mac) -> dict[str, int]:
    """pmset's words for what the inventory says."""
    settings = mac.settings.ups
    values = (settings.halt_level_percent, settings.halt_after_min, settings.halt_remain_min)
    return {key: value for key, value in zip(ups.THRESHOLDS, values, strict=True) if value is not None}


def _describe(thresholds: Mapping[str, int]) -> str:
    return ", ".join(f"{key} {value}" for key, value in thresholds.items()) or "no threshold"
