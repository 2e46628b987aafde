"""`macfleet stop SERVICE`: end a service so that nothing is lost."""

from __future__ import annotations

from typing import Annotated

import typer

from macfleet.cli.output import column_width
from macfleet.cli.session import InventoryOption, Options, QuietOption, Session, VerboseOption, YesOption


def stop(
    service: Annotated[str, typer.Argument(help="The service, as `macfleet status` calls it")],
    inventory: InventoryOption = None,
    yes: YesOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Stop a service gently: answers are finished, workers free their memory, plists and secrets go, weights stay.

    Example: `macfleet stop chat --yes`

    Exits 3 when a Mac could not be reached or a job did not end; say it again when the Mac answers.
    """
    from macfleet.core.errors import RequestError
    from macfleet.fleet.lock import fleet_lock
    from macfleet.serving.services import find_service, read_services
    from macfleet.serving.stop import stop_service

    session = Session(Options(inventory, verbose=verbose, quiet=quiet))
    output = session.output
    with session.fleet() as fleet:
        services, report = read_services(fleet)
        deployed = find_service(service, services, report)
        if not session.consent(f"Stop {service} on {', '.join(deployed.macs)}?", yes=yes):
            raise typer.Exit(1)
        macs = [mac for mac in session.inventory.macs if mac.name in deployed.macs]
        if not macs:
            raise RequestError(f"no Mac of {service} is in this inventory: {', '.join(deployed.macs)}")
        with fleet_lock(fleet, f"stop {service}", macs):
            session.journal.write("stop", service=service)
            stopped = stop_service(fleet, deployed, output.talk)
            session.journal.write(
                "stopped", service=service, macs=list(stopped.values()), errors={k: str(v) for k, v in stopped.errors().items()}
            )
    width = column_width([outcome.mac for outcome in stopped])
    for outcome in stopped:
        text = outcome.value.sentence() if outcome.value else outcome.error.what if outcome.error else ""
        output.mac_line(outcome.mac, "stopped" if outcome.ok else "failed", text, width=width, duration_s=outcome.duration_s)
        if outcome.value and outcome.value.warning:
            output.warn(outcome.value.warning)
    for error in stopped.errors().values():
        output.error(error)
    if not stopped.ok:
        output.answer(f"{service} is not stopped everywhere")
        output.next_step(f"macfleet stop {service}")
        raise typer.Exit(3)
    output.answer(f"{service} is stopped; its weights stay on the Macs")
