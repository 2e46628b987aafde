"""What `enroll` says at its end: each Mac, the proof, and what is left for a hand at the Mac."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from macfleet.cli.folding import fold, name_macs
from macfleet.cli.output import column_width
from macfleet.core.words import count

if TYPE_CHECKING:
    from macfleet.cli.output import Output
    from macfleet.core.change import Change
    from macfleet.core.errors import MacfleetError
    from macfleet.inventory.mac import Mac
    from macfleet.serving.enroll import Enrolled


@dataclass
class Enrolment:
    """What became of each Mac, in the order of the inventory."""

    macs: Sequence[Mac]
    changes: dict[str, tuple[Change, ...]] = field(default_factory=dict)
    enrolled: dict[str, Enrolled] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)  # shown, and not wanted or only looked at
    errors: dict[str, MacfleetError] = field(default_factory=dict)

    def outcome(self, mac: str) -> str:
        from macfleet.core.errors import AuthenticationFailed, Unreachable

        if mac in self.errors:
            is_away = isinstance(self.errors[mac], Unreachable) and not isinstance(self.errors[mac], AuthenticationFailed)
            return "unreachable" if is_away else "failed"
        if mac in self.waiting:
            return "would change"
        return "enrolled" if self.changes.get(mac) else "as wanted"

    def under_way(self) -> list[str]:
        """The Macs where something was to be changed, and where nobody knows yet what became of it."""
        return [mac for mac in self.changes if mac not in self.waiting and mac not in self.errors and mac not in self.enrolled]

    @property
    def exit_code(self) -> int:
        if self.errors:
            return 3
        return 1 if self.waiting or any(done.owns_volume is False for done in self.enrolled.values()) else 0


def answer(output: Output, run: Enrolment) -> None:
    width = column_width([mac.name for mac in run.macs])
    for mac in run.macs:
        output.mac_line(mac.name, run.outcome(mac.name), _proof(run.enrolled.get(mac.name)), width=width)
    steps = fold({mac: [(step.what, step.do) for step in done.by_hand] for mac, done in run.enrolled.items()})
    if steps:
        output.answer("by hand, at the Mac:")
    for (what, do), macs in steps:
        output.answer(f"  {what}{f'  [{name_macs(macs, of=len(run.macs))}]' if len(run.macs) > 1 else ''}")
        output.answer(f"    {do}")
    outcomes = [run.outcome(mac.name) for mac in run.macs]
    tally = [(outcomes.count(word), word) for word in ("enrolled", "as wanted", "would change", "failed", "unreachable")]
    output.answer(", ".join(f"{count(number, 'Mac')} {word}" for number, word in tally if number))
    for error in run.errors.values():
        output.error(error)
    if run.enrolled and not run.errors and not run.waiting:
        output.next_step("macfleet verify")


def _proof(done: Enrolled | None) -> str:
    if done is None:
        return ""
    owner = {True: "owns the volume", False: "owns no volume", None: "volume owner unknown"}[done.owns_volume]
    return f"{done.user} gets in with the key, sudo does not ask, {owner}"


def as_json(run: Enrolment) -> dict[str, Any]:
    macs = [_mac_as_json(run, mac.name) for mac in run.macs]
    outcomes = ("enrolled", "as wanted", "would change", "failed", "unreachable")
    counts = {word.replace(" ", "_"): sum(mac["outcome"] == word for mac in macs) for word in outcomes}
    return {"schema": 1, "macs": macs, "summary": {"macs": len(macs), **counts, "exit_code": run.exit_code}}


def _mac_as_json(run: Enrolment, mac: str) -> dict[str, Any]:
    done, error = run.enrolled.get(mac), run.errors.get(mac)
    return {
        "mac": mac,
        "outcome": run.outcome(mac),
        "user": done.user if done else None,
        "changes": [change.as_json() for change in run.changes.get(mac, ())],
        "owns_volume": done.owns_volume if done else None,
        "by_hand": [{"what": step.what, "do": step.do} for step in done.by_hand] if done else [],
        "error": str(error) if error else None,
    }
