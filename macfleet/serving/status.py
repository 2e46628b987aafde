"""How the services are: what launchd says on each Mac, what the gateway says of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from macfleet.core.errors import MacfleetError
from macfleet.core.outcome import Outcome
from macfleet.core.words import count
from macfleet.engines.base import gateway_label, worker_label
from macfleet.fleet.connection import Connection
from macfleet.fleet.fleet import Fleet
from macfleet.inventory.mac import Mac
from macfleet.macos.launchctl import Job
from macfleet.serving.endpoint import endpoint
from macfleet.serving.gateway import Health, open_gateway
from macfleet.serving.jobs import read_job
from macfleet.serving.roll_file import RollFile
from macfleet.serving.services import Deployed, Leftover, read_leftovers, read_services
from macfleet.window.roll import StateDamaged, Step


@dataclass(frozen=True)
class MacStatus:
    """One Mac's part of a service. `error`: it could not be asked; then the jobs are unknown, not absent."""

    mac: str
    rank: int
    layers: tuple[int, int]
    worker: Job | None = None
    gateway: Job | None = None
    is_head: bool = False
    seen_by_gateway: str = ""
    rss_bytes: int | None = None
    busy_share: float | None = None  # of its time, computing
    step_s: float | None = None  # a decoding step, as measured
    lanes: tuple[int, ...] = ()  # the head's: how many requests share each batch
    error: MacfleetError | None = None

    @property
    def is_well(self) -> bool:
        jobs = (self.worker, self.gateway) if self.is_head else (self.worker,)
        return self.error is None and all(job is not None and job.is_running for job in jobs)

    def as_json(self) -> dict[str, Any]:
        return {
            "mac": self.mac,
            "rank": self.rank,
            "layers": list(self.layers),
            "worker": _job_json(self.worker, self.error),
            "gateway": _job_json(self.gateway, self.error) if self.is_head else None,
            "seen_by_gateway": self.seen_by_gateway or None,
            "rss_bytes": self.rss_bytes,
            "busy_share": self.busy_share,
            "step_ms": round(self.step_s * 1e3, 3) if self.step_s else None,
            "lanes": list(self.lanes),
            "error": str(self.error) if self.error else None,
        }


@dataclass(frozen=True)
class ServiceStatus:
    """A service: `state` is the gateway's word, "silent" when it does not answer, "unknown" when its head does not."""

    deployed: Deployed
    health: Health
    macs: tuple[MacStatus, ...]
    endpoint: str

    @property
    def is_well(self) -> bool:
        return self.health.is_ready and self.is_proved and all(mac.is_well for mac in self.macs)

    @property
    def is_proved(self) -> bool:
        """Whether its deployment came to its end, which is a canary that passed."""
        return bool(self.deployed.canary)

    @property
    def missing(self) -> tuple[str, ...]:
        """Its Macs that could not be asked."""
        return tuple(mac.mac for mac in self.macs if mac.error)

    def without_the_missing(self) -> str:
        """The command that deploys it on its other Macs; empty when none is missing, or no other is left."""
        left = [mac.mac for mac in self.macs if not mac.error]
        if not self.missing or not left:
            return ""
        return f"macfleet deploy --model {self.deployed.model} --name {self.deployed.name} --macs {','.join(left)}"

    def as_json(self) -> dict[str, Any]:
        deployed = self.deployed
        return {
            "service": deployed.name,
            "model": deployed.model,
            "state": self.health.state,
            "reason": self.health.reason or None,
            "epoch": self.health.epoch,
            "running": self.health.running,
            "waiting": self.health.waiting,
            "links": deployed.kind,
            "head": deployed.head,
            "listen": deployed.listen,
            "port": deployed.port,
            "endpoint": self.endpoint,
            "context_tokens": deployed.context_tokens,
            "concurrency": deployed.concurrency,
            "proved": self.is_proved,
            "canary": deployed.canary or None,
            "deployed_at": deployed.deployed_at,
            "deployed_by": deployed.deployed_by,
            "macs": [mac.as_json() for mac in self.macs],
        }


