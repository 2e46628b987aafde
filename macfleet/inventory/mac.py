"""The inventory as the rest of macfleet sees it: settings merged, names resolved, every value checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from macfleet.core.errors import RequestError
from macfleet.core.near import did_you_mean
from macfleet.core.paths import MacPaths
from macfleet.inventory.settings import SecretSource, Settings


@dataclass(frozen=True)
class Mac:
    """One Mac: where it is, what it is, what is wanted of it.

    `hardware` is Apple's model identifier ("Mac15,14"); `memory_bytes` what it must have. `settings` is already merged:
    fleet, then its groups in order, then its own.
    """

    name: str
    address: str
    hardware: str
    memory_bytes: int
    port: int = 22
    user: str = ""
    groups: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    root: str = "/"
    settings: Settings = field(default_factory=Settings)

    @property
    def paths(self) -> MacPaths:
        return MacPaths(self.root)


@dataclass(frozen=True)
class ApiKey:
    """A key for some of a service's clients. `concurrency`: how many of its requests are answered at once; None: as many as of all."""

    name: str
    source: SecretSource
    concurrency: int | None = None


@dataclass(frozen=True)
class Service:
    """A model served by a gang of workers behind a gateway. The first of `macs` is the head: the gateway lives there."""

    name: str
    model: str
    macs: tuple[str, ...]
    context_tokens: int = 8192
    concurrency: int = 4
    listen: str = "127.0.0.1"
    port: int = 8080
    control_port: int = 8081
    kv_bits: int | None = None
    api_key: SecretSource | None = None
    api_keys: tuple[ApiKey, ...] = ()

    @property
    def wants_key(self) -> bool:
        """Whether a client must have one."""
        return self.api_key is not None or bool(self.api_keys)


@dataclass(frozen=True)
class ModelSource:
    """Weights that the inventory names itself: a directory on the controller, or a repository."""

    name: str
    path: Path | None = None
    repo: str | None = None


@dataclass(frozen=True)
class Cable:
    """A cable as the inventory has it: which port of which Mac leads where. Ports are the N of "Thunderbolt N"."""

    mac: str
    port: int
    other_mac: str
    other_port: int

    @property
    def ends(self) -> frozenset[tuple[str, int]]:
        return frozenset(((self.mac, self.port), (self.other_mac, self.other_port)))

    def __str__(self) -> str:
        """As it stands in the file."""
        return f"{self.mac}:{self.port} {self.other_mac}:{self.other_port}"


@dataclass(frozen=True)
class SshSettings:
    """How the controller logs in. Paths are absolute; relative ones in the file are relative to it."""

    key: Path | None = None
    known_hosts: Path | None = None  # None: the user's own
    connect_timeout_s: float = 10.0


@dataclass(frozen=True)
class Inventory:
    """What exists and what is wanted. `macs` in file order, which is the order of every output.

    `order` names all Macs of the file and stays as it is when `macs` is narrowed to a selection: the address of a cable
    follows from a Mac's place in it. `cables` are those that somebody wrote down; None where nobody did.
    """

    path: Path
    name: str
    macs: tuple[Mac, ...]
    services: tuple[Service, ...] = ()
    models: tuple[ModelSource, ...] = ()
    ssh: SshSettings = field(default_factory=SshSettings)
    order: tuple[str, ...] = ()
    cables: tuple[Cable, ...] | None = None

    def __post_init__(self) -> None:
        if not self.order:
            object.__setattr__(self, "order", tuple(mac.name for mac in self.macs))

    def mac(self, name: str) -> Mac:
        """The Mac of this name. Raises RequestError with the near name."""
        for mac in self.macs:
            if mac.name == name:
                return mac
        raise RequestError(f'there is no Mac "{name}"', hint=did_you_mean(name, [mac.name for mac in self.macs]))

    def service(self, name: str) -> Service | None:
        return next((service for service in self.services if service.name == name), None)

    @property
    def state_dir(self) -> Path:
        """Where the controller keeps the journal and the state of rolls: beside the inventory."""
        return self.path.parent / ".macfleet"
