"""A playbook's text into tasks. Every mistake that can be seen without a Mac is shown, with file and line, all at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from macfleet.core.errors import PlaybookError
from macfleet.core.near import did_you_mean
from macfleet.inventory.yaml_text import Problem, YamlText, read_yaml
from macfleet.modules import MODULES
from macfleet.modules.base import Module
from macfleet.playbook.check import problems_of_values
from macfleet.playbook.fill import check_syntax
from macfleet.playbook.load_task import TaskReader
from macfleet.playbook.notifications import in_order, problems_of_notifications
from macfleet.playbook.tasks import BatchSize, Playbook, Task

__all__ = ["GIVEN", "Playbook", "Task", "load_playbook"]

_KEYS = ("name", "vars", "serial", "max_failures", "tasks", "handlers")
# What every playbook finds among its vars without declaring it: the runtime that this controller would bring to the Mac.
GIVEN = ("runtime_id",)


def load_playbook(text: str, name: str, modules: Sequence[Module[Any]] = MODULES) -> Playbook:
    """The playbook in `text`; `name` is what messages call the file.

    Raises PlaybookError: `what` is the first mistake ("provision.yaml:14: …"), `truths` are the others.
    """
    source = read_yaml(text)
    if source.problems:
        raise _refusal(name, source.problems)
    if not isinstance(source.value, dict) or not isinstance(source.value.get("tasks"), list):
        raise _refusal(name, [Problem(1, (), 'this file holds no playbook; it starts with "tasks:" and a list')])
    problems = [
        source.problem((key,), f'"{key}" is not a key of a playbook; {did_you_mean(key, _KEYS)}')
        for key in source.value
        if key not in _KEYS
    ]
    variables, wrong_vars = _variables(source)
    serial, wrong_serial = _serial(source)
    reader = TaskReader(source, name, modules)
    tasks, handlers = reader.read("tasks"), reader.read("handlers")
    problems += [*wrong_vars, *wrong_serial, *reader.problems, *problems_of_notifications(source)]
    max_failures = _max_failures(source, problems)
    playbook = Playbook(name, tasks, handlers, variables, serial, max_failures, source)
    problems += problems_of_values(playbook, GIVEN)
    if problems:
        raise _refusal(name, problems)
    return replace(playbook, handlers=in_order(handlers))


def _variables(source: YamlText) -> tuple[dict[str, Any], list[Problem]]:
    said = source.value.get("vars")
    if said is None:
        return {}, []
    if not isinstance(said, dict):
        return {}, [source.problem(("vars",), "write one NAME: VALUE below the other")]
    problems = []
    for key, value in said.items():
        if not re.fullmatch(r"[A-Za-z_]\w*", key):
            problems.append(source.problem(("vars", key), f'"{key}" is no name; use letters, digits and _'))
        elif key in GIVEN:
            problems.append(source.problem(("vars", key), f"{key} comes from macfleet itself; choose another name"))
        elif wrong := check_syntax(value):
            problems.append(source.problem(("vars", key), wrong))
    broken = {problem.path[-1] for problem in problems}
    return {key: None if key in broken else value for key, value in said.items()}, problems


def _serial(source: YamlText) -> tuple[tuple[BatchSize, ...], list[Problem]]:
    """`serial: 2`, `serial: 25%`, or a list of these: `[1, 50%]`."""
    said = source.value.get("serial")
    if said is None:
        return (), []
    items = said if isinstance(said, list) and said else [said]
    sizes = [_batch_size(item) for item in items]
    if None in sizes:
        return (), [source.problem(("serial",), "say how many Macs at a time: 2, 25%, or a list like [1, 50%]")]
    return tuple(size for size in sizes if size is not None), []


def _batch_size(said: Any) -> BatchSize | None:
    match = re.fullmatch(r"([1-9]\d{0,4})(%?)", said) if isinstance(said, str) else None
    if match is None or (match[2] and int(match[1]) > 100):
        return None
    return BatchSize(int(match[1]), bool(match[2]))


def _max_failures(source: YamlText, problems: list[Problem]) -> int | None:
    """Batches without the key stop at the first failure: they were asked for to keep a mistake small."""
    said, has_batches = source.value.get("max_failures"), source.value.get("serial") is not None
    if said is None:
        return 0 if has_batches else None
    if not isinstance(said, str) or not re.fullmatch(r"\d{1,5}", said):
        problems.append(source.problem(("max_failures",), "say how many Macs may fail before no further batch begins: 0, 1, …"))
        return None
    if not has_batches:
        problems.append(source.problem(("max_failures",), "this stops between batches, and there is only one; say serial too"))
    return int(said)


def _refusal(name: str, problems: Sequence[Problem]) -> PlaybookError:
    first, *others = [problem.at(name) for problem in sorted(problems, key=lambda problem: problem.line)]
    return PlaybookError(first, truths=others)
