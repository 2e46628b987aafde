"""`pmset`: when the Mac sleeps and whether it comes back after a power cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from macfleet.core.change import Change, Diff, Unsupported
from macfleet.core.command import Command
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import PowerOn, Strict
from macfleet.macos import pmset
from macfleet.modules.base import Surroundings


class PmsetArgs(Strict):
    """pmset's own keys; one that is left out is left alone."""

    sleep: int | None = Field(None, description="Minutes until the Mac sleeps; 0 is never")
    displaysleep: int | None = Field(None, description="Minutes until the display sleeps; 0 is never")
    disksleep: int | None = Field(None, description="Minutes until disks sleep; 0 is never")
    womp: bool | None = Field(None, description="Wake for network access")
    powernap: bool | None = Field(None, description="Background work while asleep")
    lowpowermode: bool | None = Field(None, description="Low Power Mode; with it launchd may keep jobs from starting")
    tcpkeepalive: bool | None = Field(None, description="Keep connections over sleep")
    ttyskeepawake: bool | None = Field(None, description="Stay awake while somebody is logged in by SSH")
    power_on: PowerOn | None = Field(None, description="What it does when power returns: the pair autorestart, autorestartatconnect")

    def wanted(self) -> dict[str, str]:
        values = self.model_dump(exclude_none=True, exclude={"power_on"})
        wanted = {key: str(int(value)) for key, value in values.items()}
        if self.power_on is not None:
            wanted["autorestart"], wanted["autorestartatconnect"] = pmset.POWER_ON[self.power_on]
        return wanted


class Pmset:
    """On all sources of power. What this Mac does not have is said and left alone."""

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
            *(_change(difference, have) for difference in differences),
            *(Unsupported(f"this Mac has no pmset {key}") for key in pmset.unsupported(have, args.wanted())),
        ]


def _change(difference: pmset.PowerDifference, have: pmset.PowerSettings) -> Change:
    do = pmset.set_power({difference.key: difference.want})
    return Change(f"pmset {difference.key}", difference.have, difference.want, (do,), undo=_undo(difference.key, have))


def _undo(key: str, have: pmset.PowerSettings) -> tuple[Command, ...]:
    """A laptop's battery and a UPS have values of their own, which `-a` has set as well."""
    others = {"-b": have.battery, "-u": have.ups}
    if not any(others.values()):
        return (pmset.set_power({key: have.ac[key]}),)
    sources = {"-c": have.ac, **others}
    return tuple(pmset.set_power({key: values[key]}, source) for source, values in sources.items() if key in values)
