"""The services that are deployed: what every Mac of a gang keeps about it, so that any laptop can ask, stop and roll.

Every Mac keeps the whole: the head may be the one that is away. Of two records of one name the newer is the service; the
older is what a Mac still has that was away when its service was deployed anew without it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from posixpath import join
from typing import Any

from macfleet.core.command import Command, command
from macfleet.core.errors import MacfleetError, RequestError, Unparsable
from macfleet.core.near import did_you_mean
from macfleet.core.outcome import Report
from macfleet.core.paths import MacPaths
from macfleet.fleet.connection import Connection
from macfleet.fleet.fleet import Fleet
from macfleet.inventory.mac import Mac

_SCHEMA = 1


@dataclass(frozen=True)
class DeployedStage:
    """One Mac's part of a service; `last_layer` is exclusive, `need_bytes` the GPU memory it was placed with."""

    mac: str
    rank: int
    first_layer: int
    last_layer: int
    weight_bytes: int
    need_bytes: int = 0
    weights_sha256: str | None = None  # of the staged file; None: fetched from the hub, or by an older macfleet


@dataclass(frozen=True)
class Deployed:
    """A service as it was deployed. It holds no secret; the head is the Mac of rank 0."""

    name: str
    model: str
    stages: tuple[DeployedStage, ...]
    kind: str
    listen: str
    port: int
    control_port: int
    context_tokens: int
    concurrency: int
    needs_key: bool
    deployed_at: str
    deployed_by: str
    canary: str = ""  # what was proved; empty until it was
    canary_prompt: str = ""  # of a model that must say the same again; empty for one that was given a needle
    canary_max_tokens: int = 0
    canary_answer: str = ""

    @property
    def head(self) -> str:
        return self.stages[0].mac

    @property
    def macs(self) -> tuple[str, ...]:
        return tuple(stage.mac for stage in self.stages)

    @property
    def gateway_host(self) -> str:
        """Where the gateway answers, as seen from the head Mac itself."""
        return "127.0.0.1" if self.listen in ("0.0.0.0", "::", "") else self.listen


@dataclass(frozen=True)
class Leftover:
    """One Mac's part of a deployment that was replaced without it."""

    mac: str
    deployed: Deployed

    def sentence(self) -> str:
        name = self.deployed.name
        return f"{self.mac} has its part of the deployment of {name} from {self.deployed.deployed_at}, which was replaced without it"


def service_file(paths: MacPaths, name: str) -> str:
    return join(paths.service(name), "service.json")


def render_deployed(deployed: Deployed) -> str:
    return json.dumps({"schema": _SCHEMA, **asdict(deployed)}) + "\n"


def parse_deployed(text: str) -> tuple[Deployed, ...]:
    """Every service in `text`: one service.json, or several behind each other. Raises Unparsable."""
    decoder, found, place = json.JSONDecoder(), [], 0
    text = text.strip()
    try:
        while place < len(text):
            value, end = decoder.raw_decode(text, place)
            found.append(_deployed(value))
            place = end + len(text[end:]) - len(text[end:].lstrip())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unparsable(f"a service.json is damaged or of another version of macfleet: {error}") from error
    return tuple(found)


def ask_services(mac: Mac) -> Command:
    """Prints every service.json that this Mac has; fails when there is none."""
    return command("sh", "-c", 'cat "$1"/*/service.json', "sh", mac.paths.services, timeout_s=10)


def read_services(fleet: Fleet) -> tuple[dict[str, Deployed], Report[tuple[Deployed, ...]]]:
    """Name → service, and the report that says which Macs did not answer.

    Every Mac of the inventory is asked, chosen or not: a service on a chosen Mac may have its head elsewhere.
    """

    def read(mac: Mac, connection: Connection) -> tuple[Deployed, ...]:
        result = connection.read([ask_services(mac)])[0]
        return parse_deployed(result.stdout) if result.ok or result.stdout.strip() else ()

    report = fleet.each(read, macs=fleet.inventory.macs, doing="reading its services")
    told = [(mac, service) for mac, found in report.values().items() for service in found]
    told.sort(key=lambda one: (one[1].deployed_at, one[1].head == one[0]))  # the head's own word is the last one
    return {service.name: service for _, service in told}, report


def read_leftovers(services: Mapping[str, Deployed], report: Report[tuple[Deployed, ...]]) -> tuple[Leftover, ...]:
    """What Macs still have of deployments that were replaced while they were away."""
    return tuple(
        Leftover(mac, record)
        for mac, found in report.values().items()
        for record in found
        if record.deployed_at != services[record.name].deployed_at and mac not in services[record.name].macs
    )


def find_service(name: str, services: Mapping[str, Deployed], report: Report[tuple[Deployed, ...]]) -> Deployed:
    """The service of that name; an error that says what there is and who could not be asked."""
    if name in services:
        return services[name]
    silent = report.errors()
    if silent:
        raise MacfleetError(
            f'no Mac that answers knows a service "{name}"',
            truths=[f"{mac} could not be asked: {error}" for mac, error in silent.items()],
            hint="its head may be among those; try again when they answer",
        )
    raise RequestError(f'there is no service "{name}"', hint=did_you_mean(name, services) or "deploy one with `macfleet deploy`")


def services_on(mac: str, services: Iterable[Deployed]) -> tuple[Deployed, ...]:
    """The services that stop answering when `mac` is away."""
    return tuple(service for service in services if mac in service.macs)


def taken_by_others(mac: str, service: str, services: Iterable[Deployed]) -> int:
    """The GPU memory that the services on `mac`, but for `service`, were placed with."""
    others = [other for other in services if other.name != service]
    return sum(stage.need_bytes or stage.weight_bytes for other in others for stage in other.stages if stage.mac == mac)


def _deployed(value: dict[str, Any]) -> Deployed:
    if value["schema"] != _SCHEMA:
        raise ValueError(f"schema {value['schema']}")
    stages = tuple(DeployedStage(**stage) for stage in value["stages"])
    known = {field.name: value[field.name] for field in fields(Deployed) if field.name in value}
    return Deployed(**{**known, "stages": stages})
