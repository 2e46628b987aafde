"""The `vars` of a playbook: declared there, given anew for one run, filled with each Mac's values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from macfleet.core.errors import PlaybookError
from macfleet.core.near import did_you_mean
from macfleet.playbook.fill import MISTAKES, fill
from macfleet.playbook.tasks import Playbook


def give(playbook: Playbook, given: Mapping[str, str]) -> Playbook:
    """The playbook with these values in place of its own. Raises PlaybookError for a name that it does not declare.

    What is given is text, never an expression: it comes from outside, perhaps from a program.
    """
    for name in given:
        if name not in playbook.vars:
            hint = did_you_mean(name, playbook.vars) or 'it declares none; write them under "vars:"'
            raise PlaybookError(f'{playbook.name}: there is no var "{name}"', hint=hint)
    return replace(playbook, vars={**playbook.vars, **{name: Literal(value) for name, value in given.items()}})


def missing(playbook: Playbook) -> tuple[str, ...]:
    """The vars that have no value yet: `release:` with nothing behind it must be given for a run."""
    return tuple(name for name, value in playbook.vars.items() if value is None)


def fill_variables(playbook: Playbook, values: Mapping[str, Any]) -> dict[str, Any]:
    """Each var with its expressions replaced; one may use those above it. Raises PlaybookError with file and line."""
    filled: dict[str, Any] = {}
    known = dict(values["vars"])
    for name, value in playbook.vars.items():
        if value is None:
            raise PlaybookError(f'{playbook.at("vars", name)}: "{name}" has no value', hint=f"give it one: --var {name}=…")
        try:
            known[name] = filled[name] = fill_variable(value, {**values, "vars": known})
        except MISTAKES as error:
            raise PlaybookError(f"{playbook.at('vars', name)}: {error}", mac=values["mac"].name) from error
    return filled


class Literal(str):
    """A text that is what it is, with all its braces."""

    __slots__ = ()


def fill_variable(value: Any, values: Mapping[str, Any]) -> Any:
    return _plain(str(value) if isinstance(value, Literal) else fill(value, values))


def _plain(value: Any) -> Any:
    """YAML's texts `true` and `false` as what they say: else `when: not vars.fast` would be false for every text there is."""
    match value:
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case "true" | "false":
            return value == "true"
    return value
