"""`macfleet playbook …`: the playbooks there are, and every mistake in one, without a Mac."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from macfleet.cli.completion import playbook_names
from macfleet.cli.output import column_width
from macfleet.cli.run import VarOption, values_of
from macfleet.cli.session import InventoryOption, JsonOption, Options, QuietOption, Session
from macfleet.core.words import count

if TYPE_CHECKING:
    from macfleet.cli.output import Output
    from macfleet.core.errors import MacfleetError
    from macfleet.serving.playbooks import PlaybookFile

app = typer.Typer(help="List playbooks, and check one without a Mac.", no_args_is_help=True)

FilesArgument = Annotated[
    list[str],
    typer.Argument(metavar="FILE...", help="Paths to your own, or names of those that travel with macfleet", autocompletion=playbook_names),
]


@app.command("check")
def check(
    files: FilesArgument,
    inventory: InventoryOption = None,
    var: VarOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Check playbooks without asking any Mac: every mistake, with file and line.

    Example: `macfleet playbook check provision`

    Unknown modules, keys and handlers, circles of notifications, undefined names, values of the wrong kind, templates. With an
    inventory at hand each task is also filled for each of its Macs. Exits 2 when anything is wrong.
    """
    session = Session(Options(inventory, json=json, quiet=quiet))
    given = values_of(var or ())
    found = {name: _mistakes(session, name, given) for name in files}
    if json:
        session.output.json(_as_json(found))
    else:
        for name, errors in found.items():
            for error in errors:
                session.output.error(error)
            if not errors:
                session.output.answer(_sound(session, name, given))
    raise typer.Exit(2 if any(found.values()) else 0)


@app.command("list")
def list_(json: JsonOption = False) -> None:
    """List the playbooks that travel with macfleet, with their tags and vars.

    Example: `macfleet playbook list`

    `macfleet run NAME` runs one of them.
    """
    from macfleet.serving.playbooks import our_playbooks

    session = Session(Options(json=json))
    playbooks = our_playbooks()
    if json:
        session.output.json({"schema": 1, "playbooks": [_described(file) for file in playbooks]})
    else:
        _list(session.output, playbooks)


def _mistakes(session: Session, name: str, given: dict[str, str]) -> list[MacfleetError]:
    from macfleet.core.errors import RequestError
    from macfleet.serving.playbooks import check_on, open_playbook

    try:
        file = open_playbook(name, given)
    except RequestError as error:  # PlaybookError is one
        return [error]
    return list(check_on(file.playbook, session.inventory.macs)) if _has_inventory(session) else []


def _has_inventory(session: Session) -> bool:
    """One that was named must be there; the usual one may be missing: a playbook is also checked where there is no fleet."""
    return session.options.inventory is not None or Path("inventory.yaml").is_file()


def _sound(session: Session, name: str, given: dict[str, str]) -> str:
    from macfleet.playbook.variables import missing
    from macfleet.serving.playbooks import open_playbook

    playbook = open_playbook(name, given).playbook
    handlers = f", {count(len(playbook.handlers), 'handler')}" if playbook.handlers else ""
    said = f"{playbook.name}: {count(len(playbook.tasks), 'task')}{handlers}, no mistakes"
    if open_vars := missing(playbook):
        return f"{said}; to be given with --var: {', '.join(open_vars)}"
    return f"{said}, nor for {count(len(session.inventory.macs), 'Mac')} of the inventory" if _has_inventory(session) else said


def _as_json(found: dict[str, list[MacfleetError]]) -> dict[str, object]:
    files = [
        {"playbook": name, "mistakes": [said for error in errors for said in (str(error), *error.truths)]} for name, errors in found.items()
    ]
    return {"schema": 1, "playbooks": files, "summary": {"playbooks": len(files), "wrong": sum(bool(errors) for errors in found.values())}}


def _described(file: PlaybookFile) -> dict[str, object]:
    playbook = file.playbook
    return {
        "name": file.path.stem,
        "about": file.about,
        "tasks": [task.name for task in playbook.tasks],
        "handlers": [task.name for task in playbook.handlers],
        "tags": list(playbook.tags),
        "vars": list(playbook.vars),
    }


def _list(output: Output, playbooks: list[PlaybookFile]) -> None:
    width = column_width([file.path.stem for file in playbooks])
    for file in playbooks:
        output.answer(f"{file.path.stem:<{width}}  {file.about}")
        for word, names in (("tags", file.playbook.tags), ("vars", tuple(file.playbook.vars))):
            if names:
                output.answer(f"{'':<{width}}  {word}: {', '.join(names)}")
