"""One Mac on its way from a plan to a Mac as wanted, in as few round trips as there are changes.

The lock and the reading behind it have come in one trip (`fleet.lock.holding`). Each change is one more: it is written into the
Mac's ledger, then made, and with the last one travel the proof and the lock's end. When the line drops, it is known in which
change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import Any

from macfleet.checks.disk_space import DiskSpace
from macfleet.core.change import Change
from macfleet.core.command import Command
from macfleet.core.errors import CommandFailed, MacfleetError, Unreachable
from macfleet.core.fact import Fact, Facts
from macfleet.core.finding import Verdict
from macfleet.core.result import Result
from macfleet.fleet.connection import Connection
from macfleet.fleet.fleet import questions, read_facts, understand
from macfleet.fleet.lock import HELD, Hold
from macfleet.inventory.mac import Mac
from macfleet.macos.ledger import entry_of, record
from macfleet.playbook.plan import MacPlan
from macfleet.serving.provision_errors import changed_meanwhile, failed, not_written_down, still_differs, taken_meanwhile, truths_of

# A change may make another one visible (a program that was missing can now be asked), and so another round is needed.
_MOST_ROUNDS = 5


@dataclass(frozen=True)
class MacResult:
    """What was done on one Mac, and what is left. `error` None: it was read again and nothing differs any more."""

    mac: str
    done: tuple[tuple[str, Change], ...]  # (task, change)
    left: MacPlan
    error: MacfleetError | None = None


@dataclass
class Progress:
    """How far a Mac has come, for who is interrupted while its thread still runs. `tasks` made their changes in an earlier run."""

    planned: int
    tasks: tuple[str, ...] = ()
    done: list[tuple[str, Change]] = field(default_factory=list)
    under_way: Change | None = None

    @property
    def tasks_done(self) -> tuple[str, ...]:
        return (*self.tasks, *(task for task, _ in self.done))

    def sentence(self, mac: str) -> str:
        made = f"{len(self.done)} of {self.planned} changes made" if self.done else f"none of {self.planned} changes made"
        return f"{mac}: {made}" + (f"; {self.under_way.what} was under way and may be half changed" if self.under_way else "")


@dataclass(frozen=True)
class Look:
    """How a Mac is looked at: what it is asked, and the difference that follows from the answers and from what was done."""

    facts: tuple[Fact[Any], ...]
    plan: Callable[[Facts, Sequence[str]], MacPlan]


@dataclass(frozen=True)
class Scribe:
    """Who hears of each change while it is under way, and when it is made. `by` and `time` stand in the Mac's ledger."""

    by: str
    time: str
    awaiting: Callable[[str, str], AbstractContextManager[None]]  # Mac, what it is doing
    made: Callable[[str, str, Change], None]  # Mac, task, change


