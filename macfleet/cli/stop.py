"""`macfleet stop SERVICE`: end a service so that nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from macfleet.cli.output import column_width
from macfleet.cli.session import InventoryOption, Options, QuietOption, Session, VerboseOption, YesOption

if TYPE_CHECKING:
    from macfleet.cli.output import Output
    from macfleet.core.outcome import Report
    from macfleet.fleet.fleet import Fleet
    from macfleet.serving.services import Deployed, Leftover
    from macfleet.serving.stop import MacStopped

LeftoversOption = Annotated[
    bool, typer.Option("--leftovers", help="Only what Macs that were away still have of deployments replaced since; the service runs on")
]


def stop(
    service: Annotated[str, typer.Argument(help="The service, as `macfleet status` calls it")],
    leftovers: LeftoversOption = False,
    inventory: InventoryOption = None,
    yes: YesOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Stop a service gently: answers are finished, workers free their memory, plists and secrets go, weights stay.

    Example: `macfleet stop chat --yes`

    Exits 3 when a Mac could not be reached or a job did not end; say it again when the Mac answers.
    """
    from macfleet.serving.services import find_service, read_leftovers, read_services

    session = Session(Options(inventory, verbose=verbose, quiet=quiet))
    output = session.output
    with session.fleet() as fleet:
        services, report = read_services(fleet)
        deployed = find_service(service, services, report)
        left = [one for one in read_leftovers(services, report) if one.deployed.name == service]
        if leftovers and not left:
            output.answer(f"no Mac that answers has anything left of {service}")
            raise typer.Exit(3 if report.errors() else 0)
        macs = [*(() if leftovers else deployed.macs), *(one.mac for one in left)]
        question = f"Clear what is left of {service} on" if leftovers else f"Stop {service} on"
        if not session.consent(f"{question} {', '.join(dict.fromkeys(macs))}?", yes=yes):
            raise typer.Exit(1)
        reports = _stop(session, fleet, deployed, left, only_leftovers=leftovers)
    for stopped in reports:
        _show(output, stopped)
    if not all(stopped.ok for stopped in reports):
        output.answer(f"{service} is not stopped everywhere")
        output.next_step(f"macfleet stop {service}{' --leftovers' if leftovers else ''}")
        raise typer.Exit(3)
    output.answer(f"nothing is left of the older {service}" if leftovers else f"{service} is stopped; its weights stay on the Macs")


def _stop(
    session: Session, fleet: Fleet, deployed: Deployed, left: list[Leftover], *, only_leftovers: bool
) -> list[Report[MacStopped]]:  # fmt: skip
    from macfleet.core.errors import RequestError
    from macfleet.fleet.lock import fleet_lock
    from macfleet.serving.stop import clear_leftover, stop_service

    name = deployed.name
    older = {one.mac: one.deployed for one in left}
    current = () if only_leftovers else deployed.macs
    macs = [mac for mac in session.inventory.macs if mac.name in (*current, *older)]
    if not macs:
        raise RequestError(f"no Mac of {name} is in this inventory: {', '.join(deployed.macs)}")
    reports = []
    with fleet_lock(fleet, f"stop {name}", macs):
        session.journal.write("stop", service=name, leftovers=list(older))
        if not only_leftovers:
            reports.append(stop_service(fleet, deployed, session.output.talk))
        if older:
            reports.append(
                fleet.each(
                    lambda mac, connection: clear_leftover(mac, connection, older[mac.name], fleet.clock),
                    macs=[mac for mac in macs if mac.name in older],
                    doing="clearing what is left",
                )
            )
        for stopped in reports:
            errors = {mac: str(error) for mac, error in stopped.errors().items()}
            session.journal.write("stopped", service=name, macs=list(stopped.values()), errors=errors)
    return reports


def _show(output: Output, stopped: Report[MacStopped]) -> None:
    width = column_width([outcome.mac for outcome in stopped])
    for outcome in stopped:
        text = outcome.value.sentence() if outcome.value else outcome.error.what if outcome.error else ""
        output.mac_line(outcome.mac, "stopped" if outcome.ok else "failed", text, width=width, duration_s=outcome.duration_s)
        if outcome.value and outcome.value.warning:
            output.warn(outcome.value.warning)
    for error in stopped.errors().values():
        output.error(error)
