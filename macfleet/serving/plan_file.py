"""A plan that was shown, kept: to be looked at by somebody else and applied later, or to go on with after an interruption.

It says what each Mac was and would be, never what is inside a file; of that, and of every command, a digest tells whether it
is still the same.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from macfleet.core.change import Change
from macfleet.core.errors import MacfleetError, RequestError
from macfleet.core.outcome import Outcome, Report
from macfleet.core.secret import Secret
from macfleet.core.words import count
from macfleet.inventory.mac import Mac
from macfleet.playbook.plan import MacPlan

_SHOWN = 4


class Moved(MacfleetError):
    """A Mac is no longer as it was when its plan was made: nothing is done there."""


@dataclass(frozen=True)
class SavedChange:
    """One change of a plan; `sha256` is that of its commands, without secrets."""

    task: str
    what: str
    before: str
    after: str
    sha256: str

    def line(self) -> str:
        return f"{self.what} {self.before} → {self.after}"


@dataclass(frozen=True)
class SavedPlan:
    """What a run would do: which playbook with which words, and what would change on each Mac that answered."""

    playbook: str
    macs: Mapping[str, tuple[SavedChange, ...]]
    only: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    time: str = ""

    def has_the_words_of(self, other: SavedPlan) -> bool:
        """The same playbook, carried out in the same way."""
        return (self.playbook, self.only, self.variables) == (other.playbook, other.only, other.variables)

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "plan": {"playbook": self.playbook, "only": list(self.only), "vars": dict(self.variables), "time": self.time},
            "macs": [{"mac": mac, "changes": [vars(change) for change in changes]} for mac, changes in self.macs.items()],
        }


def saved(
    plans: Report[MacPlan], playbook: str, *, only: tuple[str, ...] = (), variables: Mapping[str, str] | None = None, time: str = ""
) -> SavedPlan:
    """These plans as they can be kept. A Mac that did not answer is not in it."""
    macs = {name: tuple(_saved(task, change) for task, change in plan.changes) for name, plan in plans.values().items()}
    return SavedPlan(playbook, macs, only, variables or {}, time)


def write_plan(plan: SavedPlan, path: Path) -> None:
    """Whole or not at all; readable by whoever writes it alone, because it tells what a Mac lacks."""
    neighbour = path.with_name(f"{path.name}.new")
    try:
        with open(os.open(neighbour, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(json.dumps(plan.as_json(), indent=2, ensure_ascii=False) + "\n")
        neighbour.replace(path)
    except OSError as error:
        raise RequestError(f"the plan cannot be written to {path}: {error.strerror}") from error


def read_plan(path: Path) -> SavedPlan:
    """Raises RequestError when the file is not there, or holds no plan."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text"
        raise RequestError(f"the plan {path} cannot be read: {reason}", hint=f"`macfleet provision --plan {path}` writes one") from error
    return parse_plan(text, str(path))


def parse_plan(text: str, name: str) -> SavedPlan:
    """`name` is what the error calls the file. Raises RequestError."""
    try:
        return plan_of(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RequestError(f"{name} holds no plan that this macfleet understands", hint="make a new one with --plan") from error


def plan_of(document: Mapping[str, Any]) -> SavedPlan:
    """From `SavedPlan.as_json`. Raises ValueError, KeyError, TypeError or AttributeError for anything else."""
    if document["schema"] != 1:
        raise ValueError(f"schema {document['schema']}")
    head = document["plan"]
    macs = {_text(entry["mac"]): tuple(_change(change) for change in entry["changes"]) for entry in document["macs"]}
    variables = {_text(name): _text(value) for name, value in head["vars"].items()}
    return SavedPlan(_text(head["playbook"]), macs, tuple(map(_text, head["only"])), variables, _text(head["time"]))


def hold_to(plan: SavedPlan, now: Report[MacPlan]) -> Report[MacPlan]:
    """What the Macs say now, where that is the plan to the letter; a Mac that moved since has an error that says how."""
    return Report(tuple(_held(plan, outcome) for outcome in now))


def _held(plan: SavedPlan, outcome: Outcome[MacPlan]) -> Outcome[MacPlan]:
    if outcome.value is None:
        return outcome
    then, now = plan.macs.get(outcome.mac), tuple(_saved(task, change) for task, change in outcome.value.changes)
    if then == now:
        return outcome
    return Outcome(outcome.mac, error=_moved(outcome.mac, plan.time, then or (), now), duration_s=outcome.duration_s)


def _moved(mac: str, time: str, then: tuple[SavedChange, ...], now: tuple[SavedChange, ...]) -> Moved:
    gone = [f"in the plan, and not wanted any more: {change.line()}" for change in then if change not in now]
    new = [f"not in the plan, and wanted now: {change.line()}" for change in now if change not in then]
    truths = [*gone, *new] or ["the same changes, in another order"]
    if len(truths) > _SHOWN:
        truths = [*truths[: _SHOWN - 1], f"and {count(len(truths) - _SHOWN + 1, 'more difference')}"]
    return Moved(
        f"{mac} has moved since the plan was made" + (f" ({time})" if time else ""),
        mac=mac,
        truths=[*truths, "nothing was changed there"],
        hint="make a new plan with --plan, look at it, and apply that",
    )


def of_macs(plan: SavedPlan, macs: tuple[Mac, ...]) -> tuple[str, ...]:
    """The Macs of the plan that the inventory (still) has among `macs`, in its order."""
    return tuple(mac.name for mac in macs if mac.name in plan.macs)


def _saved(task: str, change: Change) -> SavedChange:
    return SavedChange(task, change.what, change.before, change.after, _digest(change))


def _digest(change: Change) -> str:
    sha256 = hashlib.sha256()
    for command in change.commands:
        said = b"" if command.stdin is None or isinstance(command.stdin, Secret) else command.stdin
        sha256.update(json.dumps([command.argv, command.sudo, len(said)]).encode() + said)
    return sha256.hexdigest()


def _change(value: Mapping[str, Any]) -> SavedChange:
    return SavedChange(*(_text(value[key]) for key in ("task", "what", "before", "after", "sha256")))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
