"""A new simulated Mac: what Apple ships, and what a careful owner makes of it before macfleet comes."""

from __future__ import annotations

import hashlib
import plistlib
import uuid
from pathlib import Path

from macfleet.inventory.hardware import Hardware
from macfleet.lab.preferences import BRIDGE, PREFERENCES
from macfleet.lab.state import NetworkService, State, ThunderboltPort

# A Mac mini's `pmset -g custom` on macOS 26, with the factory values of always-on Macs: it sleeps after a minute.
# See tests/fixtures/ops/pmset_g_custom.mac_mini.macos26.txt.
FACTORY_PMSET = {
    "Sleep On Power Button": 1,
    "autorestartatconnect": 0,
    "lowpowermode": 0,
    "standby": 0,
    "ttyskeepawake": 1,
    "powernap": 1,
    "displaysleep": 10,
    "womp": 1,
    "networkoversleep": 0,
    "sleep": 1,
    "tcpkeepalive": 1,
    "autorestart": 0,
    "disksleep": 10,
}

# What of a Mac out of the box wants a hand at the Mac before it is a careful owner's, as faults: `lab heal` is that hand.
# Remote Login is on, or nobody could rehearse anything; Setup Assistant turns FileVault on since macOS 26.4. What wants no hand
# (a key, sudo without a password) is no fault here: `macfleet enroll` does it.
AS_SHIPPED = {
    "rdma-off": "never switched on in Recovery",
    "filevault-on": "turned on by Setup Assistant",
    "no-homebrew": "not installed",
}


def make_state(name: str, hardware: Hardware, memory_bytes: int, *, as_shipped: bool = False) -> State:
    """The Mac's memory of itself. Same name, same UUIDs and addresses: a rehearsal can be repeated."""
    state = State(
        name=name,
        hardware=hardware.id,
        memory_bytes=memory_bytes,
        ports=[_port(name, hardware, number) for number in range(1, hardware.thunderbolt_ports + 1)],
        pmset=_factory_pmset(hardware),
        services=[
            NetworkService(name="Ethernet", hardware_port="Ethernet", device="en0"),
            NetworkService(name="Thunderbolt Bridge", hardware_port="Thunderbolt Bridge", device=BRIDGE),
            NetworkService(name="Wi-Fi", hardware_port="Wi-Fi", device="en1"),
        ],
        rdma_enabled=hardware.has_rdma and not as_shipped,
        filevault=as_shipped,
        remote_full_disk_access=not as_shipped,
    )
    if as_shipped:
        state.faults = dict(AS_SHIPPED)
    return state


def _factory_pmset(hardware: Hardware) -> dict[str, int]:
    """A virtual Mac has no power to come back and no network card to wake it: tests/fixtures/ops/pmset_g.macos15.6.1_vm.txt."""
    absent = set() if hardware.supports_autorestartatconnect else {"autorestartatconnect"}
    if hardware.id.startswith("VirtualMac"):
        absent |= {"autorestart", "womp", "lowpowermode", "networkoversleep"}
    return {key: value for key, value in FACTORY_PMSET.items() if key not in absent}


def furnish(state: State, root: Path) -> None:
    """The directories and files that macOS has from the start, below `root`."""
    for directory in (
        "Library/LaunchDaemons",
        "Library/Preferences/SystemConfiguration",
        "private/tmp",
        "etc/sudoers.d",
        "var/log",
        "var/db",
        "opt",
    ):
        (root / directory).mkdir(parents=True, exist_ok=True)
    home_of(state, root).mkdir(parents=True, exist_ok=True)
    preferences = root / PREFERENCES
    if not preferences.exists():
        bridge = {BRIDGE: {"Options": {"__AUTO__": "thunderbolt-bridge"}, "Interfaces": [port.interface for port in state.ports]}}
        preferences.write_bytes(plistlib.dumps({"VirtualNetworkInterfaces": {"Bridge": bridge}}))


def home_of(state: State, root: Path) -> Path:
    return root / "Users" / state.user


def ethernet_address(name: str, what: str) -> str:
    digest = hashlib.sha256(f"{name}/{what}".encode()).hexdigest()
    return "36:" + ":".join(digest[at : at + 2] for at in range(0, 10, 2))  # locally administered, as a Mac's bridge has


def _port(name: str, hardware: Hardware, number: int) -> ThunderboltPort:
    interface = hardware.interfaces[number - 1] if hardware.interfaces else f"en{number + 1}"
    controller = hashlib.sha256(name.encode()).hexdigest()[:11].upper()
    return ThunderboltPort(
        receptacle=number,
        interface=interface,
        domain_uuid=str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.thunderbolt{number}")).upper(),
        switch_uid=f"0x05AC{controller}{number - 1:X}",
        ethernet=ethernet_address(name, interface),
    )
