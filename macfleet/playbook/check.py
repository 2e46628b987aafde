"""What can be known of a playbook's values before any Mac is asked: undefined names, values of the wrong kind, templates."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from macfleet.core.near import did_you_mean
from macfleet.core.paths import MacPaths
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Settings
from macfleet.inventory.yaml_text import Path, Problem
from macfleet.playbook.fill import MISTAKES, fill
from macfleet.playbook.kinds import problems_of_args
from macfleet.playbook.names import Shape, parse_template, problems_of_expression, problems_of_names, problems_with_lines
from macfleet.playbook.tasks import Playbook, Task
from macfleet.playbook.variables import fill_variable

_ON_A_MAC: Mapping[str, Shape] = {"mac": Mac, "settings": Settings}
# What a template finds besides its own vars; `login` and `label` come from the module that renders it.
_IN_A_TEMPLATE: Mapping[str, Shape] = {**_ON_A_MAC, "paths": MacPaths, "login": None, "label": None}


def problems_of_values(playbook: Playbook, given: Collection[str]) -> list[Problem]:
    """Undefined names and values of the wrong kind, each at its line. `given` are vars that macfleet itself brings."""
    problems = []
    known: dict[str, Shape] = dict.fromkeys(given)
    for name, value in playbook.vars.items():
        said = problems_of_names(value, {**_ON_A_MAC, "vars": dict(known)})
        problems += [playbook.source.problem(("vars", name), text) for text in said]
        known[name] = None
    constants = _constants(playbook.vars)
    for task in (*playbook.tasks, *playbook.handlers):
        problems += _names_in_task(task, {**_ON_A_MAC, "vars": known})
        problems += _kinds_in_task(task, constants)
    return problems


def problems_of_templates(playbook: Playbook, templates: Mapping[str, str]) -> list[Problem]:
    """Templates that are not there, or use a name that their task does not give them."""
    problems = []
    for task in (*playbook.tasks, *playbook.handlers):
        name = task.args.get("template")
        if isinstance(name, str) and "{" not in name:
            path = (*task.path, task.module.name, "template")
            problems += [task.source.problem(path, text) for text in _in_template(name, templates, task)]
    return problems


def _names_in_task(task: Task, known: Mapping[str, Shape]) -> Iterator[Problem]:
    for key, value in task.args.items():
        for text in problems_of_names(value, known):
            yield task.source.problem((*task.path, task.module.name, key), text)
    for text in problems_of_expression(task.when, known) if task.when else ():
        yield task.source.problem((*task.path, "when"), text)


def _kinds_in_task(task: Task, constants: Mapping[str, Any]) -> Iterator[Problem]:
    args = {key: _as_far_as_known(value, constants) for key, value in task.args.items()}
    try:
        task.module.Args.model_validate(args)
    except ValidationError as error:
        yield from problems_of_args(task, error, lambda path: not _depends_on_a_mac(args, path))


class _Later:
    """Stands where a value depends on the Mac: whatever is said to be wrong with it is not known yet."""


def _as_far_as_known(value: Any, constants: Mapping[str, Any]) -> Any:
    match value:
        case dict():
            return {key: _as_far_as_known(item, constants) for key, item in value.items()}
        case list():
            return [_as_far_as_known(item, constants) for item in value]
    try:
        return fill(value, {"vars": constants})
    except MISTAKES:
        return _Later()


def _depends_on_a_mac(args: Any, path: Path) -> bool:
    """Whether anything at this path, on the way to it or inside it is only known on a Mac."""
    for step in path:
        try:
            args = args[step]
        except (LookupError, TypeError):  # a step that pydantic adds, such as the branch of a union
            break
    return _holds_a_later_one(args)


def _holds_a_later_one(value: Any) -> bool:
    match value:
        case dict():
            return any(_holds_a_later_one(item) for item in value.values())
        case list():
            return any(_holds_a_later_one(item) for item in value)
    return isinstance(value, _Later)


def _constants(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The vars that are the same on every Mac."""
    known: dict[str, Any] = {}
    for name, value in variables.items():
        with suppress(*MISTAKES):
            if value is not None:
                known[name] = fill_variable(value, {"vars": known})
    return known


def _in_template(name: str, templates: Mapping[str, str], task: Task) -> Iterator[str]:
    if name not in templates:
        yield f'there is no template "{name}"; {did_you_mean(name, templates)}'
        return
    tree = parse_template(name, templates[name])
    if isinstance(tree, str):
        yield f"templates/{name}:{tree}"
        return
    own = task.args.get("vars")
    known = {**_IN_A_TEMPLATE, **dict.fromkeys(own if isinstance(own, dict) else ())}
    for line, text in dict.fromkeys(problems_with_lines(tree, known)):
        yield f"templates/{name}:{line}: {text}"
