"""Provision: read, diff, show (the caller does), run, read again: the difference must then be empty.

One path for a dry run and a real one, so a dry run cannot lie; and every run proves by reading that it did what it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from macfleet.checks.disk_space import DiskSpace
from macfleet.core.change import Change
from macfleet.core.errors import CommandFailed, Interrupted, MacfleetError, Unreachable
from macfleet.core.fact import Fact, Facts
from macfleet.core.finding import Verdict
from macfleet.core.outcome import Outcome, Report
from macfleet.core.result import Result
from macfleet.core.words import count
from macfleet.fleet.connection import Connection
from macfleet.fleet.fleet import Fleet, read_facts
from macfleet.fleet.journal import Journal
from macfleet.fleet.lock import fleet_lock
from macfleet.inventory.mac import Mac
from macfleet.macos.sudo import PASSWORDLESS, how_to_allow
from macfleet.modules.base import Surroundings
from macfleet.playbook.load import Playbook
from macfleet.playbook.plan import FilledTask, MacPlan, fill_tasks, plan_mac, wanted_facts
from macfleet.serving.materials import Materials

# A change may make another one visible (a program that was missing can now be asked), and so another round is needed.
_MOST_ROUNDS = 5
_LONG_LIST = 4


@dataclass(frozen=True)
class MacResult:
    """What was done on one Mac, and what is left. `error` None: it was read again and nothing differs any more."""

    mac: str
    done: tuple[tuple[str, Change], ...]  # (task, change)
    left: MacPlan
    error: MacfleetError | None = None


@dataclass
class _Progress:
    """How far a Mac has come, for who is interrupted while its thread still runs."""

    planned: int
    done: list[tuple[str, Change]] = field(default_factory=list)
    under_way: Change | None = None

    def sentence(self, mac: str) -> str:
        made = f"{len(self.done)} of {self.planned} changes made" if self.done else f"none of {self.planned} changes made"
        return f"{mac}: {made}" + (f"; {self.under_way.what} was under way and may be half changed" if self.under_way else "")


class Provisioning:
    """One playbook for the chosen Macs of a fleet: first `plan`, then, if wanted, `apply`.

    Raises PlaybookError before any Mac is asked, when a task does not make sense for one of them.
    """

    def __init__(self, fleet: Fleet, playbook: Playbook, materials: Materials):
        self._fleet = fleet
        self._playbook = playbook
        self._materials = materials
        self._tasks = {mac.name: self._fill(mac) for mac in fleet.macs}
        self._around = Surroundings()
        self._progress: dict[str, _Progress] = {}

    def plan(self) -> Report[MacPlan]:
        """What differs, Mac by Mac. Reads for real, writes nothing. Every chosen Mac has an Outcome."""
        everyone = self._fleet.inventory.macs if self._seen_from_elsewhere() else self._fleet.macs
        report = self._fleet.read(self._wanted, macs=everyone)
        materials, order = self._materials, self._fleet.inventory.order
        self._around = Surroundings(order, report.values(), materials.templates, materials.bundle, materials.secret)
        return Report(tuple(self._plan_one(mac, report[mac.name]) for mac in self._fleet.macs))

    def apply(self, plans: Report[MacPlan]) -> Report[MacResult]:
        """Run the plans that were shown. A failing change stops its own Mac only. Every chosen Mac has an Outcome."""
        shown = plans.values()
        macs = [mac for mac in self._fleet.macs if mac.name in shown and not shown[mac.name].is_as_wanted]
        self._progress = {mac.name: _Progress(len(shown[mac.name].changes)) for mac in macs}
        report = self._fleet.each(lambda mac, line: self._apply_one(mac, line, shown[mac.name]), macs=macs, doing="provisioning")
        return Report(tuple(_result(planned, report) for planned in plans))

    def so_far(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Of an `apply` that was broken off: a sentence for each Mac, and the changes that were made there."""
        return {mac: (one.sentence(mac), tuple(change.line() for _, change in one.done)) for mac, one in self._progress.items()}

    def _fill(self, mac: Mac) -> tuple[FilledTask, ...]:
        return fill_tasks(self._playbook, mac, {"runtime_id": self._materials.bundle.id(mac.settings.runtime.python)})

    def _wanted(self, mac: Mac) -> Sequence[Fact[Any]]:
        if mac.name not in self._tasks:
            return self._seen_from_elsewhere()
        return tuple(dict.fromkeys((PASSWORDLESS, *wanted_facts(self._tasks[mac.name], mac), *self._seen_from_elsewhere())))

    def _seen_from_elsewhere(self) -> tuple[Fact[Any], ...]:
        """What is read of every Mac of the inventory, because a chosen one's difference depends on it."""
        return tuple(dict.fromkeys(fact for task in self._playbook.tasks for fact in task.module.looks_around))

    def _plan_one(self, mac: Mac, read: Outcome[Facts]) -> Outcome[MacPlan]:
        if read.value is None:
            return Outcome(mac.name, error=read.error, duration_s=read.duration_s)
        try:
            plan = self._diff(mac, read.value)
            if plan.changes and read.value[PASSWORDLESS] is False:
                raise _sudo_asks(mac, plan)
            return Outcome(mac.name, plan, duration_s=read.duration_s)
        except MacfleetError as error:
            error.mac = error.mac or mac.name
            return Outcome(mac.name, error=error, duration_s=read.duration_s)

    def _diff(self, mac: Mac, facts: Facts) -> MacPlan:
        return plan_mac(self._tasks[mac.name], mac, facts, self._around)

    def _read_one(self, mac: Mac, line: Connection) -> MacPlan:
        return self._diff(mac, read_facts(line, self._wanted(mac)))

    def _apply_one(self, mac: Mac, line: Connection, shown: MacPlan) -> MacResult:
        """Run, read again, until nothing differs. What was shown is what is run: a Mac that changed meanwhile is left alone."""
        plan, progress = self._read_one(mac, line), self._progress[mac.name]
        done = progress.done
        if not _aims(plan) <= _aims(shown):
            return MacResult(mac.name, (), plan, _changed_meanwhile(mac))
        for _ in range(_MOST_ROUNDS):
            if failure := _run(line, plan.runnable, progress, mac):
                return MacResult(mac.name, tuple(done), plan, _with_its_disk(mac, line, failure))
            before, plan = plan, self._read_one(mac, line)
            if plan.is_as_wanted:
                return MacResult(mac.name, tuple(done), plan)
            if not plan.runnable or plan.changes == before.changes:
                break
        return MacResult(mac.name, tuple(done), plan, _still_differs(mac, plan))


