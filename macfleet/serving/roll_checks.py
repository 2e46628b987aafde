"""What is wrong with a Mac before and after its reboot, in the checks' words: its own, and those of the fleet it is part of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from macfleet.checks import FLEET_CHECKS
from macfleet.core.fact import Fact, Facts
from macfleet.core.finding import Finding
from macfleet.core.outcome import Report
from macfleet.fleet.fleet import Fleet
from macfleet.inventory.mac import Mac
from macfleet.serving.checks import checks_of_this_controller
from macfleet.window.actions import Failure


def read_checks(fleet: Fleet, macs: Sequence[Mac], *more: Fact[Any]) -> Report[Facts]:
    """What the checks of `macs` ask of them, and what those of the fleet ask of every Mac: a cable has two ends."""
    chosen = {mac.name for mac in macs}

    def wanted(mac: Mac) -> list[Fact[Any]]:
        own = [fact for check in checks_of_this_controller() for fact in check.facts(mac)] if mac.name in chosen else []
        extra = more if mac.name in chosen else ()
        return [*extra, *own, *(fact for check in FLEET_CHECKS for fact in check.facts(mac))]

    return fleet.read(wanted, macs=fleet.inventory.macs)


def failures(fleet: Fleet, mac: Mac, report: Report[Facts]) -> tuple[Failure, ...]:
    """What fails, or could not be judged, of this Mac and of all that answer: one that is away is none of this Mac's business."""
    facts = report.values()
    answering = replace(fleet.inventory, macs=tuple(each for each in fleet.inventory.macs if each.name in facts))
    own = (finding for check in checks_of_this_controller() for finding in check.judge(mac, facts[mac.name]))
    of_all = (finding for check in FLEET_CHECKS for finding in check.judge(answering, facts))
    return tuple(_failure(finding) for finding in (*own, *of_all) if not finding.verdict.is_as_wanted)


def names(found: Iterable[Failure]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(failure.check for failure in found))


def _failure(finding: Finding) -> Failure:
    return Failure(finding.check, f"{finding.have}; {finding.hint}" if finding.hint else finding.have)
