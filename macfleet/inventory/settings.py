"""The settings a fleet, a group or a Mac may carry; the nearer one wins, key by key."""

from __future__ import annotations

import re
from enum import StrEnum
from ipaddress import IPv4Network
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema, model_validator

from macfleet.core.units import format_duration, format_size, parse_duration, parse_size

_SIZE = r"^\s*\d+(\.\d+)?\s*([KMGT]i?B|B)\s*$"
SizeBytes = Annotated[
    int,
    BeforeValidator(lambda value: parse_size(str(value))),  # a bare number is refused there, with the correction
    PlainSerializer(format_size, when_used="json"),
    WithJsonSchema({"type": "string", "examples": ["448 GiB"], "pattern": _SIZE}),
]
DurationS = Annotated[
    float,
    BeforeValidator(lambda value: parse_duration(str(value))),
    PlainSerializer(format_duration, when_used="json"),
    WithJsonSchema({"type": "string", "examples": ["10 min"], "pattern": r"^\s*\d+(\.\d+)?\s*(ms|s|min|h|d)\s*$"}),
]


def _size_or_auto(value: object) -> int | str:
    return "auto" if value == "auto" else parse_size(str(value))


def _version(text: str) -> str:
    if not re.fullmatch(r"\d+(\.\d+){0,2}", text):
        raise ValueError(f'"{text}" is not a version; write it like "26.2"')
    return text


def _python_version(text: str) -> str:
    if not re.fullmatch(r"3\.\d+", text):
        raise ValueError(f'"{text}" is not a Python version; write major.minor, like "3.12"')
    return text


# An editor sees `26.2` as a number; macfleet reads what was written, so that 26.10 is not 26.1.
_VERSION_SCHEMA = WithJsonSchema({"type": ["string", "number"], "examples": ["26.2"]})
WiredLimit = Annotated[
    int | Literal["auto"],
    BeforeValidator(_size_or_auto),
    PlainSerializer(lambda value: value if value == "auto" else format_size(value), when_used="json"),
    WithJsonSchema({"anyOf": [{"const": "auto"}, {"type": "string", "pattern": _SIZE}], "examples": ["448 GiB", "auto"]}),
]
Version = Annotated[str, AfterValidator(_version), _VERSION_SCHEMA]
PythonVersion = Annotated[str, AfterValidator(_python_version), _VERSION_SCHEMA]
Port = Annotated[int, Field(ge=1, le=65535)]


