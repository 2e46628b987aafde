"""Is the Mac slowed down by heat?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Mac
from macfleet.macos import notifyutil
from macfleet.macos.notifyutil import ThermalPressure


class Thermal:
    name = "thermal"
    why = "a pipeline is as fast as its slowest stage, so one hot Mac slows every token of the service"
    source = "the key that powermetrics reads too, com.apple.system.thermalpressurelevel; measured to need 8 ms and no root"
    want = "nominal or moderate"
    measures = True

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (notifyutil.THERMAL,)

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        pressure = facts[notifyutil.THERMAL]
        if isinstance(pressure, Unknown):
            return [findings.unknown(self, pressure, self.want)]
        have = pressure.name.lower()
        hint = (
            f"give {mac.name} air: what stands on it, its dust, the room; `sudo powermetrics --samplers thermal -n 1` shows the same word"
        )
        if pressure >= ThermalPressure.TRAPPING:
            return [findings.fail(self, have, self.want, hint)]
        if pressure is ThermalPressure.HEAVY:
            return [findings.warn(self, have, self.want, hint)]
        return [findings.ok(self, have, self.want)]
