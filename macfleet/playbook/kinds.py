"""Arguments of the wrong kind, said at the line of the task that gives them."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import ValidationError

from macfleet.inventory.problems import problems_of
from macfleet.inventory.yaml_text import Path, Problem, YamlText
from macfleet.playbook.tasks import Task


def problems_of_args(task: Task, error: ValidationError, counts: Callable[[Path], bool] = lambda path: True) -> list[Problem]:
    """What the module says of the task's arguments; only of those at a path that counts."""
    found = problems_of(error, task.module.Args, YamlText({}, {}), counts)
    return [task.source.problem((*task.path, task.module.name, *problem.path), problem.text) for problem in found]