@dataclass(frozen=True)
class Status:
    """All services that the Macs know, and the Macs that could not be asked."""

    services: tuple[ServiceStatus, ...]
    silent: Mapping[str, MacfleetError]
    leftovers: tuple[Leftover, ...] = ()
    roll: tuple[str, ...] = ()  # where a rolling reboot that was begun here stands, one sentence for each Mac
    roll_next: str = "macfleet rolling-reboot --resume"

    @property
    def exit_code(self) -> int:
        """0 all is well, 1 a service is not, 3 a Mac could not be asked: the worst decides."""
        if self.silent:
            return 3
        return 0 if all(service.is_well for service in self.services) and not self.leftovers else 1

    def sentence(self) -> str:
        if not self.services and not self.silent:
            return "no service is deployed"
        well = sum(service.is_well for service in self.services)
        silent = f", {count(len(self.silent), 'Mac')} could not be asked" if self.silent else ""
        return f"{well} of {count(len(self.services), 'service')} well{silent}"

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "services": [service.as_json() for service in self.services],
            "leftovers": [
                {"mac": one.mac, "service": one.deployed.name, "deployed_at": one.deployed.deployed_at} for one in self.leftovers
            ],
            "rolling_reboot": list(self.roll),
            "unreachable": [{"mac": mac, "error": str(error)} for mac, error in self.silent.items()],
            "summary": {
                "services": len(self.services),
                "well": sum(service.is_well for service in self.services),
                "unreachable": len(self.silent),
                "exit_code": self.exit_code,
            },
        }


def read_status(fleet: Fleet, names: Sequence[str] = ()) -> Status:
    """The services of these names, or all. A Mac that does not answer is part of the answer."""
    services, report = read_services(fleet)
    chosen = [service for name, service in sorted(services.items()) if not names or name in names]
    leftovers = [left for left in read_leftovers(services, report) if not names or left.deployed.name in names]
    status = Status(tuple(_status(fleet, service) for service in chosen), report.errors(), tuple(leftovers))
    try:
        return replace(status, roll=_roll(fleet))
    except StateDamaged as error:
        return replace(status, roll=(error.what,), roll_next="macfleet rolling-reboot --abandon")


def _roll(fleet: Fleet) -> tuple[str, ...]:
    found = RollFile(fleet.inventory).load()
    return found[0].standing() if found and any(mac.step is not Step.PENDING for mac in found[0].macs) else ()


def read_health(fleet: Fleet, deployed: Deployed) -> Health:
    """The gateway's word; "unknown" when its head cannot be reached."""
    head = next((mac for mac in fleet.inventory.macs if mac.name == deployed.head), None)
    if head is None:
        return Health("unknown", f"its head {deployed.head} is not in this inventory")
    try:
        with open_gateway(head, fleet.connection(head), deployed) as gateway:
            return gateway.health()
    except MacfleetError as error:
        return Health("unknown", f"{head.name}: {error.what}")


def _status(fleet: Fleet, deployed: Deployed) -> ServiceStatus:
    with fleet.awaiting(deployed.name, "saying how it is"):
        health = read_health(fleet, deployed)
    known = [mac for mac in fleet.inventory.macs if mac.name in deployed.macs]

    def jobs(mac: Mac, connection: Connection) -> tuple[Job | None, Job | None]:
        gateway = read_job(connection, gateway_label(deployed.name)) if mac.name == deployed.head else None
        return read_job(connection, worker_label(deployed.name)), gateway

    report = {outcome.mac: outcome for outcome in fleet.each(jobs, macs=known, doing="reading its jobs")}
    macs = tuple(_mac_status(deployed, rank, report.get(stage.mac), health) for rank, stage in enumerate(deployed.stages))
    head = next((mac for mac in fleet.inventory.macs if mac.name == deployed.head), None)
    where = endpoint(deployed, head) if head else f"{deployed.head}, which is not in this inventory"
    return ServiceStatus(deployed, health, macs, where)


def _mac_status(deployed: Deployed, rank: int, outcome: Outcome[tuple[Job | None, Job | None]] | None, health: Health) -> MacStatus:
    stage = deployed.stages[rank]
    error = MacfleetError("it is not in this inventory") if outcome is None else outcome.error
    worker, gateway = outcome.value if outcome is not None and outcome.value is not None else (None, None)
    seen = health.worker(stage.mac) or {}
    work = seen.get("work") or {}
    return MacStatus(
        mac=stage.mac,
        rank=rank,
        layers=(stage.first_layer, stage.last_layer),
        worker=worker,
        gateway=gateway,
        is_head=rank == 0,
        seen_by_gateway=str(seen.get("state", "")),
        rss_bytes=seen.get("rss_bytes"),
        busy_share=work.get("busy_share"),
        step_s=_measured_step_s(health, rank),
        lanes=tuple(work.get("lanes", ())),
        error=error,
    )


def _measured_step_s(health: Health, rank: int) -> float | None:
    """The head's worker measures all stages; 0 is one that has not computed yet."""
    head = next((worker for worker in health.workers if worker.get("rank") == 0), {})
    measured = (head.get("work") or {}).get("stage_step_s") or ()
    return (measured[rank] or None) if rank < len(measured) else None


def _job_json(job: Job | None, error: MacfleetError | None) -> dict[str, Any] | None:
    if error is not None:
        return None
    if job is None:
        return {"state": "not loaded", "pid": None, "runs": None, "last_exit": None}
    return {"state": job.state, "pid": job.pid, "runs": job.runs, "last_exit": job.last_exit}
