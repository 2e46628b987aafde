"""`macfleet verify`: is every Mac as it must be?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

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
    from macfleet.cli.output import Output
    from macfleet.serving.verify import Verification


def verify(
    inventory: InventoryOption = None,
    mac: MacOption = None,
    group: GroupOption = None,
    tag: TagOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Check the Macs: macOS, cables, RDMA, power, wired limit, disk and the rest. Changes nothing.

    Example: `macfleet verify --group studios`

    Exits 0 when everything is as wanted, 1 when a check fails or could not be judged, 3 when a Mac is unreachable.
    """
    from macfleet.serving.verify import verify as run

    session = Session(Options(inventory, mac, group, tag, json, verbose, quiet))
    with session.fleet() as fleet:
        verification = run(fleet)
    if json:
        session.output.json(verification.as_json())
    else:
        _show(session.output, verification)
    raise typer.Exit(verification.exit_code)


def _show(output: Output, verification: Verification) -> None:
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


def _is_worth_showing(finding: Finding, output: Output) -> bool:
    return output.verbose or finding.verdict is not Verdict.OK