def run(provisioning: Provisioning, fleet: Fleet, plans: Report[MacPlan], journal: Journal) -> Report[MacResult]:
    """Apply the plans under the fleet lock, and write down what was done, also after Ctrl-C. Raises LockHeld before anything is changed."""
    shown = plans.values()
    macs = [mac for mac in fleet.macs if mac.name in shown and shown[mac.name].changes]
    journal.write("provision-begun", macs={mac.name: len(shown[mac.name].changes) for mac in macs})  # all there is after a SIGKILL
    try:
        with fleet_lock(fleet, "provision", macs):
            results = provisioning.apply(plans)
    except (KeyboardInterrupt, Interrupted) as error:
        raise _interrupted(provisioning, journal, error) from None
    for outcome in results:
        if result := outcome.value:
            lines = [change.line() for _, change in result.done]
            if lines or result.error:
                journal.write("provision", mac=outcome.mac, changes=lines, error=str(result.error) if result.error else None)
    return results


def _interrupted(provisioning: Provisioning, journal: Journal, cause: KeyboardInterrupt | Interrupted) -> Interrupted:
    so_far = provisioning.so_far()
    for mac, (sentence, lines) in so_far.items():
        journal.write("provision", mac=mac, changes=lines, error=f"interrupted: {sentence}")
    truths = [sentence for sentence, _ in so_far.values()] or ["nothing was changed"]
    if isinstance(cause, Interrupted):  # a second time, while the lock was given back
        truths += [str(cause), *cause.truths]
    return Interrupted("provision was interrupted", truths=truths, hint="run the same command again: it goes on with what is left")


def _result(planned: Outcome[MacPlan], applied: Report[MacResult]) -> Outcome[MacResult]:
    if planned.value is None:
        return Outcome(planned.mac, error=planned.error, duration_s=planned.duration_s)
    if planned.value.is_as_wanted:
        return Outcome(planned.mac, MacResult(planned.mac, (), planned.value), duration_s=planned.duration_s)
    return applied[planned.mac]


