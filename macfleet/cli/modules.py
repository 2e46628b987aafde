"""`macfleet modules`: the verbs that a playbook may use."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from macfleet.cli.completion import module_names
from macfleet.cli.output import column_width
from macfleet.cli.session import JsonOption, Options, Session

if TYPE_CHECKING:
    from macfleet.modules.describe import Argument, Description

_WIDTH = 110


def modules(
    name: Annotated[str | None, typer.Argument(help="Explain this module", show_default=False, autocompletion=module_names)] = None,
    json: JsonOption = False,
) -> None:
    """Show the verbs that a playbook may use, or explain one. Asks no Mac.

    Example: `macfleet modules pmset`

    Exits 2 when there is no module of that name.
    """
    from macfleet.core.errors import RequestError
    from macfleet.core.near import did_you_mean
    from macfleet.modules import MODULES
    from macfleet.modules.describe import describe

    session = Session(Options(json=json))
    known = {module.name: module for module in MODULES}
    if name is not None and name not in known:
        raise RequestError(f'there is no module "{name}"', hint=did_you_mean(name, known))
    chosen = [describe(module) for module in MODULES if name in (None, module.name)]
    if json:
        session.output.json({"schema": 1, "modules": [each.as_json() for each in chosen]})
    elif name is not None:
        session.output.answer("\n".join(_page(chosen[0])))
    else:
        width = column_width([each.name for each in chosen])
        for each in chosen:
            session.output.answer(f"{each.name:{width}}  {each.summary}")
        session.output.next_step("macfleet modules NAME")


def _page(module: Description) -> Iterator[str]:
    yield from textwrap.wrap(f"{module.name}: {module.summary}", _WIDTH)
    if module.notes:
        yield ""
        yield from textwrap.wrap(module.notes, _WIDTH)
    yield ""
    for argument in module.arguments:
        yield from _argument(argument)
    yield ""
    yield "  - name: what is true after it"
    yield from (f"    {line}" for line in module.example.splitlines())
    if module.is_repeatable:
        yield ""
        yield "As a handler it does its work once more, also where the Mac agrees."


def _argument(argument: Argument) -> Iterator[str]:
    yield f"  {argument.name}  ({argument.type}; {_default(argument.default)})"
    yield from textwrap.wrap(argument.description, _WIDTH, initial_indent="      ", subsequent_indent="      ")


def _default(default: str | None) -> str:
    if default is None:
        return "must be given"
    return f"default: {default}" if default else "may be left out"
