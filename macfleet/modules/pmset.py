"""`pmset`: when the Mac sleeps and whether it comes back after a power cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field

from macfleet.core.change import Change, Diff, Difference, Unsupported
from macfleet.core.command import Command
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import PowerOn, Strict
from macfleet.macos import pmset, ups
from macfleet.modules.base import Surroundings

_ON = {"-c": "", "-b": " on battery", "-u": " on its UPS"}


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
    haltlevel: int | None = Field(None, ge=1, le=95, description="On a UPS: shut down at this charge, in percent")
    haltafter: int | None = Field(None, ge=1, description="On a UPS: shut down after so many minutes")
    haltremain: int | None = Field(None, ge=1, description="On a UPS: shut down when so many minutes are left")
    power_on: PowerOn | None = Field(None, description="What it does when power returns: the pair autorestart, autorestartatconnect")

    def wanted(self) -> dict[str, str]:
        values = self.model_dump(exclude_none=True, exclude={"power_on", *ups.THRESHOLDS})
        wanted = {key: str(int(value)) for key, value in values.items()}
        if self.power_on is not None:
            wanted["autorestart"], wanted["autorestartatconnect"] = pmset.POWER_ON[self.power_on]
        return wanted

    def thresholds(self) -> dict[str, int]:
        return self.model_dump(exclude_none=True, include=set(ups.THRESHOLDS))


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
        return (pmset.CUSTOM, *((ups.SOURCES, ups.UPS) if args.thresholds() else ()))

    def diff(self, args: PmsetArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        have = facts[pmset.CUSTOM]
        if isinstance(have, Unknown):
            return (have,)
        # Off before on: autorestart and autorestartatconnect must never both be 1, not even in between.
        differences = sorted(_differences(have, args.wanted()), key=lambda difference: difference.want != "0")
        return [
            *(_change(difference, have) for difference in differences),
            *(Unsupported(f"this Mac has no pmset {key}") for key in pmset.unsupported(have, args.wanted())),
            *(_on_ups(args.thresholds(), facts) if args.thresholds() else ()),
        ]


def _sources(have: pmset.PowerSettings) -> dict[str, Mapping[str, str]]:
    """pmset's option → what holds on this source; a desktop without a UPS has mains only."""
    return {option: values for option, values in (("-c", have.ac), ("-b", have.battery), ("-u", have.ups)) if values}


def _differences(have: pmset.PowerSettings, wanted: Mapping[str, str]) -> list[pmset.PowerDifference]:
    """One for each key, whichever source it differs on: a Mac that stays awake on mains alone sleeps on its UPS."""
    words: dict[str, list[str]] = {}
    wants: dict[str, str] = {}
    for option, values in _sources(have).items():
        for found in pmset.differences(pmset.PowerSettings(values), wanted):
            words.setdefault(found.key, []).append(found.have + _ON[option])
            wants[found.key] = found.want
    return [pmset.PowerDifference(key, ", ".join(said), wants[key]) for key, said in words.items()]


def _change(difference: pmset.PowerDifference, have: pmset.PowerSettings) -> Change:
    do = pmset.set_power({difference.key: difference.want})
    return Change(f"pmset {difference.key}", difference.have, difference.want, (do,), undo=_undo(difference.key, have))


def _undo(key: str, have: pmset.PowerSettings) -> tuple[Command, ...]:
    """A laptop's battery and a UPS have values of their own, which `-a` has set as well."""
    sources = _sources(have)
    if len(sources) == 1:
        return (pmset.set_power({key: have.ac[key]}),)
    return tuple(pmset.set_power({key: values[key]}, option) for option, values in sources.items() if key in values)


def _on_ups(wanted: Mapping[str, int], facts: Facts) -> Iterator[Difference]:
    sources, have = facts[ups.SOURCES], facts[ups.UPS]
    if isinstance(sources, Unknown) or isinstance(have, Unknown):
        yield from (fact for fact in (sources, have) if isinstance(fact, Unknown))
        return
    if not sources.has_ups and not have:
        yield Unsupported(f"no UPS is connected, and {', '.join(wanted)} would be for one")
        return
    for key, value in wanted.items():
        if have.get(key) != value:
            do = pmset.set_power({key: str(value)}, "-u")
            undo = pmset.set_power({key: str(have.get(key, 0))}, "-u")  # 0 is off
            yield Change(f"pmset {key}", str(have.get(key, "off")), str(value), (do,), undo=(undo,))