def _run(line: Connection, changes: Sequence[tuple[str, Change]], progress: _Progress, mac: Mac) -> MacfleetError | None:
    """Make the changes one after another, each over a channel of its own: when the line drops, it is known in which one."""
    for at, (task, change) in enumerate(changes):
        progress.under_way = change
        truths = _truths([made for _, made in progress.done], change, [later for _, later in changes[at + 1 :]])
        try:
            results = line.apply(change.commands)
        except Unreachable as error:
            return type(error)(str(error), mac=mac.name, truths=[*error.truths, *truths], hint=error.hint)
        if len(results) < len(change.commands) or not results[-1].ok:
            return _failed(mac, change, results, truths)
        progress.done.append((task, change))
        progress.under_way = None
    return None


def _failed(mac: Mac, change: Change, results: Sequence[Result], truths: Sequence[str]) -> MacfleetError:
    """What the program said comes first; which program that was, below."""
    last = results[-1] if results else Result(change.commands[0], None, reason="was not run")
    lines = (last.stderr.strip() or last.stdout.strip()).splitlines()
    said = lines[-1].strip() if lines else last.failure()
    ending = f"`{last.command}` {f'ended with {last.exit_status}' if last.exit_status is not None else last.reason}"
    return CommandFailed(f"{mac.name}: {change.what}: {said}", mac=mac.name, truths=[ending, *truths])


def _with_its_disk(mac: Mac, line: Connection, failure: MacfleetError) -> MacfleetError:
    """The failure, and the full disk that is its likely cause: uv, Homebrew and macOS each say that in words of their own."""
    if isinstance(failure, CommandFailed):
        disk = DiskSpace()
        with suppress(MacfleetError):
            for finding in disk.judge(mac, read_facts(line, disk.facts(mac))):
                if finding.verdict is Verdict.FAIL:
                    failure.truths = (f"its disk has {finding.have}", *failure.truths)
                    failure.hint = failure.hint or finding.hint
    return failure


def _truths(done: Sequence[Change], interrupted: Change, waiting: Sequence[Change]) -> list[str]:
    """What is true on a Mac whose plan stopped in the middle of `interrupted`. The plan was shown: a long list is not repeated."""
    truths = [f"done: {change.line()}" for change in done]
    if len(done) > _LONG_LIST:
        truths = [f"done: the first {len(done)} changes of its plan, up to {done[-1].what}"]
    truths.append(f"{interrupted.what} was {interrupted.before}, and may be half changed now")
    return truths + ([f"not begun: {', '.join(change.what for change in waiting)}"] if waiting else [])


def _aims(plan: MacPlan) -> set[tuple[str, str]]:
    """What would be what; not what it was: taking the fleet lock already makes a directory that was absent."""
    return {(change.what, change.after) for _, change in plan.changes}


def _sudo_asks(mac: Mac, plan: MacPlan) -> MacfleetError:
    return MacfleetError(
        f"sudo asks for a password on {mac.name}, and nobody is there to type it: nothing was changed there",
        mac=mac.name,
        truths=[f"{count(len(plan.changes), 'change')} wait there"],
        hint=how_to_allow(mac.user),
    )


def _changed_meanwhile(mac: Mac) -> MacfleetError:
    return MacfleetError(
        f"{mac.name} differs in other things than when its plan was shown: nothing was done there",
        mac=mac.name,
        hint="run the same command again and look at the new plan",
    )


def _still_differs(mac: Mac, plan: MacPlan) -> MacfleetError:
    left = _still_wanted(plan)
    if plan.unknown:
        reasons = list(dict.fromkeys(unknown.reason for _, unknown in plan.unknown))
        return MacfleetError(reasons[0], mac=mac.name, truths=[*reasons[1:], *left], hint="mend that, then run the same command again")
    return MacfleetError("every change was made without an error, and still the Mac differs", mac=mac.name, truths=left)


def _still_wanted(plan: MacPlan) -> list[str]:
    if len(plan.changes) <= _LONG_LIST:
        return [f"{change.line()} is still wanted" for _, change in plan.changes]
    return [f"{len(plan.changes)} changes are still wanted, from {plan.changes[0][1].what} on; `--dry-run` shows them"]
