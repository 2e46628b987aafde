"""A playbook's text into tasks. Every mistake that can be seen without a Mac is shown, with file and line, all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from macfleet.core.errors import PlaybookError
from macfleet.core.near import did_you_mean
from macfleet.inventory.yaml_text import Path, Problem, YamlText, read_yaml
from macfleet.modules import MODULES
from macfleet.modules.base import Module
from macfleet.playbook.fill import check_expression, check_syntax

_AROUND = ("name", "when", "tags")  # what may stand beside the module in a task


@dataclass(frozen=True)
class Task:
    """One task as written: `args` and `when` still hold their expressions, each Mac fills them with its own values."""

    name: str
    module: Module[Any]
    args: dict[str, Any]
    when: str | None
    tags: tuple[str, ...]
    path: Path
    source: YamlText
    file: str

    def at(self, *steps: str | int) -> str:
        """`provision.yaml:14`, the line of the task or of a key inside it."""
        return f"{self.file}:{self.source.line((*self.path, *steps))}"


@dataclass(frozen=True)
class Playbook:
    """Tasks in the order in which they are wanted."""

    name: str
    tasks: tuple[Task, ...]

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(tag for task in self.tasks for tag in task.tags))

    def tagged(self, tags: Sequence[str]) -> Playbook:
        """Only the tasks that carry one of these tags. Raises PlaybookError for a tag that no task carries."""
        for tag in tags:
            if tag not in self.tags:
                raise PlaybookError(f'{self.name}: no task is tagged "{tag}"', hint=did_you_mean(tag, self.tags))
        return Playbook(self.name, tuple(task for task in self.tasks if set(task.tags) & set(tags)))


def load_playbook(text: str, name: str, modules: Sequence[Module[Any]] = MODULES) -> Playbook:
    """The playbook in `text`; `name` is what messages call the file.

    Raises PlaybookError: `what` is the first mistake ("provision.yaml:14: …"), `truths` are the others.
    """
    source = read_yaml(text)
    if source.problems:
        raise _refusal(name, source.problems)
    items = source.value.get("tasks") if isinstance(source.value, dict) else None
    if not isinstance(items, list):
        raise _refusal(name, [Problem(1, (), 'this file holds no playbook; it starts with "tasks:" and a list')])
    problems = [source.problem((key,), f'"{key}" is not a key of a playbook') for key in source.value if key not in ("name", "tasks")]
    tasks = []
    for index, item in enumerate(items):
        task, wrong = _task(item, ("tasks", index), source, name, modules)
        problems += wrong
        if task is not None:
            tasks.append(task)
    if problems:
        raise _refusal(name, problems)
    return Playbook(name, tuple(tasks))


def _task(item: Any, path: Path, source: YamlText, file: str, modules: Sequence[Module[Any]]) -> tuple[Task | None, list[Problem]]:
    if not isinstance(item, dict):
        return None, [source.problem(path, "a task is a mapping: a name and a module")]
    verbs = {module.name: module for module in modules}
    named = [key for key in item if key not in _AROUND]
    problems = [
        source.problem((*path, key), f'there is no module "{key}"; {did_you_mean(key, [*verbs, *_AROUND])}')
        for key in named
        if key not in verbs
    ]
    found = [key for key in named if key in verbs]
    if len(found) != 1 and not problems:
        said = "this task has no module" if not found else f"a task has one module, this one has {' and '.join(found)}"
        return None, [source.problem(path, said)]
    if not found:
        return None, problems
    problems += _problems_around(item, path, source)
    verb, args = found[0], item[found[0]] or {}
    problems += _problems_of_args(verbs[verb], args, (*path, verb), source)
    if problems:
        return None, problems
    tags = item.get("tags") or []
    task = Task(item["name"], verbs[verb], args, item.get("when"), tuple(tags), path, source, file)
    return task, []


def _problems_around(item: dict[str, Any], path: Path, source: YamlText) -> list[Problem]:
    problems = []
    if not isinstance(item.get("name"), str):
        problems.append(source.problem(path, "this task has no name; say in a sentence what is true after it"))
    tags = item.get("tags") or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        problems.append(source.problem((*path, "tags"), "write a list: [A, B]"))
    when = item.get("when")
    if when is not None and (wrong := check_expression(when) if isinstance(when, str) else "write one expression"):
        problems.append(source.problem((*path, "when"), wrong))
    return problems


def _problems_of_args(module: Module[Any], args: Any, path: Path, source: YamlText) -> list[Problem]:
    if not isinstance(args, dict):
        return [source.problem(path, f"{module.name} takes keys: {', '.join(module.Args.model_fields)}")]
    keys = tuple(module.Args.model_fields)
    unknown = [
        source.problem((*path, key), f'"{key}" is not a key of {module.name}; {did_you_mean(key, keys)}') for key in args if key not in keys
    ]
    required = [key for key, field in module.Args.model_fields.items() if field.is_required() and key not in args]
    # A misspelt key is the missing one: said once.
    missing = [source.problem(path, f'{module.name} needs "{key}"') for key in required if not unknown]
    broken = [source.problem((*path, key), wrong) for key, value in args.items() if (wrong := check_syntax(value))]
    return [*unknown, *missing, *broken]


def _refusal(name: str, problems: Sequence[Problem]) -> PlaybookError:
    first, *others = [problem.at(name) for problem in sorted(problems, key=lambda problem: problem.line)]
    return PlaybookError(first, truths=others)
