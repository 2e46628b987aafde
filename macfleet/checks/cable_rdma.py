"""Does every cable carry RDMA? Judged from both ends, so that a port that is down is named once, with whose fault it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from macfleet.checks import findings
from macfleet.checks.cabling import read_ports
from macfleet.checks.rdma import is_wanted
from macfleet.core.fact import Fact, Facts
from macfleet.core.finding import Finding
from macfleet.core.words import count
from macfleet.inventory import hardware
from macfleet.inventory.mac import Inventory, Mac
from macfleet.macos import cable_rdma
from macfleet.macos.cable_rdma import Broken, Step, first_broken, read_end
from macfleet.macos.cabling import Cabling, Dangling, End, Link, find_links

REPLUG = "replug the cable at both ends; if that changes nothing restart both Macs"


@dataclass(frozen=True)
class Judged:
    """A cable, the ends of it that are among the Macs that were read, and why it carries no RDMA."""

    name: str
    ends: tuple[End, ...]
    broken: Broken | None
    is_dangling: bool = False

    @property
    def is_down(self) -> bool:
        """Everything is right, and its port is down all the same."""
        return self.broken is not None and self.broken.step is Step.PORT


class CableRdma:
    name = "cable-rdma"
    why = "a cable carries RDMA only when both its ends are right, and stages at one without it talk by TCP or not at all"
    source = "Apple TN3205; exo#1711 and #1847 for ports that stay down, mlx#4530 for what JACCL makes of them"
    want = "RDMA on every cable between two Macs"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return cable_rdma.FACTS if is_wanted(mac) else ()

    def judge(self, inventory: Inventory, facts: Mapping[str, Facts]) -> Sequence[Finding]:
        macs = [mac for mac in inventory.macs if is_wanted(mac)]
        if not macs:
            return [findings.ok(self, "not looked at: no RDMA is wanted", "nothing")]
        ports = read_ports(macs, facts)
        if not ports:
            return [findings.unknown(self, f"nobody could see the ports of {findings.names([mac.name for mac in macs])}", self.want)]
        cables = list(_judged(find_links(ports, inventory.order), facts))
        # A Mac that sleeps shows itself on its cables and takes its ports down: whose fault that is, only it could say.
        unasked = [cable for cable in cables if cable.is_dangling and cable.is_down] if set(inventory.order) - set(facts) else []
        down = list(self._down([cable for cable in cables if cable not in unasked], macs))
        if down:
            return down
        if unasked:
            judge = findings.warn if all(mac.name in facts for mac in macs) else findings.unknown
            return [judge(self, f"{_describe(cables)}, and the Mac at its other end was not read", self.want)]
        # A Mac that did not answer at all is `reachable`'s; one that did, but whose ports nobody understands, is not fine here.
        unread = [mac.name for mac in macs if mac.name in facts and mac.name not in ports]
        if unread:
            return [findings.unknown(self, f"nobody could see the ports of {findings.names(unread)}", self.want)]
        if any(cable.broken and cable.broken.step is Step.NOT_KNOWN for cable in cables):
            return [findings.unknown(self, _describe(cables), self.want)]
        return [findings.ok(self, _describe(cables), self.want)]

    def _down(self, cables: Sequence[Judged], macs: Sequence[Mac]) -> Iterator[Finding]:
        """One finding for a Mac all of whose cables are down while others' are not; else one for each cable."""
        left = [cable for cable in cables if cable.is_down]
        for mac in macs:
            own = [cable for cable in cables if _touches(cable, mac.name) and (cable.broken is None or cable.is_down)]
            others_carry = any(cable.broken is None for cable in cables if cable not in own)
            if len(own) > 1 and others_carry and all(cable.is_down for cable in own):
                yield self._stuck(mac, own)
                left = [cable for cable in left if cable not in own]
        for cable in left:
            have = f"{cable.name}: {cable.broken}, though the cable runs at full speed and RDMA is on at both ends"
            yield findings.fail(self, have, self.want, f"{REPLUG}{_beside_ethernet(cable, macs)}")

    def _stuck(self, mac: Mac, own: Sequence[Judged]) -> Finding:
        have = f"all {len(own)} cables of {mac.name} are down, those of its neighbours are not: {'; '.join(cable.name for cable in own)}"
        return findings.fail(self, have, self.want, f"restart {mac.name}, its driver is stuck: `macfleet rolling-reboot --mac {mac.name}`")


def _judged(cabling: Cabling, facts: Mapping[str, Facts]) -> Iterator[Judged]:
    for link in cabling.links:
        if link.a.mac != link.b.mac:
            yield _of_link(link, facts)
    for dangling in cabling.dangling:
        yield _of_dangling(dangling, cabling, facts)


def _of_link(link: Link, facts: Mapping[str, Facts]) -> Judged:
    ends = tuple(end for end in (link.a, link.b) if end.mac in facts)
    return Judged(str(link), ends, first_broken(link.speed_gb_s, [read_end(end, facts[end.mac]) for end in ends]))


def _of_dangling(dangling: Dangling, cabling: Cabling, facts: Mapping[str, Facts]) -> Judged:
    """The other end is a Mac that was not asked or did not answer: what it shows on the cable must do."""
    end = dangling.end
    port = next(port for port in cabling.ports[end.mac] if port.receptacle == end.receptacle)
    has_rdma = any(peer.has_rdma for peer in port.peers)
    broken = first_broken(port.speed_gb_s, [read_end(end, facts[end.mac])], peer_has_rdma=has_rdma)
    return Judged(f"{end} ↔ another Mac ({dangling.model_identifier})", (end,), broken, is_dangling=True)


def _touches(cable: Judged, mac: str) -> bool:
    return mac in (end.mac for end in cable.ends)


def _describe(cables: Sequence[Judged]) -> str:
    carrying = sum(cable.broken is None for cable in cables)
    told = f"{carrying} of {count(len(cables), 'cable')} carry RDMA" if cables else "no cable between two Macs"
    reasons: dict[str, int] = {}
    for cable in cables:
        if cable.broken is not None:
            reasons[str(cable.broken)] = reasons.get(str(cable.broken), 0) + 1
    return "; ".join((told, *(f"{number} not: {reason}" for reason, number in reasons.items())))


def _beside_ethernet(cable: Judged, macs: Sequence[Mac]) -> str:
    """exo's users report no RDMA on the port of a Mac Studio that is next to Ethernet; Apple says nothing of it."""
    rows = {mac.name: hardware.find(mac.hardware) for mac in macs}
    beside = [end for end in cable.ends if (row := rows.get(end.mac)) and row.port_next_to_ethernet == end.receptacle]
    told = (
        f"; some report that the port next to Ethernet is of no use for RDMA: try another one at {findings.names([e.mac for e in beside])}"
    )
    return told if beside else ""
