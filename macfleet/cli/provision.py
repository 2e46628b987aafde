"""`macfleet provision`: what the Macs lack to be as wanted, shown first, then done, then proved by reading again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NoReturn

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

    from macfleet.cli.output import Output
    from macfleet.serving.playbooks import PlaybookFile
    from macfleet.serving.provision_report import Provision

OnlyOption = Annotated[list[str] | None, typer.Option("--only", help="Only the tasks with this tag; repeat for more", show_default=False)]
PlaybookOption = Annotated[str, typer.Option("--playbook", help="One that travels with macfleet, or a path to your own")]


def provision(
    inventory: InventoryOption = None,
    mac: MacOption = None,
    group: GroupOption = None,
    tag: TagOption = None,
    only: OnlyOption = None,
    playbook: PlaybookOption = "provision",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make the Macs as the inventory wants them: power, wired limit, network, Tailscale, the workers' runtime.

    Reads every Mac, shows what differs, asks, closes the difference and reads again. A second run changes nothing.

    Example: `macfleet provision --group studios --dry-run`

    Exits 0 when everything is as wanted, 1 when something differs (a dry run, or you said no), 3 when a Mac could not be
    provisioned; its error says what was done there and what not.
    """
    from macfleet.serving.playbooks import open_playbook

    session = Session(Options(inventory, mac, group, tag, json, verbose, quiet))
    carry_out(session, open_playbook(playbook), Way(tuple(only or ()), dry_run, yes, again="macfleet provision"))


@dataclass(frozen=True)
class Way:
    """How a playbook is run: which tags of it, only looked at, unasked; `again` is the command that does it, for the next step."""

    only: tuple[str, ...] = ()
    dry_run: bool = False
    yes: bool = False
    again: str = "macfleet provision"


def carry_out(session: Session, file: PlaybookFile, way: Way) -> NoReturn:
    """Read, show, ask, run, read again, answer; ends the command with its exit code."""
    from macfleet.serving.materials import read_materials
    from macfleet.serving.provision import Provisioning, run
    from macfleet.serving.provision_report import applied, planned

    playbook = file.playbook.tagged(way.only) if way.only else file.playbook
    with session.fleet() as fleet:
        started = fleet.clock.monotonic()
        provisioning = Provisioning(fleet, playbook, read_materials(session.inventory, file.templates))
        plans = provisioning.plan()
        report = planned(plans, fleet.clock.monotonic() - started)
        if not way.dry_run and report.has_changes:
            _show(session.output.talk, report)
            if session.consent(_question(report), yes=way.yes):
                started = fleet.clock.monotonic()
                report = applied(run(provisioning, fleet, plans, session.journal), fleet.clock.monotonic() - started)
    if session.options.json:
        session.output.json(report.as_json())
    else:
        _answer(session.output, report, with_changes=way.dry_run or session.options.quiet)  # else the plan has just shown them
        if any(mac.outcome == "would change" for mac in report.macs):
            session.output.next_step(way.again)
    raise typer.Exit(report.exit_code)


def _question(report: Provision) -> str:
    changes, macs = sum(len(mac.changes) for mac in report.macs), sum(bool(mac.changes) for mac in report.macs)
    return f"Make {count(changes, 'change')} on {count(macs, 'Mac')}?"


def _show(say: Callable[[str], None], report: Provision) -> None:
    """The changes, task by task; what many Macs need alike stands there once, with who needs it."""
    last_task = ""
    for (task, line), macs in fold({mac.mac: [(task, change.line()) for task, change in mac.changes] for mac in report.macs}):
        if task != last_task:
            say(task)
        last_task = task
        say(f"  {line}{f'  [{name_macs(macs, of=len(report.macs))}]' if len(report.macs) > 1 else ''}")


def _answer(output: Output, report: Provision, *, with_changes: bool) -> None:
    if with_changes:
        _show(output.answer, report)
    width = column_width([mac.mac for mac in report.macs])
    for mac in report.macs:
        counted = count(len(mac.changes), "change") if mac.changes else ""
        output.mac_line(mac.mac, mac.outcome, counted, width=width, duration_s=mac.duration_s)
        for task, reason in (*mac.notes, *(mac.unknown if mac.error is None else ())):  # the error says it too
            output.answer(f"  {task}: {reason}")
    output.answer(report.sentence())
    for mac in report.macs:
        if mac.error is not None:
            output.error(mac.error)