class Strict(BaseModel):
    """A mapping in which every key is known. `section:` with nothing under it is an empty one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_an_empty_mapping(cls, value: Any) -> Any:
        return {} if value is None else value


class SecretSource(Strict):
    """Where a secret comes from; exactly one of the three. The secret itself is never in the inventory."""

    env: str | None = Field(None, description="Name of an environment variable on the controller")
    file: str | None = Field(None, description="A file on the controller, relative to the inventory; its first line")
    command: tuple[str, ...] | None = Field(None, description="A command on the controller that prints it, as a list of words")

    # No message here may show a value: what stands in the wrong place may be the secret.
    @model_validator(mode="before")
    @classmethod
    def _refuse_the_secret_itself(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError("a secret does not stand in the inventory; write {env: NAME}, {file: PATH} or {command: [PROGRAM, WORD]}")
        return value

    @model_validator(mode="after")
    def _check(self) -> SecretSource:
        if len([source for source in (self.env, self.file, self.command) if source is not None]) != 1:
            raise ValueError("write exactly one of {env: NAME}, {file: PATH}, {command: [PROGRAM, WORD]}")
        if self.env is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.env):
            raise ValueError("`env` takes the name of an environment variable, not its value")
        if (self.command is not None and not all(self.command)) or self.command == () or self.file == "":
            raise ValueError("the source of the secret is empty")
        return self

    def __str__(self) -> str:
        """The source in words, for messages: never the secret, and of a command only the program."""
        match self:
            case SecretSource(env=str(name)):
                return f"the environment variable {name}"
            case SecretSource(file=str(path)):
                return f"the file {path}"
        return f"the command `{self.command[0]}`" if self.command else "nowhere"


class Macos(Strict):
    minimum: Version = Field("26.2", description="The oldest macOS wanted; RDMA over Thunderbolt exists from 26.2 on")
    build: str | None = Field(None, description="The exact build wanted, such as 25F71; without it, all Macs must agree")


class PowerOn(StrEnum):
    """What a Mac does when power returns: the pair (autorestart, autorestartatconnect)."""

    NEVER = "never"
    AFTER_FAILURE = "after-failure"
    ALWAYS = "always"


class Power(Strict):
    """`pmset` for a server that nobody sits at."""

    sleep_min: int = Field(0, ge=0, description="Minutes until the Mac sleeps; 0 is never")
    display_sleep_min: int = Field(10, ge=0, description="Minutes until the display sleeps; 0 is never")
    disk_sleep_min: int = Field(0, ge=0, description="Minutes until disks sleep; 0 is never")
    wake_on_lan: bool = Field(True, description="Wake for network access (`womp`)")
    power_nap: bool = Field(False, description="Background work while asleep")
    low_power_mode: bool = Field(False, description="Low Power Mode keeps launchd from starting jobs (pended nondemand spawn)")
    tcp_keep_alive: bool = Field(True, description="Keep connections over sleep")
    power_on: PowerOn = Field(PowerOn.AFTER_FAILURE, description="`always` needs macOS 26.5 and a 2024 or later desktop")


class Ups(Strict):
    """When a Mac that runs on its UPS shuts itself down. A key that is left out is not looked at."""

    halt_level_percent: int | None = Field(None, ge=1, le=95, description="At this charge; `pmset -u haltlevel`")
    halt_after_min: int | None = Field(None, ge=1, description="After this time on the UPS; `pmset -u haltafter`")
    halt_remain_min: int | None = Field(None, ge=1, description="When the UPS says that this much is left; `pmset -u haltremain`")


class Tailscale(Strict):
    enabled: bool = Field(False, description="Whether Tailscale must run (the daemon from Homebrew, not the app)")
    auth_key: SecretSource | None = Field(None, description="Logs a new Mac in; needed by `provision` only")
    tags: tuple[str, ...] = Field((), description="Tags to advertise, such as tag:fleet")
    ssh: bool = Field(False, description="Tailscale's own SSH server")


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
    python: PythonVersion = Field("3.12", description="The Python that uv installs for the workers, as major.minor")
    wheelhouse: str | None = Field(None, description="Without internet: where the packages are, a directory on the Mac or a URL it reaches")
    python_mirror: str | None = Field(None, description="Without internet: where the Python is, a URL the Mac reaches or file:///DIRECTORY")
    uv: str | None = Field(None, description="Without Homebrew: the path of a uv that is on the Mac already")


class GatewaySettings(Strict):
    """Where the gateway of a service listens, if the service says nothing else."""

    listen: str = Field("127.0.0.1", description="Loopback unless told an address")
    port: Port = Field(8080, description="Where clients of a service connect on the head Mac")
    control_port: Port | None = Field(None, description="For the workers, on the head Mac's address; port + 1 if not set")


class Reboot(Strict):
    deadline: DurationS = Field(600.0, description="How long a Mac may take to come back")
    drain: DurationS = Field(120.0, description="How long running requests may take to finish")


class Settings(Strict):
    """Everything wanted of one Mac. Each key may stand under `fleet.settings`, a group's or a Mac's `settings`."""

    macos: Macos = Macos()
    wired_limit: WiredLimit = Field("auto", description="GPU wired limit, now and at every boot; auto leaves it to macOS")
    power: Power = Power()
    ups: Ups = Ups()
    filevault: Literal["on", "off", "any"] = Field("any", description="A disk locked by FileVault waits for a password at every boot")
    automatic_updates: bool = Field(False, description="Whether macOS may update itself and restart when it likes")
    spotlight: bool = Field(False, description="Whether Spotlight may index the disk that the weights are on")
    tailscale: Tailscale = Tailscale()
    interconnect: Interconnect = Interconnect()
    minimum_free_disk: SizeBytes = Field(50 * 1024**3, description="Less than this free is a finding")
    runtime: Runtime = Runtime()
    gateway: GatewaySettings = GatewaySettings()
    reboot: Reboot = Reboot()


StrictT = TypeVar("StrictT", bound=Strict)


def merged(base: StrictT, over: StrictT) -> StrictT:
    """`base` with every key that `over` wrote. Sections merge key by key; a secret's source and a list replace the whole."""
    updates = {name: _merged_value(getattr(base, name), getattr(over, name)) for name in over.model_fields_set}
    return base.model_copy(update=updates)


def _merged_value(base: Any, over: Any) -> Any:
    if isinstance(base, Strict) and isinstance(over, Strict) and not isinstance(over, SecretSource):
        return merged(base, over)
    return over
