"""Does Time Machine copy the weights?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Mac
from macfleet.macos import tmutil


class TimeMachine:
    name = "time-machine"
    why = "weights can be fetched again, and copying hundreds of GB fills the backup and keeps the disk busy"
    source = "tmutil(8); an exclusion by attribute does not hold for a directory that is made anew, `addexclusion -p` does"
    want = "no backup of the models"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (tmutil.DESTINATIONS, tmutil.excludes_models(mac.paths))

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        destinations, is_excluded = facts[tmutil.DESTINATIONS], facts[tmutil.excludes_models(mac.paths)]
        if isinstance(destinations, Unknown):
            return [findings.unknown(self, destinations, self.want)]
        if not destinations:
            return [findings.ok(self, "Time Machine copies nothing", self.want)]
        if isinstance(is_excluded, Unknown):
            return [findings.unknown(self, is_excluded, self.want)]
        models, names = mac.paths.shown(mac.paths.models), findings.names(destinations)
        if is_excluded:
            return [findings.ok(self, f"{names} gets everything but {models}", self.want)]
        hint = f"`sudo tmutil addexclusion -p {mac.paths.models}` in Terminal on the Mac: over SSH it wants full disk access"
        return [findings.warn(self, f"{names} gets {models} too", self.want, hint)]
