"""Does RDMA work on every cabled port? A chain of reasons; the answer is its first broken link.

What another check names is not said twice: a slow cable is `cabling`'s, a port without an address `cable-addresses`', a
neighbour whose RDMA is off is a finding on that neighbour, and a cable that is in order while its port is down is
`cable-rdma`'s, which sees both its ends. They show here as the explanation of a port that is down.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from macfleet.checks import findings, macos_version
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory import hardware
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Topology
from macfleet.macos import cable_rdma, ibv, ifconfig, networksetup, rdma_ctl, sw_vers, system_profiler
from macfleet.macos.system_profiler import Port

FIRST_MACOS = "26.2"
ENABLE_HINT = (
    "start the Mac in Recovery, open Terminal, run `rdma_ctl enable` and restart; on macOS 27 also System Settings > "
    "Privacy & Security > Developer Tools > RDMA over Thunderbolt. It cannot be done over SSH"
)


@dataclass(frozen=True)
class PortState:
    """One port that is cabled to a Mac. `broken` is this Mac's own trouble, `explained` what another check names."""

    receptacle: int
    broken: str = ""
    explained: str = ""
    hint: str = ""

    @property
    def is_active(self) -> bool:
        return not self.broken and not self.explained


class Rdma:
    name = "rdma"
    why = "without RDMA a pipeline's tensors cross the cables by TCP, several times slower per token"
    source = "Apple TN3205; mlx#2944 and omlx#3037 for what a switch says that is on without devices"
    want = "RDMA enabled, its devices there, and active on every port that is cabled to a Mac"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return cable_rdma.FACTS if is_wanted(mac) else ()

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        if not is_wanted(mac):
            interconnect = mac.settings.interconnect
            have = "no cabling is wanted" if interconnect.topology is Topology.NONE else f"services talk by {interconnect.kind}"
            return [findings.ok(self, f"not looked at: {have}", "nothing")]
        for step in (self._macos, self._generation, self._switch, self._devices):
            finding = step(mac, facts)
            if finding is not None:
                return [finding]
        return [self._ports(mac, facts)]

    def _macos(self, mac: Mac, facts: Facts) -> Finding | None:
        version = facts[sw_vers.VERSION]
        if isinstance(version, Unknown):
            return findings.unknown(self, version, self.want)
        if version.is_at_least(FIRST_MACOS):
            return None
        have = f"{version} has no RDMA"
        if not macos_version.is_as_wanted(mac, version):
            return findings.ok(self, f"not looked at: {have}, see macos-version", self.want)
        return findings.fail(self, have, self.want, f"update to macOS {FIRST_MACOS}, and raise `macos: minimum:` in the inventory")

    def _generation(self, mac: Mac, facts: Facts) -> Finding | None:
        ports = facts[system_profiler.THUNDERBOLT]
        if isinstance(ports, Unknown):
            return findings.unknown(self, ports, self.want)
        if (thunderbolt_generation(mac, ports) or 5) >= 5 and ports:
            return None
        have = "no Thunderbolt 5 port" if ports else "no Thunderbolt port at all"
        if mac.settings.interconnect.kind.startswith("jaccl"):
            hint = "RDMA needs Thunderbolt 5: set `interconnect: kind: ring` (or tcp) for this Mac"
            return findings.fail(self, have, self.want, hint)
        return findings.warn(self, f"{have}: RDMA is impossible here, services talk by TCP", self.want)

    def _switch(self, mac: Mac, facts: Facts) -> Finding | None:
        enabled = facts[rdma_ctl.STATUS]
        if isinstance(enabled, Unknown):
            return findings.unknown(self, enabled, self.want)
        return None if enabled else findings.fail(self, "RDMA is disabled on this Mac", self.want, ENABLE_HINT)

    def _devices(self, mac: Mac, facts: Facts) -> Finding | None:
        devices = facts[ibv.DEVICES]
        if isinstance(devices, Unknown):
            return findings.unknown(self, devices, self.want)
        if devices:
            return None
        if facts[ibv.PORTS]:
            return findings.unknown(self, "`ibv_devices` lists no device, and `ibv_devinfo` does: one of them was cut short", self.want)
        hint = f"it was not restarted since RDMA was enabled: `macfleet rolling-reboot --mac {mac.name}`"
        return findings.fail(self, "RDMA is enabled, but there is no RDMA device", self.want, hint)

    def _ports(self, mac: Mac, facts: Facts) -> Finding:
        thunderbolt, rdma_ports = facts[system_profiler.THUNDERBOLT], facts[ibv.PORTS]
        hardware_ports, interfaces = facts[networksetup.HARDWARE_PORTS], facts[ifconfig.INTERFACES]
        if isinstance(rdma_ports, Unknown):
            return findings.unknown(self, rdma_ports, self.want, f"when `ibv_devinfo` hangs, restart {mac.name}: its driver is stuck")
        if isinstance(thunderbolt, Unknown):
            return findings.unknown(self, thunderbolt, self.want)
        if isinstance(hardware_ports, Unknown):
            return findings.unknown(self, hardware_ports, self.want)
        if isinstance(interfaces, Unknown):
            return findings.unknown(self, interfaces, self.want)

        names = networksetup.thunderbolt_interfaces(hardware_ports)
        states = list(_port_states([port for port in thunderbolt if port.peer], names, rdma_ports, interfaces))
        active = sum(state.is_active for state in states)
        have = f"enabled, {active} of {len(states)} cabled ports active"
        broken = [_with_known_port(mac, state) for state in states if state.broken]
        told = "; ".join(state.broken or state.explained for state in (broken or states) if not state.is_active)
        have = f"{have}: {told}" if told else have
        return findings.fail(self, have, self.want, broken[0].hint) if broken else findings.ok(self, have, self.want)


