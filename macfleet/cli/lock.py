"""`macfleet lock …`: who is changing the fleet, and how to break what a dead run left behind."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from macfleet.cli.output import column_width
from macfleet.cli.session import (
    GroupOption,
    InventoryOption,
    JsonOption,
    MacOption,
    Options,
    QuietOption,
    Session,
    TagOption,
    VerboseOption,
    YesOption,
)

if TYPE_CHECKING:
    from macfleet.core.errors import MacfleetError
    from macfleet.core.outcome import Report
    from macfleet.fleet.lock import Lock

app = typer.Typer(help="Show or break the fleet lock.", no_args_is_help=True)


@app.command("show")
def show(
    inventory: InventoryOption = None,
    mac: MacOption = None,
    group: GroupOption = None,
    tag: TagOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show who holds the lock of each Mac: who, since when, for what.

    Example: `macfleet lock show`

    Exits 3 when a Mac is unreachable.
    """
    from macfleet.fleet.lock import read_locks

    session = Session(Options(inventory, mac, group, tag, json, verbose, quiet))
    with session.fleet() as fleet:
        report = read_locks(fleet)
    if json:
        session.output.json({"schema": 1, "macs": [_as_json(outcome.mac, report) for outcome in report]})
    else:
        _print(session, report, "held")
    raise typer.Exit(0 if report.ok else 3)


@app.command("break")
def break_(
    inventory: InventoryOption = None,
    mac: MacOption = None,
    group: GroupOption = None,
    tag: TagOption = None,
    yes: YesOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Break the lock of the chosen Macs, after showing who holds it.

    Example: `macfleet lock break --mac studio-1`

    Only do this when the run that holds it is dead: two runs at once leave Macs in a state that nobody planned.
    """
    from macfleet.fleet.lock import break_locks, read_locks

    session = Session(Options(inventory, mac, group, tag, False, verbose, quiet))
    with session.fleet() as fleet:
        held = read_locks(fleet)
        _print(session, held, "held")
        if not any(held.values().values()):
            session.output.talk("there is nothing to break")
            raise typer.Exit(0 if held.ok else 3)
        if not session.consent("Break these locks?", yes=yes):
            raise typer.Exit(1)
        broken = break_locks(fleet, [mac for mac in fleet.macs if held.values().get(mac.name)])
    _print(session, broken, "broken")
    session.journal.write("lock-break", macs=[name for name, lock in broken.values().items() if lock])
    raise typer.Exit(0 if broken.ok else 3)


def _print(session: Session, report: Report[Lock | None], word: str) -> None:
    width = column_width([outcome.mac for outcome in report])
    for outcome in report:
        if outcome.error is not None:
            session.output.mac_line(outcome.mac, _trouble(outcome.error), width=width)
        elif outcome.value is None:
            session.output.mac_line(outcome.mac, "free", width=width)
        else:
            gone = "; that process is gone, the next run of yours here takes it over" if outcome.value.is_left_behind() else ""
            session.output.mac_line(outcome.mac, word, outcome.value.sentence(time.time()) + gone, width=width)
    for error in report.errors().values():
        session.output.error(error)


def _trouble(error: MacfleetError) -> str:
    from macfleet.core.errors import Unreachable

    return "unreachable" if isinstance(error, Unreachable) else "failed"


def _as_json(mac: str, report: Report[Lock | None]) -> dict[str, object]:
    outcome = report[mac]
    if outcome.error is not None:
        return {"mac": mac, "outcome": _trouble(outcome.error), "error": str(outcome.error)}
    lock = outcome.value
    if lock is None:
        return {"mac": mac, "outcome": "free"}
    held = {"who": lock.who, "host": lock.host, "pid": lock.pid, "since": lock.since, "purpose": lock.purpose}
    return {"mac": mac, "outcome": "held", **held}
