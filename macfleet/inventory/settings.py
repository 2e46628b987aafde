"""The settings a fleet, a group or a Mac may carry; the nearer one wins, key by key."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from macfleet.core.units import parse_duration, parse_size

SizeBytes = Annotated[
    int,
    BeforeValidator(lambda value: parse_size(str(value))),  # a bare number is refused there, with the correction
    WithJsonSchema({"type": "string", "examples": ["448 GiB"], "pattern": r"^\s*\d+(\.\d+)?\s*([KMGT]i?B|B)\s*$"}),
]
DurationS = Annotated[
    float,
    BeforeValidator(lambda value: parse_duration(str(value))),
    WithJsonSchema({"type": "string", "examples": ["10 min"], "pattern": r"^\s*\d+(\.\d+)?\s*(ms|s|min|h|d)\s*$"}),
]


class Strict(BaseModel):
    """A mapping in which every key is known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SecretSource(Strict):
    """Where a secret comes from; exactly one of the three. The secret itself is never in the inventory."""

    env: str | None = Field(None, description="Name of an environment variable on the controller")
    file: str | None = Field(None, description="A file on the controller, relative to the inventory; its first line")
    command: tuple[str, ...] | None = Field(None, description="A command on the controller that prints it, as a list of words")


class Macos(Strict):
    minimum: str = Field("26.2", description="RDMA over Thunderbolt exists from 26.2 on")
    build: str | None = Field(None, description="The exact build wanted, such as 25F71; without it, all Macs must agree")


class PowerOn(StrEnum):
    """What a Mac does when power returns: the pair (autorestart, autorestartatconnect)."""

    NEVER = "never"
    AFTER_FAILURE = "after-failure"
    ALWAYS = "always"


class Power(Strict):
    """`pmset` for a server that nobody sits at."""

    sleep_min: int = Field(0, ge=0, description="Minutes until the Mac sleeps; 0 is never")
    display_sleep_min: int = Field(10, ge=0)
    disk_sleep_min: int = Field(0, ge=0)
    wake_on_lan: bool = True
    power_nap: bool = False
    low_power_mode: bool = Field(False, description="Low Power Mode keeps launchd from starting jobs (pended nondemand spawn)")
    tcp_keep_alive: bool = True
    power_on: PowerOn = Field(PowerOn.AFTER_FAILURE, description="`always` needs macOS 26.5 and a 2024 or later desktop")


class Tailscale(Strict):
    enabled: bool = False
    auth_key: SecretSource | None = None
    tags: tuple[str, ...] = ()
    ssh: bool = False


class Topology(StrEnum):
    MESH = "mesh"
    RING = "ring"
    NONE = "none"


class Interconnect(Strict):
    topology: Topology = Field(Topology.MESH, description="The cabling wanted: every pair, a closed ring, or not looked at")
    kind: Literal["auto", "tcp", "ring", "jaccl", "jaccl-ring"] = Field("auto", description="How the stages of a service talk")
    over: Literal["thunderbolt", "lan"] = Field("thunderbolt", description="Which addresses `tcp` and `ring` use")
    network: IPv4Network = Field(
        IPv4Network("10.55.0.0/16"),
        description="Each cable gets a /30 of it; outside the home networks mlx's own 192.168.0.0/24 collides with",
    )
    # Off by default: it can deadlock and leave the GPU wedged until a reboot (mlx#3142).
    fast_synch: bool = Field(False, description="Sets MLX_METAL_FAST_SYNCH=1 for jaccl")


class Runtime(Strict):
    python: str = Field("3.12", description="The Python that uv installs for the workers, as major.minor")


class GatewaySettings(Strict):
    """Where the gateway of a service listens, if the service says nothing else."""

    listen: str = Field("127.0.0.1", description="Loopback unless told an address")
    port: int = Field(8080, ge=1, le=65535)
    control_port: int | None = Field(None, ge=1, le=65535, description="For the workers, on the head Mac's address; port + 1 if not set")


class Reboot(Strict):
    deadline: DurationS = Field(600.0, description="How long a Mac may take to come back", validate_default=False)
    drain: DurationS = Field(120.0, description="How long running requests may take to finish", validate_default=False)


class Settings(Strict):
    """Everything wanted of one Mac. Each key may stand under `fleet.settings`, a group's or a Mac's `settings`."""

    macos: Macos = Macos()
    wired_limit: SizeBytes | Literal["auto"] = Field("auto", description="GPU wired limit, now and at every boot; auto leaves it to macOS")
    power: Power = Power()
    filevault: Literal["on", "off", "any"] = "any"
    automatic_updates: bool = False
    tailscale: Tailscale = Tailscale()
    interconnect: Interconnect = Interconnect()
    minimum_free_disk: SizeBytes = Field(50 * 1024**3, validate_default=False)
    runtime: Runtime = Runtime()
    gateway: GatewaySettings = GatewaySettings()
    reboot: Reboot = Reboot()
