"""`macfleet verify`: is every Mac as it must be?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from macfleet.cli.completion import playbook_names
from macfleet.cli.folding import fold, name_macs
from macfleet.cli.outcomes import MacLine, show_outcomes
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
)
from macfleet.core.finding import Finding, Verdict

if TYPE_CHECKING:
    from macfleet.checks.base import FleetCheck
    from macfleet.cli.output import Output
    from macfleet.serving.looks import Kept
    from macfleet.serving.verify import Verification

SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="RUN", help="Show what is otherwise than at that run of `macfleet history`, or `last`", show_default=False
    ),
]
WatchOption = Annotated[bool, typer.Option("--watch", help="Look again and again, and show what changes, until Ctrl-C")]
EveryOption = Annotated[str, typer.Option("--every", help="With --watch: how long to wait between two looks")]
PlaybookOption = Annotated[
    str | None,
    typer.Option(
        "--playbook", help="Also check what this playbook says, and change nothing", show_default=False, autocompletion=playbook_names
    ),
]
JunitOption = Annotated[Path | None, typer.Option("--junit", help="Also write the findings as JUnit XML, for CI", show_default=False)]


def verify(
    inventory: InventoryOption = None,
    mac: MacOption = None,
    group: GroupOption = None,
    tag: TagOption = None,
    since: SinceOption = None,
    watch: WatchOption = False,
    every: EveryOption = "30 s",
    junit: JunitOption = None,
    playbook: PlaybookOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Check the Macs: macOS, cables, RDMA, power, wired limit, disk and the rest. Changes nothing.

    Example: `macfleet verify --group studios`

    Each run is kept in the journal, so that the next one can say what is new. `macfleet explain CHECK` says why a check matters.
    Exits 0 when everything is as wanted, 1 when a check fails or could not be judged, 3 when a Mac is unreachable.
    """
    from macfleet.serving.looks import load_kept
    from macfleet.serving.verify import verify as run

    session = Session(Options(inventory, mac, group, tag, json, verbose, quiet))
    if watch:
        from macfleet.cli.watch import Watch

        Watch(session, every, since=since, junit=junit, about_fleet=checks_about_fleet(playbook)).run()
    before = None
    if since is not None:
        from macfleet.serving.drift import find_run

        before = find_run(session.journal.entries(), since)
    with session.fleet() as fleet:
        kept = load_kept(session.inventory.state_dir, fleet.clock.now())
        verification = run(fleet, past=kept.past, fleet_checks=checks_about_fleet(playbook))
    if junit is not None:
        write_junit(junit, verification)
    if before is not None:
        from macfleet.cli.drifted import answer_drift

        answer_drift(session.output, before, verification)
    elif json:
        session.output.json(verification.as_json())
    else:
        show(session.output, verification)
    keep(session, kept, verification)
    raise typer.Exit(verification.exit_code)


def checks_about_fleet(playbook: str | None) -> tuple[FleetCheck, ...]:
    """Those there are, and what a playbook says of the Macs."""
    from macfleet.checks import FLEET_CHECKS

    if playbook is None:
        return FLEET_CHECKS
    from macfleet.playbook.as_check import PlaybookCheck
    from macfleet.serving.playbooks import open_playbook
    from macfleet.serving.wheel import read_bundle

    file = open_playbook(playbook)
    return (*FLEET_CHECKS, PlaybookCheck(file.playbook, file.templates, read_bundle()))


def show(output: Output, verification: Verification) -> None:
    """A line per Mac, then each finding once with the Macs it is about: four Macs alike are read as one."""
    show_outcomes(output, [MacLine(mac.mac, mac.outcome, mac.summary(), mac.duration_s) for mac in verification.macs])
    shown = {mac.mac: [finding for finding in mac.findings if _is_worth_showing(finding, output)] for mac in verification.macs}
    for finding, macs in fold(shown):
        output.finding(finding, on=name_macs(macs, of=len(verification.macs)))
    for finding in verification.fleet:
        output.finding(finding, on="the fleet")
    output.answer(verification.sentence())
    if verification.can_be_provisioned:
        output.next_step("macfleet provision")


def keep(session: Session, kept: Kept, verification: Verification) -> None:
    """For the next run: what was seen, and a line in the journal. Nobody's verdict depends on a directory that may be written."""
    from macfleet.core.errors import MacfleetError
    from macfleet.serving.drift import journal_entry, snapshot
    from macfleet.serving.looks import Seen, save_looks

    journal = session.journal
    try:
        # A journal that has begun anew begins with everything that was seen: the older one goes when this one is full.
        earlier = kept.seen if kept.seen is not None and journal.has(kept.seen.run) else None
        entry = journal_entry(verification, earlier)
        journal.write("verify", **entry)
        is_new = isinstance(entry["seen"], dict) and journal.id is not None
        seen = Seen(journal.id or 0, snapshot(verification).digest) if is_new else earlier
        save_looks(session.inventory.state_dir, kept.past, verification.looks, seen)
    except MacfleetError as error:
        session.output.warn(f"{error}: the next run cannot say what is new since this one")
    except OSError as error:
        session.output.warn(f"{error.filename}: {error.strerror}: the next run cannot say what is new since this one")


def write_junit(path: Path, verification: Verification) -> None:
    from macfleet.cli.junit import render

    path.write_text(render(verification), encoding="utf-8")


def _is_worth_showing(finding: Finding, output: Output) -> bool:
    return output.verbose or finding.verdict is not Verdict.OK
