"""Stopping a service so that nothing is lost: answers are finished, jobs end by themselves, wired memory comes back."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from posixpath import join

from macfleet.core.clock import Clock
from macfleet.core.errors import Unreachable
from macfleet.core.fact import Unknown
from macfleet.core.outcome import Report
from macfleet.core.units import GIB, format_duration, format_size
from macfleet.engines.base import gateway_label, worker_label
from macfleet.fleet.connection import Connection
from macfleet.fleet.fleet import Fleet
from macfleet.inventory.mac import Mac
from macfleet.macos import vm_stat
from macfleet.serving import jobs
from macfleet.serving.services import Deployed, service_file

Say = Callable[[str], None]

# What macOS and its own services have wired anyway, about.
_USUAL_WIRED_BYTES = 12 * GIB
_WIRED_DEADLINE_S = 60.0
# What macOS wires and unwires by itself. A leak of less could not be told from it, and would not keep a model from loading.
_NOTICEABLE_BYTES = 2 * GIB
# Written by deploy beside the service; secrets among them. The heartbeats are the jobs' own.
_FILES = ("worker.json", "gateway.json", "ring.json", "rdma.json", "heartbeat.json", "gateway-heartbeat.json")


@dataclass(frozen=True)
class MacStopped:
    """What became of one Mac's part. `warning` says what is not as it should be afterwards."""

    mac: str
    jobs: tuple[jobs.Stopped, ...]
    warning: str = ""

    def sentence(self) -> str:
        ended = [job for job in self.jobs if job.was_loaded]
        if not ended:
            return "nothing was running"
        return ", ".join(f"{job.label} ended in {format_duration(job.took_s)}" for job in ended)


def stop_service(fleet: Fleet, deployed: Deployed, say: Say, *, may_be_away: Collection[str] = ()) -> Report[MacStopped]:
    """Gateway first, which finishes its answers, then the workers; then plists and secrets go, the weights stay.

    What the head keeps about the service goes last and only when every Mac did its part, so that `stop` can be said again;
    a Mac of `may_be_away` that does not answer, and one that is in the inventory no more, are not waited for.
    """
    inventory = fleet.inventory
    known = [inventory.mac(name) for name in deployed.macs if name in {mac.name for mac in inventory.macs}]
    head = [mac for mac in known if mac.name == deployed.head]
    say(f"{deployed.name}: the gateway on {deployed.head} finishes its answers")
    gateway = fleet.each(
        lambda mac, connection: _stop_gateway(mac, connection, deployed, fleet.clock), macs=head, doing="ending the gateway"
    )
    say(f"{deployed.name}: the workers free their memory")
    report = fleet.each(lambda mac, connection: _stop_worker(mac, connection, deployed, fleet.clock), macs=known, doing="ending its worker")
    errors = {**report.errors(), **gateway.errors()}
    if all(mac in may_be_away and isinstance(error, Unreachable) for mac, error in errors.items()):
        fleet.each(lambda mac, connection: jobs.remove(mac, connection, [service_file(mac.paths, deployed.name)]), macs=head)
    return _together(report, gateway)


def clear_leftover(mac: Mac, connection: Connection, left: Deployed, clock: Clock) -> MacStopped:
    """The Mac's part of a deployment that was replaced without it, ended and removed with what the Mac keeps about it."""
    gateway = [_stop_gateway(mac, connection, left, clock)] if mac.name == left.head else []
    stopped = _stop_worker(mac, connection, left, clock)
    jobs.remove(mac, connection, [service_file(mac.paths, left.name)])
    return replace(stopped, jobs=(*gateway, *stopped.jobs))


def stop_jobs_on(mac: Mac, connection: Connection, deployed: Deployed, clock: Clock, deadline_s: float) -> MacStopped:
    """This Mac's jobs of the service end and stay installed: launchd starts them again at the next boot."""
    return MacStopped(mac.name, tuple(jobs.stop(connection, label, clock, deadline_s) for label in labels_on(mac.name, deployed)))


def labels_on(mac: str, deployed: Deployed) -> tuple[str, ...]:
    """The jobs of the service on this Mac, in the order in which they are stopped."""
    gateway = (gateway_label(deployed.name),) if mac == deployed.head else ()
    return (*gateway, worker_label(deployed.name))


def _stop_gateway(mac: Mac, connection: Connection, deployed: Deployed, clock: Clock) -> jobs.Stopped:
    label = gateway_label(deployed.name)
    stopped = jobs.stop(connection, label, clock)
    jobs.remove(mac, connection, [mac.paths.plist(label)])
    return stopped


def _stop_worker(mac: Mac, connection: Connection, deployed: Deployed, clock: Clock) -> MacStopped:
    label = worker_label(deployed.name)
    before = jobs.understand(connection, vm_stat.MEMORY)
    stopped = jobs.stop(connection, label, clock)
    directory = mac.paths.service(deployed.name)
    record = [] if mac.name == deployed.head else [service_file(mac.paths, deployed.name)]
    jobs.remove(mac, connection, [mac.paths.plist(label), *(join(directory, name) for name in _FILES), *record])
    weight_bytes = next(stage.weight_bytes for stage in deployed.stages if stage.mac == mac.name)
    warning = ""
    if stopped.was_loaded and weight_bytes >= _NOTICEABLE_BYTES and not isinstance(before, Unknown):
        warning = _until_unwired(mac, connection, before.wired_bytes, weight_bytes, clock)
    return MacStopped(mac.name, (stopped,), warning)


def _until_unwired(mac: Mac, connection: Connection, before_bytes: int, weight_bytes: int, clock: Clock) -> str:
    """Empty when the memory came back. A process that was killed hard keeps its wired memory until the next boot (omlx#2184)."""
    enough_bytes = max(_USUAL_WIRED_BYTES, before_bytes - weight_bytes // 2)
    began = clock.monotonic()
    while True:
        memory = jobs.understand(connection, vm_stat.MEMORY)
        if isinstance(memory, Unknown):
            return f"nobody knows whether {mac.name} got its wired memory back: {memory.reason}"
        if memory.wired_bytes <= enough_bytes:
            return ""
        if clock.monotonic() - began > _WIRED_DEADLINE_S:
            return f"{mac.name} still has {format_size(memory.wired_bytes)} wired; only a reboot gives leaked memory back"
        clock.sleep(1.0)


def _together(report: Report[MacStopped], gateway: Report[jobs.Stopped]) -> Report[MacStopped]:
    """The head's outcome with its gateway in front of its worker."""
    outcomes = []
    for outcome in report:
        own = next((one for one in gateway if one.mac == outcome.mac), None)
        if own is not None and own.value is not None and outcome.value is not None:
            outcome = replace(outcome, value=replace(outcome.value, jobs=(own.value, *outcome.value.jobs)))
        if own is not None and own.error is not None and outcome.error is None:
            outcome = replace(outcome, error=own.error)
        outcomes.append(outcome)
    return Report(tuple(outcomes))
