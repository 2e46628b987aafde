"""Verify: read what every check asks, judge, report. One reading per Mac for all checks together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from macfleet.checks import FLEET_CHECKS
from macfleet.checks.base import Check, FleetCheck
from macfleet.checks.past import Look, Past, Sample, look, sample
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding, Verdict
from macfleet.core.outcome import Outcome
from macfleet.core.units import format_duration
from macfleet.core.words import count
from macfleet.fleet.fleet import Fleet
from macfleet.inventory.mac import Mac
from macfleet.macos import uname
from macfleet.serving.checks import checks_of_this_controller, checks_with
from macfleet.serving.reachable import REACHABLE


@dataclass(frozen=True)
class MacVerification:
    """One Mac's findings; `outcome` is `ok`, `differs`, `unknown` or `unreachable`."""

    mac: str
    outcome: str
    findings: tuple[Finding, ...]
    duration_s: float

    def summary(self) -> str:
        """The counts that are not good news, in words."""
        counts = [(verdict, sum(finding.verdict is verdict for finding in self.findings)) for verdict in reversed(Verdict)]
        return ", ".join(f"{count} {verdict.value}" for verdict, count in counts if count)

    def as_json(self) -> dict[str, Any]:
        return {
            "mac": self.mac,
            "outcome": self.outcome,
            "findings": [finding.as_json() for finding in self.findings],
            "duration_s": round(self.duration_s, 3),
        }


@dataclass(frozen=True)
class Verification:
    """The findings of all Macs, in inventory order, and those about the fleet as a whole."""

    macs: tuple[MacVerification, ...]
    fleet: tuple[Finding, ...]
    duration_s: float
    looks: Mapping[str, tuple[Look, Sample | None]] = field(default_factory=dict)  # of the Macs that answered, for the next run
    measuring: frozenset[str] = frozenset()  # checks whose `have` is a reading that moves by itself

    @property
    def exit_code(self) -> int:
        """0 as wanted, 1 a check fails or is unknown, 3 a Mac is unreachable: the worst decides."""
        if any(mac.outcome == "unreachable" for mac in self.macs):
            return 3
        return 0 if all(finding.verdict.is_as_wanted for finding in self.findings()) else 1

    @property
    def can_be_provisioned(self) -> bool:
        return any(finding.verdict is Verdict.FAIL and "macfleet provision" in finding.hint for finding in self.findings())

    def findings(self) -> tuple[Finding, ...]:
        return tuple(finding for mac in self.macs for finding in mac.findings) + self.fleet

    def sentence(self) -> str:
        as_wanted = sum(mac.outcome == "ok" for mac in self.macs)
        unreachable = sum(mac.outcome == "unreachable" for mac in self.macs)
        counts = f"{count(as_wanted, 'Mac')} as wanted, {len(self.macs) - as_wanted - unreachable} differ, {unreachable} unreachable"
        broken = sum(not finding.verdict.is_as_wanted for finding in self.fleet)
        fleet = f"; {count(broken, 'finding')} about the fleet" if broken else ""
        return f"{counts} in {format_duration(self.duration_s)}{fleet}"

    def as_json(self) -> dict[str, Any]:
        findings = self.findings()
        return {
            "schema": 1,
            "macs": [mac.as_json() for mac in self.macs],
            "fleet": [finding.as_json() for finding in self.fleet],
            "summary": {
                "macs": len(self.macs),
                **{outcome: sum(mac.outcome == outcome for mac in self.macs) for outcome in ("ok", "differs", "unknown", "unreachable")},
                "findings": {verdict.value: sum(finding.verdict is verdict for finding in findings) for verdict in Verdict},
                "exit_code": self.exit_code,
                "duration_s": round(self.duration_s, 3),
            },
        }


def verify(
    fleet: Fleet,
    *,
    checks: Sequence[Check] | None = None,
    fleet_checks: Sequence[FleetCheck] = FLEET_CHECKS,
    past: Past | None = None,
) -> Verification:
    """Read once, judge everything. A Mac that cannot be read has the finding `reachable`, and its neighbours are judged all the same.

    `past`: what earlier looks saw; None for a look that no later one will compare with.
    """
    started = fleet.clock.monotonic()
    own = checks if checks is not None else checks_of_this_controller() if past is None else checks_with(past)
    asked: tuple[Check | FleetCheck, ...] = (*own, *fleet_checks)

    def wanted(mac: Mac) -> Sequence[Fact[Any]]:
        return [fact for check in asked for fact in check.facts(mac)]

    report = fleet.read(wanted)
    facts = report.values()
    macs = tuple(_judge(mac, report[mac.name], own) for mac in fleet.macs)
    chosen = replace(fleet.inventory, macs=tuple(fleet.macs))  # Macs that were not asked are no part of the question
    # Of Macs none of which answered there is one thing to say, and each Mac's `reachable` says it.
    about_fleet = tuple(finding for check in fleet_checks for finding in check.judge(chosen, facts)) if facts else ()
    now_s = fleet.clock.now()
    looks = {mac.name: (look(mac, facts[mac.name], now_s), sample(facts[mac.name], now_s)) for mac in fleet.macs if mac.name in facts}
    measuring = frozenset(check.name for check in asked if getattr(check, "measures", False))
    return Verification(macs, about_fleet, fleet.clock.monotonic() - started, looks, measuring)


def _judge(mac: Mac, outcome: Outcome[Facts], checks: Sequence[Check]) -> MacVerification:
    reachable = REACHABLE.judge(mac, outcome)
    if outcome.value is None:
        return MacVerification(mac.name, "unreachable", (reachable,), outcome.duration_s)
    findings = (reachable, *(finding for check in _worth_asking(mac, outcome.value, checks) for finding in check.judge(mac, outcome.value)))
    return MacVerification(mac.name, _outcome_of(findings), findings, outcome.duration_s)


def _worth_asking(mac: Mac, facts: Facts, checks: Sequence[Check]) -> Sequence[Check]:
    """Of a machine that is no Mac only that it is none: what it knows of pmset or of a runtime is nobody's trouble."""
    if uname.KERNEL not in facts or isinstance(kernel := facts[uname.KERNEL], Unknown) or kernel == uname.MACS_KERNEL:
        return checks
    return [check for check in checks if uname.KERNEL in check.facts(mac)]


def _outcome_of(findings: Sequence[Finding]) -> str:
    verdicts = {finding.verdict for finding in findings}
    if Verdict.FAIL in verdicts:
        return "differs"
    return "unknown" if Verdict.UNKNOWN in verdicts else "ok"
