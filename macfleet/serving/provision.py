"""Provision: read, diff, show (the caller does), run, read again: the difference must then be empty.

One path for a dry run and a real one, so a dry run cannot lie; and every run proves by reading that it did what it says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from macfleet.core.change import Change
from macfleet.core.errors import Interrupted, LockHeld, MacfleetError
from macfleet.core.fact import Fact, Facts
from macfleet.core.outcome import Outcome, Report
from macfleet.fleet.connection import Connection
from macfleet.fleet.fleet import Fleet
from macfleet.fleet.journal import Journal
from macfleet.fleet.lock import Hold, holding
from macfleet.inventory.mac import Mac
from macfleet.macos.sudo import PASSWORDLESS
from macfleet.macos.uname import KERNEL, MACS_KERNEL
from macfleet.modules.base import Surroundings
from macfleet.playbook.plan import FilledTask, MacPlan, fill_tasks, plan_mac, wanted_facts
from macfleet.playbook.tasks import Playbook, owed
from macfleet.serving.materials import Materials
from macfleet.serving.plan_file import SavedChange, SavedPlan
from macfleet.serving.provision_errors import changed_meanwhile, not_a_mac, not_begun, sudo_asks
from macfleet.serving.provision_mac import Look, MacResult, MacRun, Progress, Scribe, aims
from macfleet.serving.run_file import RunFile, Unfinished, begun

__all__ = ["MacResult", "Provisioning", "run"]


class Provisioning:
    """One playbook for the chosen Macs of a fleet: first `plan`, then, if wanted, `apply`.

    `purpose` is what the lock, the journal and the Macs' ledgers call it. `unfinished`: an earlier run that was broken off, whose
    handlers may still be owed; with `is_resumed` nothing is done that was not in its plan.
    Raises PlaybookError before any Mac is asked, when a task does not make sense for one of them.
    """

    def __init__(
        self,
        fleet: Fleet,
        playbook: Playbook,
        materials: Materials,
        *,
        purpose: str = "provision",
        unfinished: Unfinished | None = None,
        is_resumed: bool = False,
    ):
        self.purpose = purpose
        self._fleet = fleet
        self.playbook = playbook
        self._materials = materials
        self.unfinished = unfinished
        self.is_resumed = is_resumed
        self._tasks = {mac.name: self._fill(mac) for mac in fleet.macs}
        self._around = Surroundings()
        self._progress: dict[str, Progress] = {}
        self.done_before: dict[str, tuple[str, ...]] = {}  # Mac → the tasks that the unfinished run did there

    def plan(self) -> Report[MacPlan]:
        """What differs, Mac by Mac. Reads for real, writes nothing. Every chosen Mac has an Outcome."""
        everyone = self._fleet.inventory.macs if self._seen_from_elsewhere() else self._fleet.macs
        report = self._fleet.read(self._wanted, macs=everyone)
        materials, order = self._materials, self._fleet.inventory.order
        self._around = Surroundings(order, report.values(), materials.templates, materials.bundle, materials.secret)
        return Report(tuple(self._plan_one(mac, report[mac.name]) for mac in self._fleet.macs))

    def apply(self, plans: Report[MacPlan], file: RunFile | None = None) -> Report[MacResult]:
        """Run the plans that were shown, batch by batch. A failing change stops its own Mac only. Every chosen Mac has an Outcome.

        Each batch is locked while it is under way; raises LockHeld when nothing was changed yet. `file` hears how far it comes.
        """
        results = {outcome.mac: _untouched(outcome) for outcome in plans if outcome.value is None or outcome.value.is_as_wanted}
        shown = {name: plan for name, plan in plans.values().items() if not plan.is_as_wanted}
        for batch in self._batches([mac for mac in self._fleet.macs if mac.name in shown]):
            failures = sum(not _is_done(outcome) for outcome in results.values())
            if self.playbook.may_go_on(failures):
                results |= self._batch(batch, shown, file, is_first=not self._progress)
            else:
                stop = {mac.name: not_begun(mac, failures, self.playbook.max_failures) for mac in batch}
                results |= {mac.name: Outcome(mac.name, MacResult(mac.name, (), shown[mac.name], stop[mac.name])) for mac in batch}
        return Report(tuple(results[outcome.mac] for outcome in plans))

    def so_far(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Of an `apply` that was broken off: a sentence for each Mac, and the changes that were made there."""
        return {mac: (one.sentence(mac), tuple(change.line() for _, change in one.done)) for mac, one in self._progress.items()}

    def _fill(self, mac: Mac) -> tuple[FilledTask, ...]:
        return fill_tasks(self.playbook, mac, {"runtime_id": self._materials.bundle.id(mac.settings.runtime.python)})

    def _wanted(self, mac: Mac) -> tuple[Fact[Any], ...]:
        if mac.name not in self._tasks:
            return self._seen_from_elsewhere()
        return tuple(dict.fromkeys((KERNEL, PASSWORDLESS, *wanted_facts(self._tasks[mac.name], mac), *self._seen_from_elsewhere())))

    def _seen_from_elsewhere(self) -> tuple[Fact[Any], ...]:
        """What is read of every Mac of the inventory, because a chosen one's difference depends on it."""
        return tuple(dict.fromkeys(fact for task in (*self.playbook.tasks, *self.playbook.handlers) for fact in task.module.looks_around))

    def _plan_one(self, mac: Mac, read: Outcome[Facts]) -> Outcome[MacPlan]:
        if read.value is None:
            return Outcome(mac.name, error=read.error, duration_s=read.duration_s)
        try:
            if isinstance(kernel := read.value[KERNEL], str) and kernel != MACS_KERNEL:
                raise not_a_mac(mac, kernel)
            self.done_before[mac.name] = self._done_before(mac, read.value)
            plan = self._diff(mac, read.value, self.done_before[mac.name])
            if plan.changes and read.value[PASSWORDLESS] is False:
                raise sudo_asks(mac, plan)
            self._refuse_another_plan(mac, plan)
            return Outcome(mac.name, plan, duration_s=read.duration_s)
        except MacfleetError as error:
            error.mac = error.mac or mac.name
            return Outcome(mac.name, error=error, duration_s=read.duration_s)

    def _diff(self, mac: Mac, facts: Facts, done: Sequence[str] = ()) -> MacPlan:
        waiting = owed((*self.playbook.tasks, *self.playbook.handlers), done)
        return plan_mac(self._tasks[mac.name], mac, facts, self._around, waiting)

    def _done_before(self, mac: Mac, facts: Facts) -> tuple[str, ...]:
        """The tasks that an unfinished run did here: those it wrote down, and those of its plan that nobody wants any more.

        The last one before a SIGKILL may not have been written down. A handler counts only when it was: to run one twice does
        no harm, to leave it out may.
        """
        if self.unfinished is None or mac.name not in self.unfinished.left:
            return ()
        made, planned = self.unfinished.made.get(mac.name, ()), self.unfinished.plan.macs[mac.name]
        wanted, ours = aims(self._diff(mac, facts)), {task.name for task in self.playbook.tasks}
        vanished = [each.task for each in planned if (each.what, each.after) not in wanted and each.task in ours.difference(made)]
        return (*vanished, *made)

    def _refuse_another_plan(self, mac: Mac, plan: MacPlan) -> None:
        """What was agreed to is gone on with, and nothing else."""
        if self.is_resumed and self.unfinished:
            agreed = _aims_of(self.unfinished.plan.macs.get(mac.name, ()))
            if not aims(plan) <= agreed:
                raise changed_meanwhile(mac, plan, agreed)

    def _batches(self, macs: Sequence[Mac]) -> Iterator[list[Mac]]:
        at = 0
        for size in self.playbook.batches(len(macs)):
            yield list(macs[at : at + size])
            at += size

    def _batch(
        self, macs: Sequence[Mac], shown: Mapping[str, MacPlan], file: RunFile | None, *, is_first: bool
    ) -> dict[str, Outcome[MacResult]]:
        scribe = self._scribe(file)
        try:
            with holding(self._fleet, self.purpose, macs, reading=self._wanted, each_for_itself=True) as hold:
                held = [mac for mac in macs if hold.report[mac.name].ok]
                self._progress |= {mac.name: self._new_progress(mac, shown[mac.name]) for mac in held}
                report = self._fleet.each(
                    lambda mac, line: self._apply_one(mac, line, hold, shown[mac.name], scribe), macs=held, doing="provisioning"
                )
        except LockHeld as error:
            if is_first:
                raise
            return {mac.name: Outcome(mac.name, error=_not_taken(error, mac)) for mac in macs}
        missing = {name: Outcome[MacResult](name, error=error) for name, error in hold.report.errors().items()}
        done = {outcome.mac: outcome for outcome in report}
        for name, outcome in done.items():
            if file is not None and _is_done(outcome):
                file.finished(name)
        return missing | done

    def _new_progress(self, mac: Mac, plan: MacPlan) -> Progress:
        return Progress(len(plan.changes), self.done_before.get(mac.name, ()))

    def _apply_one(self, mac: Mac, line: Connection, hold: Hold, shown: MacPlan, scribe: Scribe) -> MacResult:
        progress = self._progress[mac.name]
        progress.tasks = self._done_before(mac, hold.facts[mac.name])
        look = Look(self._wanted(mac), lambda facts, done: self._diff(mac, facts, done))
        return MacRun(mac, line, hold, look, progress, scribe).run(shown)

    def _scribe(self, file: RunFile | None) -> Scribe:
        def made(mac: str, task: str, change: Change) -> None:
            if file is not None:
                file.made(mac, task)

        time = datetime.fromtimestamp(self._fleet.clock.now(), UTC).isoformat(timespec="seconds")
        return Scribe(self.purpose, time, self._fleet.awaiting, made)


