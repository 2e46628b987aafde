"""Is every cable at full speed, and the mesh or ring complete? Both ends of a bad or missing cable are named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from macfleet.checks import findings, recorded_cables
from macfleet.checks.rdma import thunderbolt_generation
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory import hardware
from macfleet.inventory.mac import Cable, Inventory, Mac
from macfleet.inventory.settings import Topology
from macfleet.macos import system_profiler
from macfleet.macos.cabling import Cabling as Cables
from macfleet.macos.cabling import End, Link, find_links, missing_pairs, suggest_cables
from macfleet.macos.system_profiler import Port


class Cabling:
    name = "cabling"
    why = "RDMA does not cross a Mac and needs 80 Gb/s: a missing or slow cable decides how a model can be spread"
    source = "Apple TN3205: point to point only, a mesh or a ring, 8X at 10 Gb/s; captures of ports that trained at 40 Gb/s"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return () if mac.settings.interconnect.topology is Topology.NONE else (system_profiler.THUNDERBOLT,)

    def judge(self, inventory: Inventory, facts: Mapping[str, Facts]) -> Sequence[Finding]:
        macs = [mac for mac in inventory.macs if mac.settings.interconnect.topology is not Topology.NONE]
        if len(macs) < 2:
            why = "a cable has two ends, and this is one Mac" if macs else "no cabling is wanted"
            return [findings.ok(self, f"not looked at: {why}", "nothing")]
        ports = read_ports(macs, facts)
        cables = find_links(ports, [mac.name for mac in macs])
        unread = [mac.name for mac in macs if mac.name not in ports]

        recorded = inventory.cables
        found = [
            *self._slow(cables, macs),
            *self._missing(cables, macs, recorded or ()),
            *self._doubled(cables, recorded or ()),
            *self._shared(cables),
        ]
        if recorded is not None:
            found += recorded_cables.differences(self, recorded, cables, list(_needed(cables, macs)))
        if unread:
            found.append(findings.unknown(self, f"nobody could see the ports of {findings.names(unread)}", _want(macs)))
        elif len(macs) == len(inventory.order):
            found += self._foreign(cables)
        return found or [findings.ok(self, _describe(cables), _want(macs))]

    def _slow(self, cables: Cables, macs: Sequence[Mac]) -> Iterator[Finding]:
        best = {mac.name: _best_speed(mac, cables.ports.get(mac.name, ())) for mac in macs}
        for link in cables.links:
            want_gb_s = min(best[link.a.mac], best[link.b.mac])
            if link.speed_gb_s is None:
                yield findings.unknown(self, f"the speed of {link} is not known", f"{want_gb_s} Gb/s")
            elif link.speed_gb_s < want_gb_s:
                have = f"{link} runs at {link.speed_gb_s} Gb/s{', through a hub or dock' if link.via_hub else ''}"
                hint = f"put a Thunderbolt 5 cable between {link.a} and {link.b}, without a dock: what it trains at counts, not its label"
                yield findings.fail(self, have, f"{want_gb_s} Gb/s", hint)

    def _missing(self, cables: Cables, macs: Sequence[Mac], recorded: Sequence[Cable]) -> Iterator[Finding]:
        pairs = tuple(_needed(cables, macs))
        if len(pairs) > 3 and not cables.links:
            yield self._none_at_all([mac for mac in macs if mac.name in cables.ports])
            return
        for pair, free in zip(pairs, suggest_cables(cables, pairs, _taken_last(macs)), strict=True):
            topology = next(mac.settings.interconnect.topology for mac in macs if mac.name == pair[0])
            size = sum(mac.settings.interconnect.topology is topology for mac in macs)
            ends = recorded_cables.recorded_ends(*pair, recorded, cables) or free
            yield self._no_cable(cables, pair, ends, topology, size)

    def _none_at_all(self, macs: Sequence[Mac]) -> Finding:
        """Macs that were just unpacked: a finding for each cable would be a page of them."""
        plans = dict.fromkeys(f"`macfleet cables --plan {mac.settings.interconnect.topology}`" for mac in macs)
        have = f"no cable between any of the {len(macs)} Macs"
        return findings.fail(self, have, _want(macs), f"{' and '.join(plans)} says which ports to connect")

    def _no_cable(
        self, cables: Cables, pair: tuple[str, str], ends: tuple[End | None, End | None], topology: Topology, size: int
    ) -> Finding:
        want = f"a full mesh of {size} Macs" if topology is Topology.MESH else f"a closed ring of {size} Macs"
        first, second = ends
        have = f"no cable between {pair[0]} and {pair[1]}"
        if first is not None and second is not None:
            return findings.fail(self, f"{have}: missing is {Link(first, second)}", want, f"connect {first} with {second}, at 80 Gb/s")
        full = [mac for mac, end in zip(pair, ends, strict=True) if end is None]
        return findings.fail(self, f"{have}; no free port on {findings.names(full)}", want, _make_room(cables, full[0], topology, size))

    def _doubled(self, cables: Cables, recorded: Sequence[Cable]) -> Iterator[Finding]:
        want = "at most one cable between two Macs"
        for pair, links in cables.by_pair.items():
            if len(links) > 1 and len(pair) == 2:
                between = f"{links[0].a.mac} and {links[0].b.mac}"
                have = f"{len(links)} cables between {between}: {', '.join(str(link) for link in links)}"
                extra = ([link for link in links if not recorded_cables.is_recorded(link, recorded)] or links)[-1]
                hint = f"unplug {extra}: only one is used, and bridged they make a loop"
                yield findings.warn(self, have, want, hint)
        for link in cables.links:
            if link.a.mac == link.b.mac:
                yield findings.warn(self, f"{link} connects a Mac with itself", want, "unplug it, or lead it to another Mac")

    def _shared(self, cables: Cables) -> Iterator[Finding]:
        """One Mac behind a hub is as good as at the cable; of several, none gets an address, because the port has but one."""
        ends = dict.fromkeys(end for link in cables.links for end in (link.a, link.b))
        for end in ends:
            macs = [link.end_opposite(end.mac).mac for link in cables.links if end in (link.a, link.b)]
            if len(macs) > 1:
                have = f"{end} leads to {findings.names(macs)} through one hub: they get no address there, and so no RDMA"
                yield findings.fail(self, have, "one Mac at each port", f"give each of them a cable of its own to {end.mac}")

    def _foreign(self, cables: Cables) -> Iterator[Finding]:
        for dangling in cables.dangling:
            have = f"{dangling.end} leads to a Mac ({dangling.model_identifier}) that is not in the inventory"
            yield findings.warn(self, have, "cables between Macs of the inventory", "add that Mac, or ignore this")


def _needed(cables: Cables, macs: Sequence[Mac]) -> Iterator[tuple[str, str]]:
    """The pairs that need a cable and have none."""
    for topology in (Topology.MESH, Topology.RING):
        wanted = [mac.name for mac in macs if mac.settings.interconnect.topology is topology]
        seen = [mac for mac in wanted if mac in cables.ports]
        if topology is Topology.RING and seen != wanted:
            continue  # which cables close a ring depends on those that nobody could see
        yield from missing_pairs(cables, seen, topology)


def _taken_last(macs: Sequence[Mac]) -> frozenset[End]:
    """The ports next to Ethernet: `hardware` says why."""
    rows = ((mac.name, hardware.find(mac.hardware)) for mac in macs)
    return frozenset(End(name, row.port_next_to_ethernet) for name, row in rows if row and row.port_next_to_ethernet)


def read_ports(macs: Sequence[Mac], facts: Mapping[str, Facts]) -> dict[str, tuple[Port, ...]]:
    """The ports of those Macs that told theirs."""
    ports = {}
    for mac in macs:
        told = findings.told(facts, mac.name, system_profiler.THUNDERBOLT)
        if not isinstance(told, Unknown):
            ports[mac.name] = told
    return ports


def _best_speed(mac: Mac, ports: Sequence[Port]) -> int:
    return 40 if thunderbolt_generation(mac, ports) == 4 else 80


def _make_room(cables: Cables, mac: str, topology: Topology, size: int) -> str:
    count = len(cables.ports[mac])
    if topology is Topology.MESH and size - 1 > count:
        return f"a mesh of {size} needs {size - 1} ports on each Mac and {mac} has {count}: write `topology: ring`, or use fewer Macs"
    doubled = next((link for other in cables.macs for link in cables.between(mac, other)[1:]), None)
    if doubled is not None:
        return f"{doubled} is a second cable between the same Macs: move it"
    others = _other_devices(cables, mac)
    return f"free a port of {mac}{f': no Mac of this fleet is at {others}' if others else ''}"


def _other_devices(cables: Cables, mac: str) -> str:
    used = {end for link in cables.links for end in (link.a, link.b)}
    ends = [End(mac, port.receptacle) for port in cables.ports[mac] if port.connected]
    return ", ".join(str(end) for end in ends if end not in used)


def _want(macs: Sequence[Mac]) -> str:
    wanted: dict[Topology, int] = {}
    for mac in macs:
        topology = mac.settings.interconnect.topology
        wanted[topology] = wanted.get(topology, 0) + 1
    told = [f"a {'full mesh' if topology is Topology.MESH else 'closed ring'} of {count} Macs" for topology, count in wanted.items()]
    return f"{' and '.join(told)}, every cable at full speed"


def _describe(cables: Cables) -> str:
    speeds: dict[int, list[Link]] = {}
    for link in cables.links:
        speeds.setdefault(link.speed_gb_s or 0, []).append(link)
    return ", ".join(f"{len(links)} cable{'s' if len(links) > 1 else ''} at {speed} Gb/s" for speed, links in sorted(speeds.items()))