class MacRun:
    """Runs one Mac's plan, looks again, until nothing differs. What was shown is what is run: a Mac that moved is left alone."""

    def __init__(self, mac: Mac, line: Connection, hold: Hold, look: Look, progress: Progress, scribe: Scribe):
        self._mac = mac
        self._line = line
        self._hold = hold
        self._look = look
        self._progress = progress
        self._scribe = scribe

    def run(self, shown: MacPlan) -> MacResult:
        plan = self._plan(self._hold.facts[self._mac.name])
        if not aims(plan) <= aims(shown):
            return self._result(plan, changed_meanwhile(self._mac, plan, aims(shown)))
        for _ in range(_MOST_ROUNDS):
            if plan.is_as_wanted:
                return self._result(plan)
            if not plan.runnable:
                break
            before = plan
            try:
                plan = self._plan(self._round(plan))
            except MacfleetError as failure:
                return self._result(plan, self._with_its_disk(failure))
            if _lines(plan) == _lines(before):
                break
        return self._result(plan) if plan.is_as_wanted else self._result(plan, still_differs(self._mac, plan))

    def _plan(self, facts: Facts) -> MacPlan:
        return self._look.plan(facts, self._progress.tasks_done)

    def _result(self, plan: MacPlan, error: MacfleetError | None = None) -> MacResult:
        return MacResult(self._mac.name, tuple(self._progress.done), plan, error)

    def _round(self, plan: MacPlan) -> Facts:
        """Make the changes one after another; what the Mac says behind the last one."""
        *first, last = plan.runnable
        for at, (task, change) in enumerate(first):
            self._make(task, change, plan.runnable[at + 1 :])
        # Behind an unknown, or with handlers still to run, there will be another round: the Mac stays ours.
        release = (self._hold.release(self._mac),) if plan.ends_here else ()
        answers = self._make(*last, (), look=questions(self._look.facts), last=release)
        if release and answers.pop().ok:
            self._hold.released(self._mac)
        return understand(self._look.facts, answers)

    def _make(
        self,
        task: str,
        change: Change,
        later: Sequence[tuple[str, Change]],
        look: Sequence[Command] = (),
        last: Sequence[Command] = (),
    ) -> list[Result]:
        """One round trip: written down, made, looked at. Raises what stood in the way, with what is true now."""
        progress, waiting = self._progress, [each for _, each in later]
        take = () if self._hold.holds(self._mac) else self._hold.take(self._mac)
        entry = entry_of(change, self._scribe.by, self._scribe.time)
        before = (*take, *((record(self._mac.paths, [entry]),) if entry else ()))
        done = [made for _, made in progress.done]
        progress.under_way = change
        number = len(done) + 1
        try:
            with self._scribe.awaiting(self._mac.name, f"{change.what} ({number} of {number + len(waiting)})"):
                results = self._line.apply((*before, *change.commands), look, last)
        except Unreachable as error:
            truths = [*error.truths, *truths_of(done, change, waiting)]
            raise type(error)(str(error), mac=self._mac.name, truths=truths, hint=error.hint) from error
        if len(results) >= len(take) and all(result.ok for result in results[: len(take)]):
            self._hold.taken(self._mac)
        if len(results) < len(before) or not all(result.ok for result in results[: len(before)]):
            progress.under_way = None
            raise self._not_begun(change, results, len(take), truths_of(done, change, waiting, is_begun=False))
        of_change = results[len(before) : len(before) + len(change.commands)]
        if len(of_change) < len(change.commands) or not all(result.ok for result in of_change):
            raise failed(self._mac, change, of_change, truths_of(done, change, waiting))
        progress.done.append((task, change))
        progress.under_way = None
        self._scribe.made(self._mac.name, task, change)
        return results[len(before) + len(change.commands) :]

    def _not_begun(self, change: Change, results: Sequence[Result], take: int, truths: Sequence[str]) -> MacfleetError:
        last = results[-1]
        if len(results) <= take and last.exit_status == HELD:
            return taken_meanwhile(self._mac, truths)
        return not_written_down(self._mac, change, last, truths)

    def _with_its_disk(self, failure: MacfleetError) -> MacfleetError:
        """The failure, and the full disk that is its likely cause: uv, Homebrew and macOS each say that in words of their own."""
        if isinstance(failure, CommandFailed):
            disk = DiskSpace()
            with suppress(MacfleetError):
                for finding in disk.judge(self._mac, read_facts(self._line, disk.facts(self._mac))):
                    if finding.verdict is Verdict.FAIL:
                        failure.truths = (f"its disk has {finding.have}", *failure.truths)
                        failure.hint = failure.hint or finding.hint
        return failure


def aims(plan: MacPlan) -> set[tuple[str, str]]:
    """What would be what; not what it was: taking the fleet lock already makes a directory that was absent."""
    return {(change.what, change.after) for _, change in plan.changes}


def _lines(plan: MacPlan) -> list[str]:
    return [change.line() for _, change in plan.changes]
