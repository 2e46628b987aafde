"""`pmset`: when the Mac sleeps and whether it comes back after a power cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.core.change import Change, Diff, Unsupported
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import PowerOn, Strict
from macfleet.macos import pmset
from macfleet.modules.base import Surroundings


class PmsetArgs(Strict):
    """pmset's own keys; one that is left out is left alone. `power_on` is the pair autorestart, autorestartatconnect."""

    sleep: int | None = None
    displaysleep: int | None = None
    disksleep: int | None = None
    womp: bool | None = None
    powernap: bool | None = None
    lowpowermode: bool | None = None
    tcpkeepalive: bool | None = None
    ttyskeepawake: bool | None = None
    power_on: PowerOn | None = None

    def wanted(self) -> dict[str, str]:
        values = self.model_dump(exclude_none=True, exclude={"power_on"})
        wanted = {key: str(int(value)) for key, value in values.items()}
        if self.power_on is not None:
            wanted["autorestart"], wanted["autorestartatconnect"] = pmset.POWER_ON[self.power_on]
        return wanted


class Pmset:
    name = "pmset"
    Args = PmsetArgs
    looks_around: tuple[Fact[Any], ...] = ()
    example = """
pmset:
  sleep: 0
  powernap: false
  power_on: after-failure
"""

    def facts(self, args: PmsetArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return (pmset.CUSTOM,)

    def diff(self, args: PmsetArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        have = facts[pmset.CUSTOM]
        if isinstance(have, Unknown):
            return (have,)
        # Off before on: autorestart and autorestartatconnect must never both be 1, not even in between.
        differences = sorted(pmset.differences(have, args.wanted()), key=lambda difference: difference.want != "0")
        return [
            *(_change(difference) for difference in differences),
            *(Unsupported(f"this Mac has no pmset {key}") for key in pmset.unsupported(have, args.wanted())),
        ]


def _change(difference: pmset.PowerDifference) -> Change:
    command = pmset.set_power({difference.key: difference.want})
    return Change(f"pmset {difference.key}", difference.have, difference.want, (command,))
