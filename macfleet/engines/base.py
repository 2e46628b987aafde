"""What an engine is to macfleet: from a placed gang to the launchd jobs and files of each Mac."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from macfleet.core.secret import Secret
from macfleet.inventory.mac import Mac, Service
from macfleet.placement.links import Links
from macfleet.placement.place import Placement


@dataclass(frozen=True)
class KeyPair:
    """A CURVE key pair, as text."""

    public: str
    secret: Secret


@dataclass(frozen=True)
class Seat:
    """One Mac of a gang, with what was read of it: the account its jobs run under, that account's HOME and PATH, and the
    interpreter of the runtime that is installed now: the jobs keep it whatever is installed later.
    """

    mac: Mac
    user: str
    group: str
    home: str
    path: str
    python: str
    keys: KeyPair


@dataclass(frozen=True)
class ClientKey:
    """One client's key by its name. `concurrency`: how many of its requests are answered at once; None: as many as of all."""

    name: str
    key: Secret
    concurrency: int | None = None


@dataclass(frozen=True)
class ApiKeys:
    """Who may ask: `own` is the service's, with which one may also operate it. Nothing of both: everybody who can connect."""

    own: Secret | None = None
    clients: tuple[ClientKey, ...] = ()


@dataclass(frozen=True)
class Gang:
    """A service, placed, linked and keyed: everything an engine must know. Seats are in rank order, the head first.

    `model_dir_name` is the directory below the Macs' models; `control_address` where the head can be reached by the others.
    `is_proved`: its family is not on the allow-list, and was proved on the spot; then `batched` says what the proof says of batches.
    """

    service: Service
    placement: Placement
    links: Links
    seats: tuple[Seat, ...]
    gateway_keys: KeyPair
    control_address: str
    model_dir_name: str
    api_keys: ApiKeys = ApiKeys()
    is_proved: bool = False
    batched: bool | None = None
    wired_gate: bool = True
    drain_s: float = 120.0

    @property
    def head(self) -> Seat:
        return self.seats[0]


@dataclass(frozen=True)
class JobFile:
    """A file that a job reads. With a `Secret` inside, its mode is 0600."""

    path: str
    content: str | Secret
    mode: int = 0o644


@dataclass(frozen=True)
class Job:
    """One launchd job on one Mac."""

    mac: str
    label: str
    kind: str  # "worker" or "gateway"
    plist_path: str
    plist: str
    log: str
    user: str
    group: str
    files: tuple[JobFile, ...] = field(default_factory=tuple)


class Engine(Protocol):
    """How one engine is launched. One file per engine, one line in `engines/__init__.py`."""

    name: str

    def jobs(self, gang: Gang) -> Sequence[Job]:
        """Workers in rank order, then the gateway. Pure: secrets are inside `files`, nowhere else."""
        ...


def worker_label(service: str) -> str:
    return f"dev.macfleet.{service}.worker"


def gateway_label(service: str) -> str:
    return f"dev.macfleet.{service}.gateway"
