"""Does the Mac stay awake, and come back after a power cut?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Mac
from macfleet.macos import pmset


class Power:
    name = "power"
    why = "a Mac that sleeps takes its layers out of every model it serves, and one that stays off after a power cut needs a finger"
    source = (
        "measured on an M4 mini with 26.5.2: System Settings writes the pair (autorestart, autorestartatconnect); Asahi Linux issue 334"
    )

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (pmset.CUSTOM, pmset.CAPABILITIES)

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        settings, offered, wanted = facts[pmset.CUSTOM], facts[pmset.CAPABILITIES], pmset.policy(**mac.settings.power.model_dump())
        want = ", ".join(f"{key} {value}" for key, value in wanted.items())
        if isinstance(settings, Unknown):
            return [findings.unknown(self, settings, want)]
        different, absent = pmset.differences(settings, wanted), pmset.unsupported(settings, wanted)
        if different:
            have = ", ".join(f"{difference.key} {difference.have}" for difference in different)
            want = ", ".join(f"{difference.key} {difference.want}" for difference in different)
            return [findings.fail(self, have, want, "`macfleet provision` sets it, and pmset keeps it over restarts")]
        if absent:
            return [self._absent(absent, offered, want)]
        return [findings.ok(self, "as wanted", want)]

    def _absent(self, absent: tuple[str, ...], offered: frozenset[str] | Unknown, want: str) -> Finding:
        """A key that this Mac can set and has never set shows in its capabilities only: there its default holds, which is 0."""
        unset = () if isinstance(offered, Unknown) else tuple(key for key in absent if key in offered)
        if unset:
            have = f"{findings.names(unset)} was never set; everything else is as wanted"
            return findings.warn(self, have, want, f"`sudo pmset -a {unset[0]} 1` on the Mac")
        have = f"this Mac does not offer {findings.names(absent)}; everything else is as wanted"
        return findings.warn(self, have, want, _hint(absent))


def _hint(absent: tuple[str, ...]) -> str:
    if "autorestartatconnect" in absent:
        return "`power_on: always` needs macOS 26.5 and a desktop of 2024 or later; `after-failure` is what this Mac can do"
    return "a virtual machine has no such settings; there is nothing to do"
