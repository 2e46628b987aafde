"""`macfleet provision`: what the Macs lack to be as wanted, shown first, then done, then proved by reading again."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from macfleet.cli.folding import fold, name_macs
from macfleet.cli.outcomes import MacLine, show_errors, show_outcomes
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
    from collections.abc import Callable, Mapping

    from macfleet.cli.output import Output
    from macfleet.serving.plan_file import SavedPlan
    from macfleet.serving.playbooks import PlaybookFile
    from macfleet.serving.provision_report import MacProvision, Provision
    from macfleet.serving.run_file import RunFile, Unfinished

OnlyOption = Annotated[list[str] | None, typer.Option("--only", help="Only the tasks with this tag; repeat for more", show_default=False)]
PlaybookOption = Annotated[str, typer.Option("--playbook", help="One that travels with macfleet, or a path to your own")]
PlanOption = Annotated[
    Path | None, typer.Option("--plan", metavar="FILE", help="Look, and write the plan to FILE for --apply", show_default=False)
]
ApplyOption = Annotated[
    Path | None, typer.Option("--apply", metavar="FILE", help="Do what the plan in FILE says, and nothing else", show_default=False)
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with the run that was interrupted, where each Mac stands")]


@dataclass(frozen=True)
class Way:
    """How a playbook is to be carried out. `again` is the command that would do it once more; `purpose` what journals call it.

    `variables` are those given for this run. `held_to`: the plan in a file that the Macs must still fit; `unfinished`: the run
    to go on with.
    """

    only: tuple[str, ...] = ()
    dry_run: bool = False
    yes: bool = False
    again: str = "macfleet provision"
    purpose: str = "provision"
    plan: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    held_to: SavedPlan | None = None
    unfinished: Unfinished | None = None


def provision(
    inventory: InventoryOption = None,
    mac: MacOption = None,
    group: GroupOption = None,
    tag: TagOption = None,
    only: OnlyOption = None,
    playbook: PlaybookOption = "provision",
    dry_run: DryRunOption = False,
    plan: PlanOption = None,
    apply: ApplyOption = None,
    resume: ResumeOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make the Macs as the inventory wants them: power, wired limit, network, Tailscale, the workers' runtime.

    Reads every Mac, shows what differs, asks, closes the difference and reads again. A second run changes nothing. A dry run
    shows the differences inside files, too.

    Example: `macfleet provision --group studios --dry-run`

    Exits 0 when everything is as wanted, 1 when something differs (a dry run, or you said no), 3 when a Mac could not be
    provisioned, or has moved since its plan was made; its error says what was done there and what not.
    """
    from macfleet.serving.playbooks import open_playbook

    session = Session(Options(inventory, mac, group, tag, json, verbose, quiet))
    way = Way(tuple(only or ()), dry_run, yes, again=_again(playbook, only or []), plan=plan)
    if apply is None and not resume:
        carry_out(session, open_playbook(playbook), way)
    else:
        _refuse_other_words(apply, resume, plan=plan, only=only, playbook=playbook != "provision")
        _carry_on(session, apply, way)


def carry_out(session: Session, file: PlaybookFile, way: Way) -> None:
    """Read, show, ask, do, prove; the answer. Ends the command with its exit code."""
    from macfleet.serving.materials import read_materials
    from macfleet.serving.plan_file import hold_to, saved, write_plan
    from macfleet.serving.provision import Provisioning, run
    from macfleet.serving.provision_report import applied, planned
    from macfleet.serving.run_file import RunFile

    tasks = file.playbook.tagged(way.only) if way.only else file.playbook
    runs = RunFile(session.inventory)
    is_left = False
    with session.fleet() as fleet:
        started = fleet.clock.monotonic()
        materials = read_materials(session.inventory, file.templates)
        before = way.unfinished or _standing(session, runs, _name_of(file))
        is_resumed = way.unfinished is not None
        provisioning = Provisioning(fleet, tasks, materials, purpose=way.purpose, unfinished=before, is_resumed=is_resumed)
        plans = provisioning.plan()
        if way.held_to is not None:
            plans = hold_to(way.held_to, plans)
        report = planned(plans, fleet.clock.monotonic() - started)
        agreed = saved(plans, _name_of(file), only=way.only, variables=way.variables, time=_now(fleet.clock.now()))
        if way.plan is not None:
            write_plan(agreed, way.plan)
        is_look = way.dry_run or way.plan is not None
        if not is_look and report.has_changes:
            _show(session.output.talk, report, with_details=session.options.verbose)
            if session.consent(_question(report), yes=way.yes):
                started = fleet.clock.monotonic()
                results = run(provisioning, fleet, plans, session.journal, runs, None if way.unfinished else agreed)
                report = applied(results, fleet.clock.monotonic() - started)
                is_left = runs.path.exists()
    if session.options.json:
        session.output.json(report.as_json())
    else:
        _answer(session.output, report, with_changes=is_look or session.options.quiet)  # else the plan has just shown them
        _say_what_is_next(session.output, report, way, is_left=is_left)
    raise typer.Exit(report.exit_code)


