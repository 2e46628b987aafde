"""`macfleet unprovision`: everything that macfleet changed on the Macs is taken back, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from macfleet.cli.folding import fold, name_macs
from macfleet.cli.output import column_width
from macfleet.cli.session import (
    DryRunOption,
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
from macfleet.core.words import count

if TYPE_CHECKING:
    from collections.abc import Callable

    from macfleet.core.errors import MacfleetError
    from macfleet.core.outcome import Outcome, Report
    from macfleet.serving.unprovision import Undo, Undone

KeepAccessOption = Annotated[bool, typer.Option("--keep-access", help="Leave the key and the sudo rule that `enroll` made")]
LeaveOption = Annotated[
    list[str] | None,
    typer.Option("--leave", metavar="WHAT", help="Leave this one thing as it is now, and forget it; repeat for more", show_default=False),
]


def unprovision(
    inventory: InventoryOption = None,
    mac: MacOption = None,
    group: GroupOption = None,
    tag: TagOption = None,
    keep_access: KeepAccessOption = False,
    leave: LeaveOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Take back everything that macfleet changed on the Macs: settings, files, jobs, weights, and at last its own access.

    Each Mac remembers what it was before macfleet first changed it, whoever did that and from wherever. Services on these Macs
    end; weights that macfleet staged there go.

    Example: `macfleet unprovision --mac studio-3 --dry-run`

    Exits 0 when the Macs are as they were, 1 when something would be taken back (a dry run, or you said no), 3 when something
    could not be: it stays in that Mac's ledger, and the same command tries it again.
    """
    from macfleet.serving.unprovision import Wishes, apply, plan

    session = Session(Options(inventory, mac, group, tag, json, verbose, quiet))
    wishes = Wishes(keep_access, tuple(leave or ()))
    with session.fleet() as fleet:
        plans = plan(fleet, wishes)
        is_something = any(not undo.is_nothing for undo in plans.values().values())
        results = None
        if is_something and not dry_run:
            _show(session.output.talk, plans)
            if session.consent(_question(plans), yes=yes):
                results = apply(fleet, plans, wishes, session.journal)
    if json:
        session.output.json(_as_json(plans, results))
    elif results is None:
        _answer_plan(session, plans)
    else:
        _answer(session, results)
    raise typer.Exit(_exit_code(plans, results))


def _question(plans: Report[Undo]) -> str:
    undos = [undo for undo in plans.values().values() if not undo.is_nothing]
    return f"Take back {count(sum(len(undo.lines()) for undo in undos), 'thing')} on {count(len(undos), 'Mac')}?"


def _show(say: Callable[[str], None], plans: Report[Undo]) -> None:
    undos = plans.values()
    for line, macs in fold({name: undo.lines() for name, undo in undos.items()}):
        say(f"{line}{f'  [{name_macs(macs, of=len(undos))}]' if len(undos) > 1 else ''}")
    for note, macs in fold({name: [undo.note] for name, undo in undos.items() if undo.note}):
        say(f"{name_macs(macs, of=len(undos))}: {note}")


def _answer_plan(session: Session, plans: Report[Undo]) -> None:
    _show(session.output.answer, plans)
    _lines(session, plans, {name: "ok" if undo.is_nothing else "would change" for name, undo in plans.values().items()})
    if any(not undo.is_nothing for undo in plans.values().values()):
        session.output.next_step("macfleet unprovision")


def _answer(session: Session, results: Report[Undone]) -> None:
    _lines(session, results, {name: _word(undone) for name, undone in results.values().items()})
    session.output.answer(_sentence(results))
    for name, undone in results.values().items():
        if undone.failed:
            session.output.error(_stayed(name, undone))


def _lines(session: Session, report: Report[Any], words: dict[str, str]) -> None:
    width = column_width([outcome.mac for outcome in report])
    for outcome in report:
        word = words.get(outcome.mac) or _trouble(outcome)
        text = "nothing of macfleet is there" if word == "ok" else _counted(outcome.value)
        session.output.mac_line(outcome.mac, word, text, width=width, duration_s=outcome.duration_s)
    for error in report.errors().values():
        session.output.error(error)


def _counted(value: Undo | Undone | None) -> str:
    from macfleet.serving.unprovision import Undo

    if value is None:
        return ""
    lines = value.lines() if isinstance(value, Undo) else list(value.done)
    return count(len(lines), "thing")


def _sentence(results: Report[Undone]) -> str:
    undone = results.values().values()
    clean = sum(not one.failed for one in undone)
    if clean == len(results.outcomes):
        return f"{count(clean, 'Mac')} as before macfleet"
    return f"{count(clean, 'Mac')} as before macfleet, {len(results.outcomes) - clean} not yet"


def _word(undone: Undone) -> str:
    return "failed" if undone.failed else "changed" if undone.done else "ok"


def _trouble(outcome: Outcome[Any]) -> str:
    from macfleet.core.errors import Unreachable

    return "unreachable" if isinstance(outcome.error, Unreachable) else "failed"


def _stayed(mac: str, undone: Undone) -> MacfleetError:
    from macfleet.core.errors import CommandFailed

    what, _ = undone.failed[0]
    return CommandFailed(
        f"{mac}: {count(len(undone.failed), 'thing')} could not be taken back",
        mac=mac,
        truths=[*(f"{name}: {said}" for name, said in undone.failed), "its ledger and macfleet's own files stay until that is done"],
        hint=f'mend that and run the same command again; `--leave "{what}"` leaves it as it is now',
    )


def _exit_code(plans: Report[Undo], results: Report[Undone] | None) -> int:
    if plans.errors():
        return 3
    if results is None:
        return int(any(not undo.is_nothing for undo in plans.values().values()))
    return 3 if results.errors() or any(undone.failed for undone in results.values().values()) else 0


def _as_json(plans: Report[Undo], results: Report[Undone] | None) -> dict[str, Any]:
    macs = [_mac_json(outcome, results[outcome.mac] if results is not None else None) for outcome in plans]
    return {"schema": 1, "macs": macs, "summary": {"macs": len(macs), "exit_code": _exit_code(plans, results)}}


def _mac_json(planned: Outcome[Undo], done: Outcome[Undone] | None) -> dict[str, Any]:
    shown: Outcome[Any] = planned if done is None else done
    if shown.value is None:
        return {"mac": shown.mac, "outcome": _trouble(shown), "changes": [], "failed": [], "error": str(shown.error)}
    if done is None:
        undo: Undo = shown.value
        return {
            "mac": undo.mac,
            "outcome": "ok" if undo.is_nothing else "would change",
            "changes": undo.lines(),
            "failed": [],
            "error": None,
        }
    undone: Undone = shown.value
    failed = [{"what": what, "said": said} for what, said in undone.failed]
    return {"mac": undone.mac, "outcome": _word(undone), "changes": list(undone.done), "failed": failed, "error": None}
