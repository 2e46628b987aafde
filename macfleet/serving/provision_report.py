"""What a provisioning found or did, in the words of a report: for the terminal, for JSON, for the exit code, for the journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from macfleet.core.change import Change
from macfleet.core.errors import MacfleetError, Unreachable
from macfleet.core.outcome import Outcome, Report
from macfleet.core.units import format_duration
from macfleet.core.words import count
from macfleet.playbook.plan import MacPlan
from macfleet.serving.provision_errors import NotBegun
from macfleet.serving.provision_mac import MacResult

_OUTCOMES = ("ok", "would change", "changed", "unknown", "not begun", "failed", "unreachable")


@dataclass(frozen=True)
class MacProvision:
    """One Mac. `outcome` is one of ok, would change, changed, unknown, not begun, failed, unreachable; `notes` what it cannot or
    need not."""

    mac: str
    outcome: str
    changes: tuple[tuple[str, Change], ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()
    error: MacfleetError | None = None
    duration_s: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "mac": self.mac,
            "outcome": self.outcome,
            "changes": [{"task": task, **change.as_json(), "detail": change.detail} for task, change in self.changes],
            "unsupported": [{"task": task, "reason": reason} for task, reason in self.notes],
            "unknown": [{"task": task, "reason": reason} for task, reason in self.unknown],
            "error": None if self.error is None else _error_json(self.error),
            "duration_s": round(self.duration_s, 3),
        }


@dataclass(frozen=True)
class Provision:
    """All Macs, in inventory order."""

    macs: tuple[MacProvision, ...]
    duration_s: float = 0.0

    @property
    def has_changes(self) -> bool:
        return any(mac.changes for mac in self.macs)

    @property
    def exit_code(self) -> int:
        """0 as wanted now, 1 something differs or is unknown, 3 a Mac failed or is unreachable: the worst decides."""
        worst = max((mac.error.exit_code for mac in self.macs if mac.error is not None), default=0)
        return worst or int(any(mac.outcome in ("would change", "unknown") for mac in self.macs))

    def sentence(self) -> str:
        """`3 Macs as wanted, 1 changed in 4.2 s`; what no Mac is, is not said."""
        counts = {outcome: sum(mac.outcome == outcome for mac in self.macs) for outcome in _OUTCOMES}
        words = [(counts[outcome], "as wanted" if outcome == "ok" else outcome) for outcome in _OUTCOMES if counts[outcome]]
        shown = [f"{count(number, 'Mac') if not index else number} {word}" for index, (number, word) in enumerate(words)]
        return f"{', '.join(shown)} in {format_duration(self.duration_s)}{self._moral(counts)}"

    def _moral(self, counts: Mapping[str, int]) -> str:
        if counts["ok"] == len(self.macs):
            return ": nothing to change"
        return ": as wanted now" if counts["changed"] and counts["ok"] + counts["changed"] == len(self.macs) else ""

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "macs": [mac.as_json() for mac in self.macs],
            "summary": {
                "macs": len(self.macs),
                **{outcome.replace(" ", "_"): sum(mac.outcome == outcome for mac in self.macs) for outcome in _OUTCOMES},
                "changes": sum(len(mac.changes) for mac in self.macs),
                "exit_code": self.exit_code,
                "duration_s": round(self.duration_s, 3),
            },
        }


def planned(plans: Report[MacPlan], duration_s: float = 0.0) -> Provision:
    """What would be done."""
    return Provision(tuple(_planned(outcome) for outcome in plans), duration_s)


def applied(results: Report[MacResult], duration_s: float = 0.0) -> Provision:
    """What was done."""
    return Provision(tuple(_applied(outcome) for outcome in results), duration_s)


def _planned(outcome: Outcome[MacPlan]) -> MacProvision:
    plan = outcome.value
    if plan is None:
        return _without_value(outcome)
    word = "unknown" if plan.unknown else "would change" if plan.changes else "ok"
    return MacProvision(plan.mac, word, plan.changes, _notes(plan), _unknown(plan), duration_s=outcome.duration_s)


def _applied(outcome: Outcome[MacResult]) -> MacProvision:
    result = outcome.value
    if result is None:
        return _without_value(outcome)
    word = _failure(result.error) if result.error else "changed" if result.done else "ok"
    return MacProvision(result.mac, word, result.done, _notes(result.left), _unknown(result.left), result.error, outcome.duration_s)


def _without_value(outcome: Outcome[Any]) -> MacProvision:
    return MacProvision(outcome.mac, _failure(outcome.error), error=outcome.error, duration_s=outcome.duration_s)


def _failure(error: MacfleetError | None) -> str:
    if isinstance(error, NotBegun):
        return "not begun"
    return "unreachable" if isinstance(error, Unreachable) else "failed"


def _notes(plan: MacPlan) -> tuple[tuple[str, str], ...]:
    return tuple((task, unsupported.reason) for task, unsupported in plan.unsupported)


def _unknown(plan: MacPlan) -> tuple[tuple[str, str], ...]:
    return tuple((task, unknown.reason) for task, unknown in plan.unknown)


def _error_json(error: MacfleetError) -> dict[str, str | Sequence[str]]:
    return {"what": str(error), "truths": list(error.truths), "hint": error.hint or ""}