def run(
    provisioning: Provisioning,
    fleet: Fleet,
    plans: Report[MacPlan],
    journal: Journal,
    file: RunFile | None = None,
    agreed: SavedPlan | None = None,
) -> Report[MacResult]:
    """Apply the plans under the fleet lock, and write down what was done, also after Ctrl-C. Raises LockHeld before anything is changed.

    With `file` and the plan that was `agreed` to, the run can be gone on with by --resume until every Mac of it is as wanted.
    """
    shown, event = plans.values(), provisioning.purpose.split()[0]
    macs = [mac for mac in fleet.macs if mac.name in shown and shown[mac.name].changes]
    counts = {mac.name: len(shown[mac.name].changes) for mac in macs}
    journal.write(f"{event}-begun", macs=counts, playbook=provisioning.playbook.name)  # all there is after a SIGKILL
    if file is not None and agreed is not None:
        finished = [name for name, plan in shown.items() if plan.is_as_wanted]
        file.begin(begun(agreed, provisioning.done_before, finished, provisioning.unfinished))
    try:
        results = provisioning.apply(plans, file)
    except (KeyboardInterrupt, Interrupted) as error:
        raise _interrupted(provisioning, journal, error) from None
    for outcome in results:
        if result := outcome.value:
            lines = [change.line() for _, change in result.done]
            if lines or result.error:
                journal.write(event, mac=outcome.mac, changes=lines, error=str(result.error) if result.error else None)
        elif outcome.error is not None:
            journal.write(event, mac=outcome.mac, changes=[], error=str(outcome.error))
    if file is not None and (found := file.load()) is not None and not found.left:
        file.remove()
    return results


