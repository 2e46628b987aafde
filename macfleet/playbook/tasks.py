"""What a playbook says: tasks in order, handlers that a change wakes, how many Macs at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from macfleet.core.errors import PlaybookError
from macfleet.core.near import did_you_mean
from macfleet.inventory.yaml_text import Path, YamlText
from macfleet.modules.base import Module


@dataclass(frozen=True)
class Task:
    """One task as written: `args` and `when` still hold their expressions, each Mac fills them with its own values.

    `notify` names handlers: when this task makes a change on a Mac, they run there after all tasks. A handler is a task too.
    """

    name: str
    module: Module[Any]
    args: dict[str, Any]
    when: str | None
    tags: tuple[str, ...]
    path: Path
    source: YamlText
    file: str
    notify: tuple[str, ...] = ()

    @property
    def is_handler(self) -> bool:
        return self.path[:1] == ("handlers",)

    def at(self, *steps: str | int) -> str:
        """`provision.yaml:14`, the line of the task or of a key inside it."""
        return f"{self.file}:{self.source.line((*self.path, *steps))}"


@dataclass(frozen=True)
class BatchSize:
    """Macs at a time: a number of them, or a share of all."""

    number: int
    is_percent: bool = False

    def of(self, macs: int) -> int:
        """At least one, however small the share."""
        return max(1, macs * self.number // 100 if self.is_percent else self.number)


@dataclass(frozen=True)
class Playbook:
    """Tasks in the order in which they are wanted.

    `handlers` stand in the order in which they run: who notifies another handler is before it. `vars` are the values that
    tasks use as `vars.NAME`, still with their expressions; None is one that must be given for a run. `serial` are the sizes
    of the batches of Macs, the last one for all further batches; empty: all Macs at once. `max_failures`: when more Macs
    than that have failed, no further batch begins; None: nothing stops (there is only one batch).
    """

    name: str
    tasks: tuple[Task, ...]
    handlers: tuple[Task, ...] = ()
    vars: Mapping[str, Any] = field(default_factory=dict)
    serial: tuple[BatchSize, ...] = ()
    max_failures: int | None = None
    source: YamlText = field(default_factory=lambda: YamlText({}, {}))

    def at(self, *steps: str | int) -> str:
        """`provision.yaml:3`, the line of a key of the playbook."""
        return f"{self.name}:{self.source.line(steps)}"

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(tag for task in self.tasks for tag in task.tags))

    def tagged(self, tags: Sequence[str]) -> Playbook:
        """Only the tasks that carry one of these tags; handlers stay. Raises PlaybookError for a tag that no task carries."""
        for tag in tags:
            if tag not in self.tags:
                raise PlaybookError(f'{self.name}: no task is tagged "{tag}"', hint=did_you_mean(tag, self.tags))
        return replace(self, tasks=tuple(task for task in self.tasks if set(task.tags) & set(tags)))

    def batches(self, macs: int) -> tuple[int, ...]:
        """How many Macs at a time, batch after batch, until all `macs` had their turn: `[1, 50%]` of 8 is 1, 4, 3."""
        if not self.serial:
            return (macs,) if macs else ()
        sizes: list[int] = []
        while (left := macs - sum(sizes)) > 0:
            size = self.serial[min(len(sizes), len(self.serial) - 1)]
            sizes.append(min(left, size.of(macs)))
        return tuple(sizes)

    def may_go_on(self, failed: int) -> bool:
        """Whether another batch may begin after this many Macs have failed or could not be reached."""
        return self.max_failures is None or failed <= self.max_failures


def owed(tasks: Iterable[Task], done: Iterable[str]) -> frozenset[str]:
    """The handlers that still have to run, after the tasks named in `done` made their changes in that order.

    A handler that ran after the last task that notified it is owed no more: for a run that ends in the middle, and for one
    that goes on there.
    """
    by_name = {task.name: task for task in tasks}
    waiting: set[str] = set()
    for name in done:
        if (task := by_name.get(name)) is not None:
            waiting.discard(task.name)
            waiting.update(task.notify)
    return frozenset(waiting)
