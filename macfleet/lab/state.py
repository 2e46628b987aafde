"""What a simulated Mac is and remembers over a reboot, and what its kernel forgets."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class Power(StrEnum):
    """What the Mac is doing, as seen from its neighbours and from the network."""

    OFF = "off"
    LOCKED = "locked"  # waits before its boot for the password of its disk
    ON = "on"
    ASLEEP = "asleep"
    BOOTING = "booting"


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class ThunderboltPort(_Kept):
    """One receptacle: its network interface, its controller's UUID, its Ethernet address."""

    receptacle: int
    interface: str
    domain_uuid: str
    switch_uid: str
    ethernet: str


class NetworkService(_Kept):
    """A row of System Settings > Network. Without an address it asks by DHCP, and on a cable gives itself a 169.254 one."""

    name: str
    hardware_port: str
    device: str
    enabled: bool = True
    address: str | None = None
    mask: str | None = None
    router: str | None = None


class Tailnet(_Kept):
    """What tailscaled keeps of its login."""

    hostname: str
    address: str
    ssh: bool = False
    tags: tuple[str, ...] = ()
    is_stopped: bool = False


class Owner(_Kept):
    """A recorded `chown`: the files of a rehearsal really belong to whoever rehearses."""

    user: str
    group: str
    path: str
    modified_ns: int


class Wear(_Kept):
    """What a year does to a Mac, and what its owner left switched on."""

    starts: list[str] = Field(default_factory=list)  # the rows of `last reboot shutdown`, the newest first
    swap_used_bytes: int = 0
    pressure_level: int = 1  # 1 normal, 2 warning, 4 critical
    thermal_level: int = 0
    ssd_used_percent: int = 1
    ssd_written_bytes: int = 24 * 10**12
    firewall: int = 0  # 1 on, 2 lets nobody in
    firewall_rules: dict[str, bool] = Field(default_factory=dict)  # program → whether it is let in
    is_indexed: bool = True  # by Spotlight, as on every new Mac
    backs_up_to: str = ""  # the name of Time Machine's disk
    excluded_from_backup: list[str] = Field(default_factory=list)
    ups: str = ""  # the name of the one on USB
    is_on_ups: bool = False
    ups_thresholds: dict[str, int] = Field(default_factory=dict)


class State(_Kept):
    """A Mac's disk and NVRAM, kept in state.json; `power` and `has_rdma` are there for the neighbours to read."""

    name: str
    hardware: str
    memory_bytes: int
    user: str = "admin"
    password: str = "rehearsal"
    is_admin: bool = True
    is_volume_owner: bool = True
    remote_full_disk_access: bool = True  # Remote Login (i) > Allow full disk access for remote users
    ssh_port: int = 0
    socket: str = ""
    simulator_pid: int = 0

    macos_version: str = "26.5"
    macos_build: str = "25F71"
    ports: list[ThunderboltPort] = Field(default_factory=list)
    rdma_enabled: bool = True  # the NVRAM variable; in force from the next boot on
    filevault: bool = False
    pmset: dict[str, int] = Field(default_factory=dict)
    services: list[NetworkService] = Field(default_factory=list)
    checks_for_updates: bool = True
    names: dict[str, str] = Field(default_factory=dict)  # as scutil calls them; absent: the name of the rehearsal, no HostName
    shares_internet_on: int | None = None  # the Thunderbolt port on which Internet Sharing is on
    rdma_ports_down: list[int] = Field(default_factory=list)  # whose RDMA port stays down though all is right
    clock_off_s: float = 0.0
    formulas: list[str] = Field(default_factory=list)
    tailnet: Tailnet | None = None
    launchd_overrides: dict[str, bool] = Field(default_factory=dict)  # label → disabled
    owners: dict[str, Owner] = Field(default_factory=dict)  # "device:inode"
    faults: dict[str, str] = Field(default_factory=dict)  # name → what it broke
    wear: Wear = Field(default_factory=Wear)

    power: Power = Power.OFF
    has_rdma: bool = False
    boot_session: str = ""
    boots: int = 0

    def has_fault(self, name: str) -> bool:
        return name in self.faults


@dataclass
class Kernel:
    """What lives from one boot to the next and no longer."""

    boot_session: str = field(default_factory=lambda: str(uuid.uuid4()).upper())
    booted_at: float = field(default_factory=time.time)
    sysctls: dict[str, int] = field(default_factory=lambda: {"iogpu.wired_limit_mb": 0})
    bridge_members: list[str] = field(default_factory=list)
    has_bridge: bool = False
    bridge_is_up: bool = False


def load_state(path: Path) -> State:
    return State.model_validate_json(path.read_bytes())


def save_state(state: State, path: Path) -> None:
    save_text(state.model_dump_json(indent=1), path)


def save_text(text: str, path: Path) -> None:
    """Written whole or not at all: neighbours read it at any moment."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text)
    os.replace(temporary, path)
