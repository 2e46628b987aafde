"""The bundled engine: macfleet's own workers on mlx, behind macfleet's own gateway."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from posixpath import join
from typing import Any

from macfleet.core.secret import Secret
from macfleet.core.template import render
from macfleet.core.units import GIB, MIB
from macfleet.engines.base import Gang, Job, JobFile, Seat, gateway_label, worker_label
from macfleet.placement.place import Stage

# A worker frees hundreds of GiB of wired memory when it ends; launchd's own 5 s would be a SIGKILL, which leaks it.
_WORKER_EXIT_TIMEOUT_S = 180
_GATEWAY_EXIT_GRACE_S = 30
# What macOS itself has wired, about; the rest must be free for the stage before a weight is loaded.
_MACOS_WIRED_BYTES = 12 * GIB


class MlxEngine:
    """`templates`: name → text of the files in templates/."""

    name = "mlx"

    def __init__(self, templates: Mapping[str, str]):
        self._templates = templates

    def jobs(self, gang: Gang) -> Sequence[Job]:
        """One worker per Mac in rank order, then the gateway on the head."""
        workers = [self._worker(gang, seat, stage) for seat, stage in zip(gang.seats, gang.placement.stages, strict=True)]
        return (*workers, self._gateway(gang))

    def _worker(self, gang: Gang, seat: Seat, stage: Stage) -> Job:
        config = JobFile(_config_path(gang, seat, "worker"), Secret(_text(worker_config(gang, seat, stage))), 0o600)
        files = (config, *_link_files(gang, seat, stage.rank))
        label = worker_label(gang.service.name)
        arguments = [seat.python, "-m", "macfleet.worker", config.path]
        return self._job(gang, seat, "worker", label, arguments, _WORKER_EXIT_TIMEOUT_S, files)

    def _gateway(self, gang: Gang) -> Job:
        seat = gang.head
        config = JobFile(_config_path(gang, seat, "gateway"), Secret(_text(gateway_config(gang))), 0o600)
        label = gateway_label(gang.service.name)
        arguments = [seat.python, "-m", "macfleet.gateway", config.path]
        return self._job(gang, seat, "gateway", label, arguments, round(gang.drain_s) + _GATEWAY_EXIT_GRACE_S, (config,))

    def _job(
        self, gang: Gang, seat: Seat, kind: str, label: str, arguments: list[str], exit_timeout_s: int, files: tuple[JobFile, ...]
    ) -> Job:
        paths = seat.mac.paths
        log = join(paths.logs, f"{gang.service.name}.{kind}.log")
        values: dict[str, Any] = {
            "label": label,
            "user": seat.user,
            "group": seat.group,
            "arguments": arguments,
            "working_directory": paths.service(gang.service.name),
            # launchd gives a job neither; without HOME the caches of Python and the hub land nowhere.
            "environment": {"HOME": seat.home, "PATH": seat.path, "PYTHONUNBUFFERED": "1"},
            "exit_timeout_s": exit_timeout_s,
            "log": log,
        }
        plist = render(f"{kind}.plist.j2", self._templates, values)
        return Job(seat.mac.name, label, kind, paths.plist(label), plist, log, seat.user, seat.group, files)


def worker_config(gang: Gang, seat: Seat, stage: Stage) -> dict[str, Any]:
    """What `macfleet.worker.config.WorkerConfig` reads."""
    paths = seat.mac.paths
    directory = paths.service(gang.service.name)
    config: dict[str, Any] = {
        "service": gang.service.name,
        "mac": seat.mac.name,
        "rank": stage.rank,
        "world": len(gang.seats),
        "model_dir": paths.model(gang.model_dir_name),
        "first_layer": stage.first_layer,
        "last_layer": stage.last_layer,
        "kind": gang.links.kind,
        "listen_address": gang.links.listen[stage.rank],
        "control": _control(gang),
        "public_key": seat.keys.public,
        "secret_key": seat.keys.secret.reveal(),
        "gateway_public_key": gang.gateway_keys.public,
        "previous_public_key": gang.seats[stage.rank - 1].keys.public,
        "is_proved": gang.is_proved,
        "batched": gang.batched,
        "kv": asdict(gang.placement.kv) if gang.placement.kv else None,
        "context_tokens": gang.placement.context_tokens,
        "concurrency": gang.placement.concurrency,
        "heartbeat_file": join(directory, "heartbeat.json"),
        "wired_gate": _wired_gate(seat, stage) if gang.wired_gate else None,
    }
    if gang.links.kind == "ring":
        config["ring"] = {"hostfile": join(directory, "ring.json")}
    if gang.links.devices:
        fast_synch = seat.mac.settings.interconnect.fast_synch
        coordinator = f"{gang.control_address}:{link_port(gang, 0)}"
        config["jaccl"] = {"devices_file": join(directory, "rdma.json"), "coordinator": coordinator, "fast_synch": fast_synch}
    return config


def gateway_config(gang: Gang) -> dict[str, Any]:
    """What `macfleet.gateway.config.GatewayConfig` reads."""
    paths, service = gang.head.mac.paths, gang.service
    return {
        "service": service.name,
        "model": service.model,
        "model_dir": paths.model(gang.model_dir_name),
        "listen": service.listen,
        "port": service.port,
        "control_bind": _control(gang),
        "public_key": gang.gateway_keys.public,
        "secret_key": gang.gateway_keys.secret.reveal(),
        "workers": [
            {
                "rank": stage.rank,
                "mac": seat.mac.name,
                "public_key": seat.keys.public,
                "first_layer": stage.first_layer,
                "last_layer": stage.last_layer,
            }
            for seat, stage in zip(gang.seats, gang.placement.stages, strict=True)
        ],
        "context_tokens": gang.placement.context_tokens,
        "concurrency": gang.placement.concurrency,
        "api_key": gang.api_keys.own.reveal() if gang.api_keys.own else None,
        "api_keys": {client.name: {"key": client.key.reveal(), "concurrency": client.concurrency} for client in gang.api_keys.clients},
        "state_dir": join(paths.service(service.name), "state"),
        "heartbeat_file": join(paths.service(service.name), "gateway-heartbeat.json"),
        "drain_timeout_s": gang.drain_s,
    }


def link_port(gang: Gang, rank: int) -> int:
    """Where a rank listens for mx.distributed, which cannot let the kernel choose: the ports behind the control port."""
    return gang.service.control_port + 1 + rank


def link_ports(gang: Gang) -> dict[str, tuple[str, int]]:
    """Mac → the address and port that must be free there for the links, for kinds whose ports are fixed."""
    match gang.links.kind:
        case "ring":
            return {seat.mac.name: (gang.links.listen[rank], link_port(gang, rank)) for rank, seat in enumerate(gang.seats)}
        case "jaccl" | "jaccl-ring":
            return {gang.head.mac.name: (gang.control_address, link_port(gang, 0))}
    return {}


def _link_files(gang: Gang, seat: Seat, rank: int) -> tuple[JobFile, ...]:
    """The files that mx.distributed wants: the same on every rank."""
    directory = seat.mac.paths.service(gang.service.name)
    if gang.links.kind == "ring":
        hosts = [[f"{address}:{link_port(gang, other)}"] for other, address in enumerate(gang.links.listen)]
        return (JobFile(join(directory, "ring.json"), _text(hosts)),)
    if gang.links.devices:
        return (JobFile(join(directory, "rdma.json"), _text(gang.links.devices)),)
    return ()


def _wired_gate(seat: Seat, stage: Stage) -> dict[str, Any]:
    """The wanted limit must be in force, and what a killed process may have left wired must leave room for this stage."""
    wanted = seat.mac.settings.wired_limit
    room = max(_MACOS_WIRED_BYTES, seat.mac.memory_bytes - stage.need_bytes)
    return {"limit_mib": None if wanted == "auto" else wanted // MIB, "most_wired_bytes": room}


def _control(gang: Gang) -> str:
    return f"tcp://{gang.control_address}:{gang.service.control_port}"


def _config_path(gang: Gang, seat: Seat, kind: str) -> str:
    return join(seat.mac.paths.service(gang.service.name), f"{kind}.json")


def _text(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