def _interrupted(provisioning: Provisioning, journal: Journal, cause: KeyboardInterrupt | Interrupted) -> Interrupted:
    so_far = provisioning.so_far()
    for mac, (sentence, lines) in so_far.items():
        journal.write(provisioning.purpose.split()[0], mac=mac, changes=lines, error=f"interrupted: {sentence}")
    truths = [sentence for sentence, _ in so_far.values()] or ["nothing was changed"]
    if isinstance(cause, Interrupted):  # a second time, while the lock was given back
        truths += [str(cause), *cause.truths]
    hint = "run the same command again, or with --resume: it goes on with what is left"
    return Interrupted(f"{provisioning.purpose} was interrupted", truths=truths, hint=hint)


def _untouched(planned: Outcome[MacPlan]) -> Outcome[MacResult]:
    result = MacResult(planned.mac, (), planned.value) if planned.value is not None else None
    return Outcome(planned.mac, result, planned.error, planned.duration_s)


def _is_done(outcome: Outcome[MacResult]) -> bool:
    return outcome.value is not None and outcome.value.error is None


def _not_taken(error: LockHeld, mac: Mac) -> LockHeld:
    return LockHeld(str(error), mac=mac.name, truths=error.truths, hint=error.hint)


def _aims_of(changes: Sequence[SavedChange]) -> set[tuple[str, str]]:
    return {(change.what, change.after) for change in changes}
