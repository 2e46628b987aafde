"""`macfleet history …`: the journal of every run from here: who, when, what changed, from what to what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from macfleet.cli.output import column_width
from macfleet.cli.session import InventoryOption, JsonOption, MacOption, Options, QuietOption, Session

if TYPE_CHECKING:
    from macfleet.fleet.history import Run

app = typer.Typer(help="Show what was done to the fleet from here, run by run.", no_args_is_help=False)

LastOption = Annotated[int, typer.Option("--last", min=1, help="How many runs, the newest last")]
EventOption = Annotated[
    list[str] | None, typer.Option("--event", help="Only runs of this kind, such as provision; repeat for more", show_default=False)
]


@app.callback(invoke_without_command=True)
def list_(
    context: typer.Context,
    inventory: InventoryOption = None,
    mac: MacOption = None,
    event: EventOption = None,
    last: LastOption = 20,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show what was done to the fleet from here, run by run.

    Example: `macfleet history --mac studio-2 --event provision`

    The journal stands beside the inventory, in `.macfleet/journal.jsonl`. At 32 MiB it becomes `journal.old.jsonl`, in place of the
    one before, and a new one begins; both are read. A wildcard in --mac counts as in other commands.
    """
    if context.invoked_subcommand is not None:
        context.obj = inventory
        return
    from fnmatch import fnmatchcase

    session = Session(Options(inventory, json=json, quiet=quiet))
    runs = [
        run
        for run in _runs(session)
        if (not event or run.what in event) and (not mac or any(fnmatchcase(name, pattern) for name in run.macs for pattern in mac))
    ][-last:]
    if json:
        session.output.json({"schema": 1, "runs": [run.as_json() for run in runs], "summary": {"runs": len(runs)}})
    elif not runs:
        session.output.talk("nothing of that kind was done from here")
    else:
        _list(session, runs)


@app.command("show")
def show(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="N", help="The number of the run, as `macfleet history` shows it")],
    inventory: InventoryOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show one run: every Mac, every change from what to what, every error. Secrets were never written down.

    Example: `macfleet history show 12`
    """
    from macfleet.core.errors import RequestError

    session = Session(Options(inventory or context.obj, json=json, quiet=quiet))
    runs = _runs(session)
    run = next((run for run in runs if run.id == number), None)
    if run is None:
        numbers = [run.id for run in runs if run.id is not None]
        known = f"there are runs {numbers[0]} to {numbers[-1]}" if numbers else "nothing was done from here yet"
        raise RequestError(f"there is no run {number} in {session.journal.path}", hint=f"{known}; `macfleet history` lists them")
    if json:
        session.output.json({"schema": 1, **run.as_json()})
    else:
        _show(session, run)


def _runs(session: Session) -> tuple[Run, ...]:
    from macfleet.fleet.history import runs_of

    return runs_of(session.journal.entries())


def _list(session: Session, runs: list[Run]) -> None:
    width, what, who = (
        column_width([_number(run) for run in runs]),
        column_width([run.what for run in runs]),
        column_width([run.who for run in runs]),
    )
    for run in runs:
        line = Text(f"{_number(run):>{width}}  ") + Text(f"{run.began.astimezone():%Y-%m-%d %H:%M}", style="dim")
        line += Text(f"  {run.who:<{who}}  {run.what:<{what}}  ")
        session.output.answer(line + Text(run.sentence(), style="red" if run.errors else ""))


def _show(session: Session, run: Run) -> None:
    from macfleet.core.units import format_duration
    from macfleet.fleet.history import lines_of

    took = format_duration((run.ended - run.began).total_seconds())
    session.output.answer(f"run {run.id}: {run.what}, by {run.who}, on {run.began.astimezone():%Y-%m-%d at %H:%M:%S} for {took}")
    for entry in run.entries:
        head = Text(f"{_clock(entry['time'])}  ", style="dim") + Text(str(entry["event"]))
        session.output.answer(head + Text(f"  {entry['mac']}", style="cyan") if entry.get("mac") else head)
        for line in lines_of(entry):
            session.output.answer(Text(f"  {line}", style="red" if line.startswith("error") else ""))
    if run.was_cut_off:
        session.output.answer("it did not say how it ended: it is still running, or was killed")


def _number(run: Run) -> str:
    return "-" if run.id is None else str(run.id)


def _clock(time: str) -> str:
    from datetime import datetime

    return f"{datetime.fromisoformat(time).astimezone():%H:%M:%S}"
