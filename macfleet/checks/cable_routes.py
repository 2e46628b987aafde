"""Does any Mac go out over a cable? Where the Mac at its other end shares its internet, the cable brings a default route."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from macfleet.checks import findings
from macfleet.checks.cabling import read_ports
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Inventory, Mac
from macfleet.inventory.settings import Topology
from macfleet.macos import ifconfig, netstat, networksetup, system_profiler
from macfleet.macos.cabling import Cabling, End, find_links


@dataclass(frozen=True)
class WayOut:
    """A default route over the port `end`. `sharer`: the end of a Mac of this fleet that is seen to share its internet there."""

    end: End
    interface: str
    route: netstat.Route
    neighbour: End | None
    sharer: End | None


class CableRoutes:
    name = "cable-routes"
    why = "a default route over a cable sends a Mac's traffic, and its questions for names, through another Mac"
    source = "recordings of two Macs with Internet Sharing on a Thunderbolt port; its bridges are numbered from 100"
    want = "no default route over a cable"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        if mac.settings.interconnect.topology is Topology.NONE:
            return ()
        return (system_profiler.THUNDERBOLT, networksetup.HARDWARE_PORTS, ifconfig.INTERFACES, netstat.ROUTES)

    def judge(self, inventory: Inventory, facts: Mapping[str, Facts]) -> Sequence[Finding]:
        macs = [mac for mac in inventory.macs if mac.settings.interconnect.topology is not Topology.NONE]
        if not macs:
            return [findings.ok(self, "not looked at: no cabling is wanted", "nothing")]
        answered = [mac.name for mac in macs if mac.name in facts]
        if not answered:
            return [findings.unknown(self, f"nobody could see the routes of {findings.names([mac.name for mac in macs])}", self.want)]
        cabling = find_links(read_ports(macs, facts), inventory.order)
        found = [way for name in answered for way in _ways_out(name, facts, cabling)]
        wrong = [self._wrong(way) for way in found if way.sharer is None]
        if wrong:
            return wrong
        unread = next((reason for name in answered if (reason := _unread(facts[name]))), None)
        if unread is not None:
            return [findings.unknown(self, unread, self.want)]
        told = [f"{way.end} ({way.interface}) leads out through {way.sharer} (see thunderbolt-bridge)" for way in found]
        return [findings.ok(self, "; ".join(told) or "none", self.want)]

    def _wrong(self, way: WayOut) -> Finding:
        which = "a second default route" if way.route.is_second else "the default route"
        have = f"{way.end} ({way.interface}) has {which}, to {way.route.gateway}"
        where = f" on {way.neighbour.mac}" if way.neighbour else " on the Mac at the other end of the cable"
        hint = f"switch Internet Sharing off{where}, in System Settings > General > Sharing; then `macfleet provision`"
        return findings.fail(self, have, self.want, hint)


def _ways_out(mac: str, facts: Mapping[str, Facts], cabling: Cabling) -> Iterator[WayOut]:
    routes, ports = facts[mac][netstat.ROUTES], facts[mac][networksetup.HARDWARE_PORTS]
    if isinstance(routes, Unknown) or isinstance(ports, Unknown):
        return
    by_interface = {interface: receptacle for receptacle, interface in networksetup.thunderbolt_interfaces(ports).items()}
    for route in routes:
        if route.is_default and route.interface in by_interface:
            end = End(mac, by_interface[route.interface])
            neighbour = next((link.end_opposite(mac) for link in cabling.links if end in (link.a, link.b)), None)
            sharer = neighbour if neighbour and neighbour.mac in facts and shares(neighbour, facts[neighbour.mac]) else None
            yield WayOut(end, route.interface, route, neighbour, sharer)


def shares(end: End, facts: Facts) -> bool:
    """Whether this port is in a bridge of Internet Sharing."""
    ports, interfaces = facts[networksetup.HARDWARE_PORTS], facts[ifconfig.INTERFACES]
    if isinstance(ports, Unknown) or isinstance(interfaces, Unknown):
        return False
    interface = networksetup.thunderbolt_interfaces(ports).get(end.receptacle)
    return any(interface in bridge.members and ifconfig.is_sharing(bridge.name) for bridge in interfaces)


def _unread(facts: Facts) -> Unknown | None:
    for fact in (facts[netstat.ROUTES], facts[networksetup.HARDWARE_PORTS]):
        if isinstance(fact, Unknown):
            return fact
    return None
