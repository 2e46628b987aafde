"""`macfleet rolling-reboot`: every Mac restarted, one after another, each proved before the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from macfleet.cli.completion import risk_names
from macfleet.cli.session import (
    DryRunOption,
    GroupOption,
    InventoryOption,
    MacOption,
    Options,
    QuietOption,
    Session,
    TagOption,
    VerboseOption,
    YesOption,
)

if TYPE_CHECKING:
    from macfleet.fleet.fleet import Fleet
    from macfleet.serving.roll_file import RollFile
    from macfleet.serving.services import Deployed
    from macfleet.window.roll import Roll, RollOptions

ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on exactly where the last one stands")]
AbandonOption = Annotated[bool, typer.Option("--abandon", help="Forget the one that stands; drained services take requests again")]
DeadlineOption = Annotated[
    str | None, typer.Option("--deadline", help="How long a Mac may take to come back; the inventory's without it", show_default=False)
]
RiskOption = Annotated[
    list[str] | None,
    typer.Option(
        "--accept-risk", help="Accept a danger by its name: `filevault`, `unhealthy-service`", show_default=False, autocompletion=risk_names
    ),
]


def rolling_reboot(
    inventory: InventoryOption = None,
    mac: MacOption = None,
    group: GroupOption = None,
    tag: TagOption = None,
    resume: ResumeOption = False,
    abandon: AbandonOption = False,
    deadline: DeadlineOption = None,
    accept_risk: RiskOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Restart the Macs one after another: drain, stop gently, restart, verify, serve again, next.

    A restart is proved by another kern.bootsessionuuid. Stops at the first Mac that does not come back as it was and says
    what is true now.

    Example: `macfleet rolling-reboot --group studios --yes`

    Exits 0 when every Mac was restarted, 3 when it stands at one; `--resume` goes on there.
    """
    from macfleet.core.errors import RequestError
    from macfleet.serving.roll_file import RollFile, refuse_unfinished

    if resume and abandon:
        raise RequestError("--resume goes on and --abandon forgets: say one of them")
    if resume and (mac or group or tag or deadline):
        raise RequestError("--resume goes on with the Macs and deadlines of the roll that stands", hint="leave the other options out")
    session = Session(Options(inventory, mac, group, tag, verbose=verbose, quiet=quiet))
    file = RollFile(session.inventory)
    if abandon:
        _abandon(session, file)
        return
    found = file.load()
    if resume and found is None:
        raise RequestError(f"no rolling reboot stands: there is no {file.path}", hint="`macfleet rolling-reboot` begins one")
    if not resume:
        refuse_unfinished(found)
        found = None
    accepted = _accepted(accept_risk)
    with session.fleet() as fleet:
        _roll(session, fleet, file, found, _options(session, deadline), accepted, dry_run=dry_run, yes=yes)


def _roll(
    session: Session, fleet: Fleet, file: Any, found: tuple[Roll, dict[str, Deployed]] | None, options: RollOptions,
    accepted: tuple[str, ...], *, dry_run: bool, yes: bool,
) -> None:  # fmt: skip
    from macfleet.core.units import format_duration
    from macfleet.fleet.lock import fleet_lock
    from macfleet.serving.reboot import Roller, halted, interrupted, read_for_roll
    from macfleet.window.roll import Step

    output = session.output
    roll, remembered = found if found else (None, {})
    names = [entry.name for entry in roll.macs] if roll else [mac.name for mac in session.macs]
    macs = [session.inventory.mac(name) for name in names]
    services = read_for_roll(fleet, remembered)
    left = [entry.name for entry in roll.macs if entry.step is not Step.DONE] if roll else names
    _say_plan(session, left, services)
    roller = Roller(fleet, file, session.journal, services, output.talk)
    if dry_run:
        considered = roll or roller.consider(macs, options, accepted)
        if considered.halt is not None:
            raise halted(considered.halt)
        output.answer(f"{_macs(left)} would be restarted")
        return
    if not session.consent(f"Restart {', '.join(left)}?", yes=yes):
        raise typer.Exit(1)
    began = fleet.clock.monotonic()
    try:
        with fleet_lock(fleet, "rolling reboot", macs):
            ready = roller.go_on(roll, accepted) if roll else roller.begin(macs, options, accepted)
            roller.run(ready)
    except KeyboardInterrupt:
        session.journal.write("roll-interrupted")
        raise interrupted(file) from None
    output.answer(f"{_macs(left)} restarted, every one proved, in {format_duration(fleet.clock.monotonic() - began)}")


def _macs(names: list[str]) -> str:
    return f"{len(names)} Mac{'' if len(names) == 1 else 's'}"


def _say_plan(session: Session, left: list[str], services: dict[str, Deployed]) -> None:
    session.output.talk(f"restarting {', '.join(left)}, one after another")
    for service in services.values():
        if set(service.macs) & set(left):
            session.output.talk(f"{service.name} needs all its Macs: it does not answer while one of {', '.join(service.macs)} restarts")


def _abandon(session: Session, file: RollFile) -> None:
    from macfleet.core.errors import RequestError
    from macfleet.fleet.lock import fleet_lock
    from macfleet.serving.reboot import abandon as forget
    from macfleet.serving.reboot import read_for_roll
    from macfleet.window.roll import StateDamaged

    roll: Roll | None = None
    remembered: dict[str, Deployed] = {}
    try:
        found = file.load()
        if found is None:
            raise RequestError(f"no rolling reboot stands: there is no {file.path}")
        roll, remembered = found
    except StateDamaged as error:
        session.output.warn(error.what)
    touched = {entry.name for entry in roll.macs} if roll else None
    macs = [mac for mac in session.inventory.macs if touched is None or mac.name in touched]
    with session.fleet() as fleet:
        services = read_for_roll(fleet, remembered)
        with fleet_lock(fleet, "abandoning a rolling reboot", macs):
            left = forget(fleet, file, roll, services)
    session.journal.write("roll-abandoned", left=list(left))
    for sentence in left:
        session.output.answer(sentence)
    session.output.answer("the rolling reboot is forgotten")


def _options(session: Session, deadline: str | None) -> RollOptions:
    """The inventory's deadlines, the longest of the chosen Macs'; --deadline for the return of each."""
    from macfleet.core.errors import RequestError
    from macfleet.core.units import parse_duration
    from macfleet.window.roll import RollOptions

    wanted = [mac.settings.reboot for mac in session.macs]
    try:
        return_s = parse_duration(deadline) if deadline else max(one.deadline for one in wanted)
    except ValueError as error:
        raise RequestError(f"--deadline: {error}") from error
    return RollOptions(drain_s=max(one.drain for one in wanted), return_s=return_s)


def _accepted(names: list[str] | None) -> tuple[str, ...]:
    from macfleet.core.errors import RequestError
    from macfleet.core.near import did_you_mean
    from macfleet.window.preflight import RISKS

    for name in names or ():
        if name not in RISKS:
            raise RequestError(f'there is no risk "{name}"', hint=did_you_mean(name, RISKS))
    return tuple(names or ())