def _carry_on(session: Session, apply: Path | None, way: Way) -> None:
    """With the plan in a file, or with the run that stands: the playbook and its words are those that are written there."""
    from macfleet.core.errors import RequestError
    from macfleet.serving.plan_file import of_macs, read_plan
    from macfleet.serving.playbooks import open_playbook
    from macfleet.serving.run_file import RunFile

    if apply is not None:
        way = replace(way, held_to=(agreed := read_plan(apply)), again=f"macfleet provision --apply {apply}")
        names = of_macs(agreed, session.macs)
    else:
        unfinished = RunFile(session.inventory).load()
        if unfinished is None:
            raise RequestError("no run stands that could be gone on with", hint="`macfleet provision` begins one")
        way, agreed = replace(way, unfinished=unfinished, again="macfleet provision --resume"), unfinished.plan
        names = tuple(name for name in of_macs(agreed, session.macs) if name in unfinished.left)
    if not names:
        raise RequestError("the plan is for none of these Macs", hint=f"it is for {', '.join(agreed.macs) or 'none'}")
    chosen = Session(replace(session.options, macs=list(names), groups=None, tags=None))
    purpose = way.purpose if agreed.playbook == way.purpose else f"run {Path(agreed.playbook).stem}"
    way = replace(way, only=agreed.only, variables=agreed.variables, purpose=purpose)
    carry_out(chosen, open_playbook(agreed.playbook, agreed.variables), way)


def _standing(session: Session, runs: RunFile, playbook: str) -> Unfinished | None:
    """An earlier run of this playbook that was broken off: its handlers may still be owed."""
    standing = runs.standing()
    if standing is None or standing.plan.playbook == playbook:
        return standing
    session.output.talk(f"the run of {standing.plan.playbook} that was broken off is forgotten when this one begins")
    return None


def _refuse_other_words(apply: Path | None, resume: bool, **others: object) -> None:
    from macfleet.core.errors import RequestError

    if apply is not None and resume:
        raise RequestError("--apply does what a file says and --resume what was begun: say one of them")
    given = [f"--{name}" for name, value in others.items() if value]
    if given:
        word = "--resume" if resume else "--apply"
        raise RequestError(f"{word} takes the playbook and its tasks from the plan: leave out {' and '.join(given)}")


def _again(playbook: str, only: list[str]) -> str:
    """The same command, to copy; the selection of Macs is the operator's own."""
    named = ["--playbook", playbook] if playbook != "provision" else []
    return shlex.join(["macfleet", "provision", *named, *(word for tag in only for word in ("--only", tag))])


def _name_of(file: PlaybookFile) -> str:
    return file.path.stem if file.is_ours else str(file.path)


def _now(now: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")


def _question(report: Provision) -> str:
    changes, macs = sum(len(mac.changes) for mac in report.macs), sum(bool(mac.changes) for mac in report.macs)
    return f"Make {count(changes, 'change')} on {count(macs, 'Mac')}?"


def _show(say: Callable[[str], None], report: Provision, *, with_details: bool) -> None:
    """The changes, task by task; what many Macs need alike stands there once, with who needs it."""
    last_task = ""
    said = {mac.mac: [(task, change.line(), change.detail) for task, change in mac.changes] for mac in report.macs}
    for (task, line, detail), macs in fold(said):
        if task != last_task:
            say(task)
        last_task = task
        say(f"  {line}{f'  [{name_macs(macs, of=len(report.macs))}]' if len(report.macs) > 1 else ''}")
        for row in detail.splitlines() if with_details else ():
            say(f"      {row}")


def _answer(output: Output, report: Provision, *, with_changes: bool) -> None:
    if with_changes:
        _show(output.answer, report, with_details=True)
    show_outcomes(output, [_line(mac) for mac in report.macs])
    output.answer(report.sentence())
    show_errors(output, [(mac.mac, mac.error) for mac in report.macs if mac.error is not None])


def _line(mac: MacProvision) -> MacLine:
    counted = count(len(mac.changes), "change") if mac.changes else ""
    said = (*mac.notes, *(mac.unknown if mac.error is None else ()))  # the error says it too
    return MacLine(mac.mac, mac.outcome, counted, mac.duration_s, tuple(f"{task}: {reason}" for task, reason in said))


def _say_what_is_next(output: Output, report: Provision, way: Way, *, is_left: bool) -> None:
    if way.plan is not None and report.has_changes:
        output.next_step(f"macfleet provision --apply {way.plan}")
    elif any(mac.outcome == "would change" for mac in report.macs):
        output.next_step(way.again)
    elif is_left:
        output.next_step("macfleet provision --resume")
