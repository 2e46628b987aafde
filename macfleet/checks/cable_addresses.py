"""Has each end of each cable its own address? A fleet check: which /30 a cable has follows from both its ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from ipaddress import IPv4Interface
from typing import Any

from macfleet.checks import findings
from macfleet.checks.cabling import read_ports
from macfleet.checks.recorded_cables import is_recorded
from macfleet.core.errors import MacfleetError
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Inventory, Mac
from macfleet.inventory.settings import Topology
from macfleet.macos import ifconfig, networksetup, system_profiler
from macfleet.macos.cabling import End, addresses, find_links


class CableAddresses:
    name = "cable-addresses"
    why = "JACCL takes the address of the port as its GID, so RDMA needs one on every cabled port, in a network of its own"
    source = "Apple TN3205: a port's GID is the IPv4 address of its interface; mlx's jaccl takes GID 1"
    want = "a static address on both ends of every cable"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        if mac.settings.interconnect.topology is Topology.NONE:
            return ()
        return (system_profiler.THUNDERBOLT, networksetup.HARDWARE_PORTS, ifconfig.INTERFACES)

    def judge(self, inventory: Inventory, facts: Mapping[str, Facts]) -> Sequence[Finding]:
        macs = [mac for mac in inventory.macs if mac.settings.interconnect.topology is not Topology.NONE]
        ports = read_ports(macs, facts)
        # A Mac that did not answer at all is `reachable`'s; one that did, but whose ports nobody understands, is not fine here.
        unread = [mac.name for mac in macs if mac.name not in ports and (mac.name in facts or not ports)]
        if macs and not ports:
            return [findings.unknown(self, _nobody_saw(unread), self.want)]
        try:
            wanted = wanted_addresses(inventory, ports)
        except MacfleetError as error:
            return [findings.fail(self, str(error), self.want, error.hint or "")]
        if not wanted and not unread:
            return [findings.ok(self, "no cable between two Macs", self.want)]

        moved = _moved(inventory, ports)
        states = [EndState.MOVED if end in moved else _judge_end(end, address, facts[end.mac]) for end, address in wanted.items()]
        wrong = [state for state in states if isinstance(state, str)]
        unknown = [state for state in states if isinstance(state, Unknown)]
        if wrong:
            have = f"{len(wrong)} of {len(wanted)} cable ends: {_shorten(wrong)}"
            return [findings.fail(self, have, self.want, "`macfleet provision` gives each cable its addresses")]
        if unknown or unread:
            return [findings.unknown(self, unknown[0] if unknown else _nobody_saw(unread), self.want)]
        return [findings.ok(self, _describe(states), self.want)]


def wanted_addresses(inventory: Inventory, ports: Mapping[str, tuple[system_profiler.Port, ...]]) -> dict[End, IPv4Interface]:
    """End → address with prefix. The order of all Macs counts, so one that is silent or not selected moves no address."""
    cables = find_links(ports, inventory.order)
    networks = {inventory.mac(link.a.mac).settings.interconnect.network for link in cables.links}
    given = {network: addresses(cables, network) for network in networks}
    wanted = {}
    for link in cables.links:
        network = inventory.mac(link.a.mac).settings.interconnect.network
        for end in (link.a, link.b):
            if end in given[network]:
                ip, mask, _ = given[network][end]
                wanted[end] = IPv4Interface(f"{ip}/{mask}")
    return wanted


class EndState(Enum):
    HAS_IT = "has it"
    MOVED = "moved"  # the inventory has its cable elsewhere, `cabling` says so, and putting it back settles both
    BRIDGED = "bridged"  # it can have no address as long as it is in there, and thunderbolt-bridge says so


def _judge_end(end: End, address: IPv4Interface, facts: Facts) -> EndState | str | Unknown:
    """The state of this end; a text says what is wrong with it."""
    ports, interfaces = facts[networksetup.HARDWARE_PORTS], facts[ifconfig.INTERFACES]
    if isinstance(ports, Unknown):
        return ports
    if isinstance(interfaces, Unknown):
        return interfaces
    device = networksetup.thunderbolt_interfaces(ports).get(end.receptacle)
    if device is None:
        return f"{end} is no network port"
    if any(device in bridge.members for bridge in interfaces):
        return EndState.BRIDGED
    own = next((interface for interface in interfaces if interface.name == device), None)
    have = own.ipv4 if own else ()
    if address in have:
        return EndState.HAS_IT
    bridges = [each for each in interfaces if each.name.startswith("bridge")]
    if not have and any(each is None or each.is_active is None for each in (own, *bridges)):
        return Unknown(f"`ifconfig` tells only a part of {end.mac}'s interfaces: cut short before the end of {device} or of its bridge")
    return f"{end} ({device}) has {', '.join(map(_told, have)) or 'none'}, wants {address}"


def _told(address: IPv4Interface) -> str:
    """The address, and where it comes from as far as it shows."""
    return f"{address} (which it gave itself: no DHCP server answered)" if address.ip.is_link_local else str(address)


def _describe(states: Sequence[EndState | str | Unknown]) -> str:
    told = f"{states.count(EndState.HAS_IT)} of {len(states)} cable ends have theirs"
    bridged, moved = states.count(EndState.BRIDGED), states.count(EndState.MOVED)
    told += f", {bridged} still in a bridge (see thunderbolt-bridge)" if bridged else ""
    return f"{told}, {moved} not where the inventory has them (see cabling)" if moved else told


def _moved(inventory: Inventory, ports: Mapping[str, tuple[system_profiler.Port, ...]]) -> frozenset[End]:
    """The ends of cables that the inventory has elsewhere; of none, where nobody wrote cables down."""
    if inventory.cables is None:
        return frozenset()
    links = find_links(ports, inventory.order).links
    return frozenset(end for link in links if not is_recorded(link, inventory.cables) for end in (link.a, link.b))


def _nobody_saw(macs: Sequence[str]) -> str:
    return f"nobody could see the ports of {findings.names(macs)}"


def _shorten(told: list[str]) -> str:
    return "; ".join(told[:4]) + (f"; and {len(told) - 4} more" if len(told) > 4 else "")
