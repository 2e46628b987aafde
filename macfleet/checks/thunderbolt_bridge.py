"""Is any Thunderbolt port in a bridge, now or after the next boot?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Topology
from macfleet.macos import ifconfig, networksetup, plutil


class ThunderboltBridge:
    name = "thunderbolt-bridge"
    why = "a bridged port has no address of its own, so JACCL fails with errno 22, and a ring of bridged cables is a packet storm"
    source = "Apple TN3205: in a loop of bridged cables frames travel without end; mlx's documentation of jaccl"
    want = "no Thunderbolt port in a bridge, now or at boot"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        if mac.settings.interconnect.topology is Topology.NONE:
            return ()
        return (networksetup.HARDWARE_PORTS, ifconfig.INTERFACES, plutil.BRIDGES)

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        if mac.settings.interconnect.topology is Topology.NONE:
            return [findings.ok(self, "not looked at: no cabling is wanted", "nothing")]
        ports, interfaces, stored = facts[networksetup.HARDWARE_PORTS], facts[ifconfig.INTERFACES], facts[plutil.BRIDGES]
        if isinstance(ports, Unknown):
            return [findings.unknown(self, ports, self.want)]
        if isinstance(interfaces, Unknown):
            return [findings.unknown(self, interfaces, self.want)]
        if isinstance(stored, Unknown):
            return [findings.unknown(self, stored, self.want)]

        thunderbolt = set(networksetup.thunderbolt_interfaces(ports).values())
        # A bridge that is down still holds its ports, so its flags do not matter.
        told = [
            *_memberships({interface.name: interface.members for interface in interfaces}, thunderbolt, "now"),
            *_memberships(stored, thunderbolt, "at boot"),
        ]
        if not told:
            return [findings.ok(self, "no Thunderbolt port in a bridge", self.want)]
        return [findings.fail(self, "; ".join(told), self.want, _hint(interfaces, thunderbolt))]


def _memberships(bridges: Mapping[str, Sequence[str]], thunderbolt: set[str], when: str) -> list[str]:
    inside = {bridge: [member for member in members if member in thunderbolt] for bridge, members in bridges.items()}
    return [f"{findings.names(members)} in {bridge} {when}" for bridge, members in inside.items() if members]


def _hint(interfaces: Sequence[ifconfig.Interface], thunderbolt: set[str]) -> str:
    """Internet Sharing makes bridges numbered from 100: another cure than for macOS's own Thunderbolt Bridge."""
    if any(ifconfig.is_sharing(one.name) and thunderbolt & set(one.members) for one in interfaces):
        return "switch Internet Sharing off, in System Settings > General > Sharing"
    return "`macfleet provision` takes the ports out of the bridge, for now and for every boot"
