"""Do the clocks of all Macs agree? All are read in one go, so what is left between them is theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from statistics import median_low
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.core.units import format_duration
from macfleet.inventory.mac import Inventory, Mac
from macfleet.macos import date

# Macs answer one after another within seconds, a slow one within its connect timeout: less than this may be the reading.
ALLOWED_S = 60.0


class Clocks:
    name = "clocks"
    measures = True  # the seconds between them
    why = "TLS and Tailscale refuse a Mac whose clock is wrong, and its logs and journals tell a false order"
    source = "sntp(1) and systemsetup(8); a clock is most often wrong right after a power cut"
    want = f"all clocks within {format_duration(ALLOWED_S)} of each other"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (date.CLOCK,)

    def judge(self, inventory: Inventory, facts: Mapping[str, Facts]) -> Sequence[Finding]:
        clocks: dict[str, datetime] = {}
        for mac in inventory.macs:
            clock = findings.told(facts, mac.name, date.CLOCK)
            if not isinstance(clock, Unknown):
                clocks[mac.name] = clock
        # A Mac that did not answer at all has a finding of its own.
        unread = [mac.name for mac in inventory.macs if mac.name not in clocks and (mac.name in facts or not clocks)]
        wrong = _wrong(clocks)
        if wrong:
            hint = f"on {findings.names(list(wrong))}: `sudo sntp -sS time.apple.com`, and `sudo systemsetup -setusingnetworktime on`"
            return [findings.fail(self, "; ".join(f"{name} is {off}" for name, off in wrong.items()), self.want, hint)]
        if unread:
            return [findings.unknown(self, f"the clock of {findings.names(unread)} is not known", self.want)]
        spread_s = max(clock.timestamp() for clock in clocks.values()) - min(clock.timestamp() for clock in clocks.values())
        return [findings.ok(self, f"{format_duration(spread_s)} between the first and the last that was read", self.want)]


def _wrong(clocks: Mapping[str, datetime]) -> dict[str, str]:
    """Mac → how far it is from the clock in the middle; of two that differ nobody can say which is wrong, so both are named."""
    if not clocks:
        return {}
    middle = median_low([clock.timestamp() for clock in clocks.values()])
    off_s = {name: clock.timestamp() - middle for name, clock in clocks.items()}
    wrong = {name: seconds for name, seconds in off_s.items() if abs(seconds) > ALLOWED_S}
    if wrong and len(clocks) == 2:
        first, second = off_s
        return {first: _far(off_s[first] - off_s[second], second), second: _far(off_s[second] - off_s[first], first)}
    return {name: _far(seconds, "most Macs") for name, seconds in wrong.items()}


def _far(seconds: float, than: str) -> str:
    return f"{format_duration(abs(seconds))} {'ahead of' if seconds > 0 else 'behind'} {than}"
