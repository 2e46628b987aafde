"""`macfleet unenroll`: take the key and the sudoers rule away again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from macfleet.cli.enroll import MacsArgument
from macfleet.cli.folding import fold, name_macs
from macfleet.cli.output import column_width
from macfleet.cli.session import (
    DryRunOption,
    GroupOption,
    InventoryOption,
    JsonOption,
    Options,
    QuietOption,
    Session,
    TagOption,
    VerboseOption,
    YesOption,
)
from macfleet.core.words import count

if TYPE_CHECKING:
    from macfleet.cli.output import Output
    from macfleet.core.errors import MacfleetError
    from macfleet.core.outcome import Report
    from macfleet.serving.unenroll import UnenrolPlan


def unenroll(
    macs: MacsArgument = None,
    inventory: InventoryOption = None,
    group: GroupOption = None,
    tag: TagOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Take back what `enroll` did: the key and the sudoers rule it put there, and nothing else.

    It is the last thing macfleet can do on a Mac. Refuses while there is more of macfleet's on it: `macfleet unprovision` takes back
    everything. The pinned host key stays.

    Example: `macfleet unenroll studio-4`

    Exits 1 when something was only shown, 3 when a Mac could not be unenrolled; its error says what is true there.
    """
    from macfleet.serving.unenroll import apply, plan

    session = Session(Options(inventory, macs, group, tag, json, verbose, quiet))
    with session.fleet() as fleet:
        plans = plan(fleet)
        errors = plans.errors()
        wanted = {mac: planned for mac, planned in plans.values().items() if planned.entries}
        _show(session.output, wanted)
        go = bool(wanted) and not dry_run and session.consent(f"Take this back on {count(len(wanted), 'Mac')}?", yes=yes)
        if go:
            errors |= apply(fleet, plans).errors()
            for mac, planned in wanted.items():
                error = errors.get(mac)
                lines = [f"{entry.what} → {entry.before}" for entry in planned.entries]
                session.journal.write("unenroll", mac=mac, changes=lines, error=str(error) if error else None)
    outcomes = {outcome.mac: _outcome(outcome.mac, wanted, errors, go) for outcome in plans}
    if json:
        session.output.json(_as_json(plans, outcomes, errors))
    else:
        _answer(session.output, outcomes, errors)
    raise typer.Exit(3 if errors else 1 if wanted and not go else 0)


def _outcome(mac: str, wanted: dict[str, UnenrolPlan], errors: dict[str, MacfleetError], go: bool) -> str:
    from macfleet.core.errors import Unreachable

    if mac in errors:
        return "unreachable" if isinstance(errors[mac], Unreachable) else "failed"
    if mac not in wanted:
        return "as wanted"
    return "unenrolled" if go else "would change"


def _show(output: Output, wanted: dict[str, UnenrolPlan]) -> None:
    for line, macs in fold(
        {mac: [f"{entry.what}: back to {entry.before}" for entry in planned.entries] for mac, planned in wanted.items()}
    ):
        output.talk(f"  {line}{f'  [{name_macs(macs, of=len(wanted))}]' if len(wanted) > 1 else ''}")


def _answer(output: Output, outcomes: dict[str, str], errors: dict[str, MacfleetError]) -> None:
    width = column_width(list(outcomes))
    for mac, outcome in outcomes.items():
        output.mac_line(mac, outcome, "macfleet was never enrolled there" if outcome == "as wanted" else "", width=width)
    tally = [(list(outcomes.values()).count(word), word) for word in ("unenrolled", "as wanted", "would change", "failed", "unreachable")]
    output.answer(", ".join(f"{count(number, 'Mac')} {word}" for number, word in tally if number))
    for error in errors.values():
        output.error(error)


def _as_json(plans: Report[UnenrolPlan], outcomes: dict[str, str], errors: dict[str, MacfleetError]) -> dict[str, Any]:
    known = plans.values()
    macs = [
        {
            "mac": mac,
            "outcome": outcome,
            "taken_back": [entry.what for entry in known[mac].entries] if mac in known else [],
            "error": str(errors[mac]) if mac in errors else None,
        }
        for mac, outcome in outcomes.items()
    ]
    return {"schema": 1, "macs": macs, "summary": {"macs": len(macs), "failed": len(errors)}}
