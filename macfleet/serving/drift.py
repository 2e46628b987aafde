"""What is otherwise than at an earlier look: verdicts that changed, and values that changed behind the same verdict."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from macfleet.core.errors import RequestError
from macfleet.core.finding import Finding, Verdict
from macfleet.serving.looks import Seen
from macfleet.serving.verify import Verification

# One check's findings, as (verdict, have); a reading that moves by itself is kept as "".
Told = tuple[tuple[str, str], ...]
FLEET = "the fleet"


@dataclass(frozen=True)
class Snapshot:
    """All findings of one run, in short: Mac → check → what it said; and those about the fleet as a whole."""

    macs: Mapping[str, Mapping[str, Told]]
    fleet: Mapping[str, Told] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"macs": self.macs, "fleet": self.fleet}

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Drifted:
    """One check that says something else than before."""

    where: str
    check: str
    before: Told
    after: Told

    def as_json(self) -> dict[str, Any]:
        sides = {"before": self.before, "after": self.after}
        told = {side: [{"verdict": verdict, "have": have} for verdict, have in said] for side, said in sides.items()}
        return {"where": self.where, "check": self.check, **told}

    @property
    def verdict(self) -> Verdict:
        """The worst that it says now."""
        order = list(Verdict)
        return max((Verdict(verdict) for verdict, _ in self.after), key=order.index, default=Verdict.OK)

    def line(self) -> str:
        """`fail: sleep 1; was ok: as wanted`"""
        return f"{_words(self.after)}; was {_words(self.before)}"


@dataclass(frozen=True)
class Run:
    """An earlier `verify` in the journal."""

    id: int
    time: str
    snapshot: Snapshot

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "time": self.time}


def journal_entry(verification: Verification, seen: Seen | None = None) -> dict[str, Any]:
    """What the journal keeps of a run: for people how it ended and what was wrong, and `seen`, which a later drift is taken from.

    Most runs find what the one before found: then `seen` is the number of the run that has it in full. A fleet of 256 Macs that
    is looked at every five minutes would fill 200 MB a day otherwise.
    """
    now = snapshot(verification)
    outcomes = Counter(mac.outcome for mac in verification.macs)
    wrong = [(mac.mac, finding) for mac in verification.macs for finding in mac.findings] + [(FLEET, each) for each in verification.fleet]
    return {
        "macs": [mac.mac for mac in verification.macs],
        "outcomes": dict(outcomes),
        "exit_code": verification.exit_code,
        "findings": [
            {"on": where, "check": finding.check, "verdict": finding.verdict.value, "have": finding.have}
            for where, finding in wrong
            if finding.verdict is not Verdict.OK
        ],
        "seen": seen.run if seen is not None and seen.digest == now.digest else now.as_json(),
    }


def find_run(entries: Sequence[Mapping[str, Any]], number: str) -> Run:
    """The run with this number, or the last one for `last`. Raises RequestError, which names those there are."""
    numbered = [(entry["id"], parse_snapshot(entry.get("seen"))) for entry in entries if isinstance(entry.get("id"), int)]
    in_full = {number: seen for number, seen in numbered if seen is not None}
    runs = [run for entry in entries if (run := _run(entry, in_full)) is not None]
    if not runs:
        raise RequestError("the journal has no earlier run of `verify` to compare with", hint="run `macfleet verify` once without --since")
    if number == "last":
        return runs[-1]
    for run in runs:
        if str(run.id) == number:
            return run
    known = ", ".join(str(run.id) for run in runs[-5:])
    raise RequestError(f"run {number} is no earlier `verify` of this fleet", hint=f"the latest are {known}; `macfleet history` lists all")


def _run(entry: Mapping[str, Any], in_full: Mapping[int, Snapshot]) -> Run | None:
    number, time, seen = entry.get("id"), entry.get("time"), entry.get("seen")
    if entry.get("event") != "verify" or not isinstance(number, int) or not isinstance(time, str):
        return None
    found = in_full.get(seen if isinstance(seen, int) else number)
    return None if found is None else Run(number, time, found)


def snapshot(verification: Verification) -> Snapshot:
    return _snapshot(verification, verification.measuring)


def parse_snapshot(value: Any) -> Snapshot | None:
    """Of a journal entry; None for one that holds none, or none that this macfleet understands."""
    try:
        macs = {name: {check: _told(said) for check, said in checks.items()} for name, checks in value["macs"].items()}
        return Snapshot(macs, {check: _told(said) for check, said in value["fleet"].items()})
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def drift(before: Snapshot, verification: Verification) -> tuple[Drifted, ...]:
    """Every check of a Mac that was looked at both times. About the fleet only when it was the same Macs both times."""
    now, told = snapshot(verification), _snapshot(verification, frozenset())
    pairs = [(name, before.macs[name], now.macs[name], told.macs[name]) for name in now.macs if name in before.macs]
    if before.macs.keys() == now.macs.keys():
        pairs.append((FLEET, before.fleet, now.fleet, told.fleet))
    return tuple(
        Drifted(where, check, then[check], in_full[check])
        for where, then, short, in_full in pairs
        for check in then
        if check in short and then[check] != short[check]  # a Mac that cannot be reached says nothing but that
    )


def _snapshot(verification: Verification, measuring: frozenset[str]) -> Snapshot:
    macs = {mac.mac: _by_check(mac.findings, measuring) for mac in verification.macs}
    return Snapshot(macs, _by_check(verification.fleet, measuring))


def _by_check(found: Sequence[Finding], measuring: frozenset[str]) -> dict[str, Told]:
    told: dict[str, list[tuple[str, str]]] = {}
    for finding in found:
        told.setdefault(finding.check, []).append((finding.verdict.value, "" if finding.check in measuring else finding.have))
    return {check: tuple(said) for check, said in told.items()}


def _told(said: Any) -> Told:
    return tuple((Verdict(verdict).value, str(have)) for verdict, have in said)


def _words(told: Told) -> str:
    return ", ".join(f"{verdict}: {have}" if have else verdict for verdict, have in told)