def is_wanted(mac: Mac) -> bool:
    interconnect = mac.settings.interconnect
    return interconnect.topology is not Topology.NONE and interconnect.kind not in ("tcp", "ring")


def thunderbolt_generation(mac: Mac, ports: Sequence[Port]) -> int | None:
    """By the ports themselves; where every one runs at 40 Gb/s, and so hides it, by the catalog of Macs."""
    seen = system_profiler.generation(ports)
    known = hardware.find(mac.hardware) if seen is None else None
    return known.thunderbolt_generation if known else seen


def _port_states(
    ports: Sequence[Port], names: dict[int, str], rdma_ports: Sequence[ibv.RdmaPort], interfaces: Sequence[ifconfig.Interface]
) -> Iterator[PortState]:
    by_interface = {port.interface: port for port in rdma_ports}
    for port in ports:
        name = names.get(port.receptacle)
        yield _port_state(port, name, by_interface.get(name or ""), interfaces)


def _port_state(port: Port, name: str | None, rdma: ibv.RdmaPort | None, interfaces: Sequence[ifconfig.Interface]) -> PortState:
    here = f"Thunderbolt {port.receptacle}"
    if port.speed_gb_s is not None and port.speed_gb_s < 80:
        return PortState(port.receptacle, explained=f"{here} runs at {port.speed_gb_s} Gb/s (see cabling)")
    if name is None:
        broken = f"networksetup lists no port named {here}"
        return PortState(port.receptacle, broken=broken, hint="compare `networksetup -listallhardwareports` with the ports of the Mac")
    if rdma is None:
        hint = "restart this Mac: the driver starts per port at boot"
        return PortState(port.receptacle, broken=f"{here} has no device rdma_{name}", hint=hint)
    if not rdma.is_active:
        return _down(port, here, rdma)
    if rdma.ipv4_gid is None:
        return _without_gid(port, here, name, interfaces)
    return PortState(port.receptacle)


def _down(port: Port, here: str, rdma: ibv.RdmaPort) -> PortState:
    if port.speed_gb_s is None:
        return PortState(port.receptacle, explained=f"nobody knows the speed of {here} (see cabling)")
    if not any(peer.has_rdma for peer in port.peers):
        return PortState(port.receptacle, explained=f"{here} waits for the Mac at its other end, where RDMA is off")
    # Whose fault it is, this Mac's, the other one's or that of two builds, only both ends together can tell.
    return PortState(port.receptacle, explained=f"{here}: {rdma.device} is {rdma.state} (see cable-rdma)")


def _with_known_port(mac: Mac, state: PortState) -> PortState:
    """exo's users report no RDMA on the port of a Mac Studio that is next to Ethernet; Apple says nothing of it."""
    known = hardware.find(mac.hardware)
    if state.receptacle != 1 or known is None or not known.name.startswith("Mac Studio"):
        return state
    return replace(state, hint=f"{state.hint}; some report that the port next to Ethernet is of no use for RDMA: try another one")


def _without_gid(port: Port, here: str, name: str, interfaces: Sequence[ifconfig.Interface]) -> PortState:
    if any(name in bridge.members for bridge in interfaces):
        return PortState(port.receptacle, explained=f"{here} is still in a bridge (see thunderbolt-bridge)")
    if not any(interface.name == name and interface.ipv4 for interface in interfaces):
        return PortState(port.receptacle, explained=f"{here} has no address yet (see cable-addresses)")
    broken = f"{here}: {name} has an address, but rdma_{name} no IPv4-mapped GID 1"
    return PortState(port.receptacle, broken=broken, hint="replug the cable or restart this Mac: the driver has not taken over the address")
