"""Tasks and facts into a plan: what differs on one Mac, task by task. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from macfleet.core.change import Change, Diff, Unsupported
from macfleet.core.errors import PlaybookError
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict
from macfleet.modules.base import Repeatable, Surroundings
from macfleet.playbook.fill import MISTAKES, evaluate, fill
from macfleet.playbook.kinds import problems_of_args
from macfleet.playbook.tasks import Playbook, Task
from macfleet.playbook.variables import fill_variables


@dataclass(frozen=True)
class FilledTask:
    """A task with one Mac's values in it."""

    task: Task
    args: Strict


@dataclass(frozen=True)
class TaskDiff:
    """What one task found on one Mac; all three empty: it agrees, or it is a handler that nothing woke."""

    task: str
    changes: tuple[Change, ...] = ()
    unsupported: tuple[Unsupported, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    is_handler: bool = False


@dataclass(frozen=True)
class MacPlan:
    """What differs on one Mac. Without changes and without unknowns the Mac is as wanted."""

    mac: str
    tasks: tuple[TaskDiff, ...]

    @property
    def changes(self) -> tuple[tuple[str, Change], ...]:
        """(task, change), in the order in which they are wanted."""
        return tuple((diff.task, change) for diff in self.tasks for change in diff.changes)

    @property
    def unknown(self) -> tuple[tuple[str, Unknown], ...]:
        return tuple((diff.task, unknown) for diff in self.tasks for unknown in diff.unknown)

    @property
    def unsupported(self) -> tuple[tuple[str, Unsupported], ...]:
        return tuple((diff.task, reason) for diff in self.tasks for reason in diff.unsupported)

    @property
    def is_as_wanted(self) -> bool:
        return not self.changes and not self.unknown

    @property
    def runnable(self) -> tuple[tuple[str, Change], ...]:
        """The changes that can be made now, before anybody looks again.

        Those in front of the first unknown: behind it nobody knows what a change would meet. And handlers not along with the
        tasks that wake them: what they do depends on what the tasks leave behind (a job that a task has just brought is there).
        """
        changes: list[tuple[str, Change]] = []
        for diff in self.tasks:
            if diff.is_handler and any(not other.is_handler for other in self.tasks if other.changes):
                break
            changes += [(diff.task, change) for change in diff.changes]
            if diff.unknown:
                break
        return tuple(changes)

    @property
    def ends_here(self) -> bool:
        """Whether nothing is known to be left when the runnable changes are made."""
        return not self.unknown and len(self.runnable) == len(self.changes)


def fill_tasks(playbook: Playbook, mac: Mac, variables: Mapping[str, Any]) -> tuple[FilledTask, ...]:
    """The tasks this Mac is concerned by, then its handlers, with its values. Raises PlaybookError with file, line and Mac.

    `variables` are macfleet's own; the playbook's vars join them.
    """
    values: dict[str, Any] = {"mac": mac, "settings": mac.settings, "vars": variables}
    values["vars"] = {**variables, **fill_variables(playbook, values)}
    wanted = [task for task in (*playbook.tasks, *playbook.handlers) if _is_wanted(task, mac, values)]
    return tuple(FilledTask(task, _args(task, mac, values)) for task in wanted)


def wanted_facts(tasks: Sequence[FilledTask], mac: Mac) -> tuple[Fact[Any], ...]:
    """Every question these tasks ask, each once."""
    return tuple(dict.fromkeys(fact for filled in tasks for fact in filled.task.module.facts(filled.args, mac)))


def plan_mac(tasks: Sequence[FilledTask], mac: Mac, facts: Facts, around: Surroundings, owed: Collection[str] = ()) -> MacPlan:
    """The difference between these tasks and what this Mac said.

    A handler has a part in it only when a task that notifies it would make a change, or when it is `owed`: notified by a
    change that was made earlier (see `tasks.owed`).
    """
    awake, diffs = set(owed), []
    for filled in tasks:
        task = filled.task
        if task.is_handler and task.name not in awake:
            diffs.append(TaskDiff(task.name, is_handler=True))
            continue
        diff = _diff(filled, mac, facts, around)
        if diff.changes:
            awake.update(task.notify)
        diffs.append(diff)
    return MacPlan(mac.name, tuple(diffs))


def _diff(filled: FilledTask, mac: Mac, facts: Facts, around: Surroundings) -> TaskDiff:
    found = _look(filled)(filled.args, mac, facts, around)
    return TaskDiff(
        filled.task.name,
        changes=tuple(item for item in found if isinstance(item, Change)),
        unsupported=tuple(item for item in found if isinstance(item, Unsupported)),
        unknown=tuple(item for item in found if isinstance(item, Unknown)),
        is_handler=filled.task.is_handler,
    )


def _look(filled: FilledTask) -> Callable[..., Diff]:
    """A module that can do its work once more although the Mac agrees (restart a job) does so as a handler."""
    module = filled.task.module
    return module.again if filled.task.is_handler and isinstance(module, Repeatable) else module.diff


def _is_wanted(task: Task, mac: Mac, values: Mapping[str, Any]) -> bool:
    if task.when is None:
        return True
    try:
        wanted = evaluate(task.when, values)
    except MISTAKES as error:
        raise PlaybookError(f"{task.at('when')}: {error}", mac=mac.name) from error
    if not isinstance(wanted, bool):
        raise PlaybookError(f"{task.at('when')}: this is {wanted!r}, neither true nor false", mac=mac.name)
    return wanted


def _args(task: Task, mac: Mac, values: Mapping[str, Any]) -> Strict:
    verb, filled = task.module.name, {}
    for key, value in task.args.items():
        try:
            filled[key] = fill(value, values)
        except MISTAKES as error:
            raise PlaybookError(f"{task.at(verb, key)}: {error}", mac=mac.name) from error
    try:
        args: Strict = task.module.Args.model_validate(filled)
    except ValidationError as error:
        first, *others = [problem.at(task.file) for problem in problems_of_args(task, error)]
        raise PlaybookError(first, mac=mac.name, truths=others) from error
    return args
