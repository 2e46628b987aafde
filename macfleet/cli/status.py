"""`macfleet status`: the services and how they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from macfleet.cli.output import column_width
from macfleet.cli.session import InventoryOption, JsonOption, Options, QuietOption, Session, VerboseOption

if TYPE_CHECKING:
    from macfleet.cli.output import Output
    from macfleet.macos.launchctl import Job
    from macfleet.serving.status import MacStatus, ServiceStatus, Status


def status(
    services: Annotated[list[str] | None, typer.Argument(metavar="[SERVICE]...", help="Only these services", show_default=False)] = None,
    inventory: InventoryOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show the services: gateway, epoch, and each Mac's jobs as launchd and the gateway see them.

    Example: `macfleet status --json`

    Exits 0 when every service is well, 1 when one is not, 3 when a Mac could not be asked.
    """
    from macfleet.core.errors import RequestError
    from macfleet.core.near import did_you_mean
    from macfleet.serving.status import read_status

    session = Session(Options(inventory, json=json, verbose=verbose, quiet=quiet))
    with session.fleet() as fleet:
        found = read_status(fleet, services or ())
    known = [service.deployed.name for service in found.services]
    for name in services or ():
        if name not in known and not found.silent:
            raise RequestError(f'there is no service "{name}"', hint=did_you_mean(name, known) or "`macfleet status` shows all there are")
    if json:
        session.output.json(found.as_json())
    else:
        _show(session.output, found)
    raise typer.Exit(found.exit_code)


def _show(output: Output, found: Status) -> None:
    for service in found.services:
        _show_service(output, service)
        if not service.is_proved:
            name = service.deployed.name
            output.warn(f"the deployment of {name} has not come to its end, no canary has passed: deploy it again if nobody does so now")
    if found.roll:
        output.warn("a rolling reboot has begun and not ended")
        for sentence in found.roll:
            output.talk(f"  {sentence}")
        output.next_step(found.roll_next)
    for left in found.leftovers:
        output.warn(left.sentence())
    for mac, error in found.silent.items():
        output.warn(f"{mac} could not be asked: {error.what}; a service that only it knows is missing here")
    output.answer(found.sentence())
    for service in found.services:
        if command := service.without_the_missing():
            output.next_step(f"{command}  # when {' and '.join(service.missing)} will not be back soon")
    for name in dict.fromkeys(left.deployed.name for left in found.leftovers):
        output.next_step(f"macfleet stop {name} --leftovers")
    if not found.services and not found.silent:
        output.next_step("macfleet deploy --model NAME")


def _show_service(output: Output, service: ServiceStatus) -> None:
    deployed, health = service.deployed, service.health
    epoch = f", epoch {health.epoch}" if health.epoch else ""
    load = f", {health.running} running, {health.waiting} waiting" if health.is_ready else ""
    output.answer(f"{deployed.name}: {health.sentence()}{epoch}{load}; {deployed.model} over {deployed.kind} at {service.endpoint}")
    width = column_width([mac.mac for mac in service.macs])
    for mac in service.macs:
        state = "unreachable" if mac.error else "running" if mac.is_well else "down"
        output.mac_line(f"  {mac.mac}", state, _mac_text(mac), width=width + 2)


def _mac_text(mac: MacStatus) -> str:
    from macfleet.core.units import format_size
    from macfleet.core.words import count

    if mac.error is not None:
        return mac.error.what
    parts = [f"layers {mac.layers[0]}-{mac.layers[1] - 1}", f"worker {_job_text(mac.worker)}"]
    if mac.rss_bytes:
        parts.append(format_size(mac.rss_bytes))
    if mac.busy_share is not None:
        parts.append(f"{mac.busy_share:.0%} busy")
    if mac.step_s:
        parts.append(f"step {mac.step_s * 1e3:.1f} ms")
    if mac.lanes:
        parts.append(f"{count(len(mac.lanes), 'batch', 'batches')} of {' and '.join(map(str, mac.lanes))}")
    if mac.is_head:
        parts.append(f"gateway {_job_text(mac.gateway)}")
    if mac.seen_by_gateway:
        parts.append(f"{mac.seen_by_gateway} for the gateway")
    return ", ".join(parts)


def _job_text(job: Job | None) -> str:
    if job is None:
        return "not loaded"
    if job.pid is not None:
        return f"pid {job.pid}"
    return job.state if job.last_exit is None else f"{job.state}, last exit status {job.last_exit}"
