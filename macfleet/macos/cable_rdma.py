"""Does a cable carry RDMA? What each end says of it, and the first broken link in the chain of reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.macos import ibv, ifconfig, networksetup, rdma_ctl, sw_vers, system_profiler
from macfleet.macos.cabling import End

RDMA_SPEED_GB_S = 80  # at 40 Gb/s a cable carries IP, and no RDMA

# What must be read of both Macs to follow the chain.
FACTS: tuple[Fact[Any], ...] = (
    sw_vers.VERSION,
    system_profiler.THUNDERBOLT,
    rdma_ctl.STATUS,
    ibv.DEVICES,
    ibv.PORTS,
    networksetup.HARDWARE_PORTS,
    ifconfig.INTERFACES,
)


class Step(StrEnum):
    """The links of the chain, in its order; each but PORT is named by another check already."""

    GENERATION = "generation"
    SWITCH = "switch"
    DEVICES = "devices"
    SPEED = "speed"
    BUILD = "build"
    PORT = "port"
    GID = "gid"
    NOT_KNOWN = "not known"


@dataclass(frozen=True)
class Broken:
    """Why a cable carries no RDMA, as "studio-2 has RDMA off"; `named_by` the check that says so of itself, "" for nobody."""

    step: Step
    why: str
    named_by: str = ""

    def __str__(self) -> str:
        return f"{self.why} (see {self.named_by})" if self.named_by else self.why


@dataclass(frozen=True)
class EndState:
    """One end of a cable. `interface` is what networksetup calls the port, never computed; `device` its RDMA port.

    `doubt` says what could not be read. `is_bridged` and `addresses` are the interface's, `has_devices` and `is_switched_on`
    the Mac's.
    """

    end: End
    build: str = ""
    generation: int | None = None
    is_switched_on: bool | None = None
    has_devices: bool | None = None
    interface: str | None = None
    device: ibv.RdmaPort | None = None
    is_bridged: bool = False
    addresses: tuple[str, ...] = ()
    doubt: str = ""


def read_end(end: End, facts: Facts) -> EndState:
    """What this Mac's facts say of one of its ports. The map receptacle → "Thunderbolt N" → enX → rdma_enX is macOS's own."""
    version, ports, enabled = facts[sw_vers.VERSION], facts[system_profiler.THUNDERBOLT], facts[rdma_ctl.STATUS]
    devices, rdma = facts[ibv.DEVICES], facts[ibv.PORTS]
    hardware_ports, interfaces = facts[networksetup.HARDWARE_PORTS], facts[ifconfig.INTERFACES]
    names = {} if isinstance(hardware_ports, Unknown) else networksetup.thunderbolt_interfaces(hardware_ports)
    interface = names.get(end.receptacle)
    known = () if isinstance(interfaces, Unknown) else interfaces
    is_contradicted = not isinstance(devices, Unknown) and not devices and not isinstance(rdma, Unknown) and bool(rdma)
    doubt = "`ibv_devices` lists no device, and `ibv_devinfo` does" if is_contradicted else ""
    unread = next((fact.reason for fact in (enabled, devices, hardware_ports, rdma) if isinstance(fact, Unknown)), "")
    return EndState(
        end=end,
        build="" if isinstance(version, Unknown) else version.build,
        generation=None if isinstance(ports, Unknown) else system_profiler.generation(ports),
        is_switched_on=None if isinstance(enabled, Unknown) else enabled,
        has_devices=None if isinstance(devices, Unknown) or is_contradicted else bool(devices),
        interface=interface,
        device=None if isinstance(rdma, Unknown) else next((port for port in rdma if port.interface == interface), None),
        is_bridged=any(interface in bridge.members for bridge in known),
        addresses=tuple(str(address) for one in known if one.name == interface for address in one.ipv4),
        doubt=unread or doubt,
    )


def first_broken(speed_gb_s: int | None, ends: Sequence[EndState], *, peer_has_rdma: bool = True) -> Broken | None:
    """The first broken link of a cable's chain; None when it carries RDMA.

    `ends` are those that could be read: one end alone is judged by itself and by `peer_has_rdma`, which is what the
    neighbour offers on the cable (protocol 64087), whether or not it is a Mac of this fleet.
    """
    return (
        _of_the_macs(ends)
        or _of_the_cable(speed_gb_s, ends, peer_has_rdma)
        or next((broken for end in ends if (broken := _of_the_port(end, ends))), None)
        or next((broken for end in ends if (broken := _of_the_address(end))), None)
    )


def _of_the_macs(ends: Sequence[EndState]) -> Broken | None:
    for end in ends:
        if end.generation == 4:
            return Broken(Step.GENERATION, f"{end.end.mac} has no Thunderbolt 5", "rdma")
        if end.is_switched_on is False:
            return Broken(Step.SWITCH, f"{end.end.mac} has RDMA off", "rdma")
        if end.has_devices is False:
            return Broken(Step.DEVICES, f"{end.end.mac} has no RDMA device yet", "rdma")
    return None


def _of_the_cable(speed_gb_s: int | None, ends: Sequence[EndState], peer_has_rdma: bool) -> Broken | None:
    if speed_gb_s is not None and speed_gb_s < RDMA_SPEED_GB_S:
        return Broken(Step.SPEED, f"it runs at {speed_gb_s} Gb/s", "cabling")
    if speed_gb_s is None and not all(map(_is_active, ends)):
        return Broken(Step.NOT_KNOWN, "its speed is not known", "cabling")
    if len(ends) == 1 and not peer_has_rdma and not _is_active(ends[0]):
        return Broken(Step.SWITCH, "the Mac at its other end has RDMA off", "rdma")
    return None


def _of_the_port(end: EndState, ends: Sequence[EndState]) -> Broken | None:
    if end.doubt:
        return Broken(Step.NOT_KNOWN, f"of {end.end.mac} it is not known: {end.doubt}", "rdma")
    if end.interface is None or end.device is None:
        return Broken(Step.DEVICES, f"{end.end} has no RDMA device", "rdma")
    if _is_active(end):
        return None
    builds = {one.build for one in ends if one.build}
    if len(builds) > 1:  # it may work all the same; where it does not, this is why
        return Broken(Step.BUILD, f"its Macs run different builds, {' and '.join(sorted(builds))}", "same-build")
    return Broken(Step.PORT, f"{end.device.device} at {end.end} is {end.device.state}")


def _of_the_address(end: EndState) -> Broken | None:
    """JACCL uses GID 1, and it must be an IPv4-mapped address."""
    if end.device is None or end.device.ipv4_gid is not None:
        return None
    if end.is_bridged:
        return Broken(Step.GID, f"{end.end} is still in a bridge", "thunderbolt-bridge")
    if not end.addresses:
        return Broken(Step.GID, f"{end.end} has no address yet", "cable-addresses")
    return Broken(Step.GID, f"{end.device.device} at {end.end} has no IPv4-mapped GID 1", "rdma")


def _is_active(end: EndState) -> bool:
    return end.device is not None and end.device.is_active
