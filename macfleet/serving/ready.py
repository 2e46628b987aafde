"""Waiting until a gang is ready, and saying why when it does not become so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from macfleet.core.command import command
from macfleet.core.errors import MacfleetError, ServiceFailed
from macfleet.core.units import format_duration
from macfleet.engines.base import Job
from macfleet.fleet.connection import Connection
from macfleet.fleet.fleet import Fleet
from macfleet.inventory.mac import Mac
from macfleet.serving.gateway import Health, open_gateway
from macfleet.serving.jobs import read_job
from macfleet.serving.phases import Phases, loadings
from macfleet.serving.services import Deployed

Say = Callable[[str], None]

_POLL_S = 0.3
_SAY_EVERY_S = 10.0
_LOOK_AT_JOBS_EVERY_S = 4.0


@dataclass(frozen=True)
class _Trouble:
    """A job that will not come up by waiting, with the last lines of its log."""

    job: Job
    what: str
    log: tuple[str, ...]


def wait_ready(fleet: Fleet, deployed: Deployed, jobs: Sequence[Job], deadline_s: float, say: Say, phases: Phases) -> Health:
    """/health says ready. Raises ServiceFailed at the deadline, or as soon as a job keeps ending by itself.

    In `phases` it is told how long the workers took until they were loaded (start, load) and until they were linked (link).
    """
    is_loaded = False
    head = fleet.inventory.mac(deployed.head)
    clock, began = fleet.clock, fleet.clock.monotonic()
    said_at, looked_at, last = began, began, ""
    with open_gateway(head, fleet.connection(head), deployed) as gateway:
        while True:
            health = gateway.health()
            if not is_loaded and _are_loaded(health):
                is_loaded = True
                phases.done("start")
                # The workers' own clocks say how much of it was loading; the slowest is what all waited for.
                phases.move(max((worker.load_s for worker in loadings(health)), default=0.0), "start", to="load")
            if health.is_ready:
                phases.done("link")
                return health
            now = clock.monotonic()
            if health.sentence() != last or now - said_at > _SAY_EVERY_S:
                last, said_at = health.sentence(), now
                say(f"{deployed.name}: {last} ({format_duration(now - began)} of at most {format_duration(deadline_s)})")
            if now - began > deadline_s:
                raise _late(fleet, deployed, jobs, health, deadline_s)
            if now - looked_at > _LOOK_AT_JOBS_EVERY_S:
                looked_at = now
                _refuse_crashes(fleet, deployed, jobs)
            clock.sleep(_POLL_S)


def _are_loaded(health: Health) -> bool:
    return health.is_ready or (bool(health.workers) and all(worker.get("state") in ("connected", "ready") for worker in health.workers))


def refuse_other_weights(deployed: Deployed, health: Health) -> None:
    """Raises ServiceFailed when a worker says it serves another file than the one that was staged and hashed for it."""
    for stage in deployed.stages:
        said = (health.worker(stage.mac) or {}).get("weights_sha256")
        if stage.weights_sha256 and said and said != stage.weights_sha256:
            raise ServiceFailed(
                f"the worker on {stage.mac} serves other weights than were staged there",
                mac=stage.mac,
                truths=(f"staged {stage.weights_sha256}", f"served {said}"),
                hint="deploy again: that hashes what is there and sends what differs",
            )


def _refuse_crashes(fleet: Fleet, deployed: Deployed, jobs: Sequence[Job]) -> None:
    troubles = _look(fleet, jobs)
    if troubles:
        raise ServiceFailed(
            f"{deployed.name} does not come up: {troubles[0].what}",
            truths=[line for trouble in troubles for line in (trouble.what, *trouble.log)],
            hint=f"`macfleet logs {deployed.name}` shows the whole log",
        )


def _late(fleet: Fleet, deployed: Deployed, jobs: Sequence[Job], health: Health, deadline_s: float) -> ServiceFailed:
    truths = [f"the gateway says {health.sentence()}"]
    missing = {str(worker.get("mac")) for worker in health.workers if worker.get("state") != "ready"}
    for job in jobs:
        if job.kind == "gateway" or job.mac in missing:
            truths += _tail(fleet, job)
    return ServiceFailed(
        f"{deployed.name} was not ready within {format_duration(deadline_s)}",
        truths=truths,
        hint=f"`macfleet logs {deployed.name}` shows more; a longer wait is `--deadline`",
    )


def _look(fleet: Fleet, jobs: Sequence[Job]) -> list[_Trouble]:
    """Jobs that ended by themselves more than once, or that launchd lost. A Mac that does not answer is no trouble of a job."""
    macs = [mac for mac in fleet.inventory.macs if mac.name in {job.mac for job in jobs}]

    def look(mac: Mac, connection: Connection) -> list[tuple[Job, str]]:
        own = [job for job in jobs if job.mac == mac.name]
        return [(job, what) for job in own if (what := _what_is_wrong(connection, job))]

    found = fleet.each(look, macs=macs, doing="looking at its jobs").values()
    return [_Trouble(job, what, _tail(fleet, job)) for troubles in found.values() for job, what in troubles]


def _what_is_wrong(connection: Connection, job: Job) -> str:
    seen = read_job(connection, job.label)
    if seen is None:
        return f"launchd on {job.mac} has lost {job.label}"
    if (seen.runs or 0) < 2 or seen.last_exit in (None, 0):
        return ""
    return f"{job.label} on {job.mac} ended with {seen.last_exit} and was started {seen.runs} times"


def _tail(fleet: Fleet, job: Job) -> tuple[str, ...]:
    try:
        connection = fleet.connection(fleet.inventory.mac(job.mac))
        lines = connection.read([command("tail", "-n", "3", job.log, timeout_s=10)])[0].stdout.splitlines()
    except MacfleetError as error:
        return (f"{job.mac}: its log could not be read: {error}",)
    return tuple(f"{job.mac} {job.kind}: {line.strip()[:300]}" for line in lines)
