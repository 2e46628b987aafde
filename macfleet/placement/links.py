"""How the stages of a gang talk: over which cables, by which kind of link, in which order. Chosen once, shown, never replaced silently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from macfleet.core.errors import PlacementRefused
from macfleet.inventory.settings import Interconnect
from macfleet.macos.cabling import Cabling, End, Link, addresses, is_mesh, missing_pairs, ring_order

LinkKind = Literal["tcp", "ring", "jaccl", "jaccl-ring"]

_RDMA_SPEED_GB_S = 80  # at 40 Gb/s the cable carries IP, and no RDMA


@dataclass(frozen=True)
class Links:
    """`macs` in rank order. `listen` is the address at which each rank waits for the one before it.

    `devices` is JACCL's matrix: row i, column j is the RDMA device on rank i that leads to rank j. Empty for tcp and ring.
    """

    kind: LinkKind
    macs: tuple[str, ...]
    listen: tuple[str, ...]
    why: str
    devices: tuple[tuple[str | None, ...], ...] = ()


@dataclass(frozen=True)
class Wires:
    """What was read of the ways between Macs.

    `lan`: each Mac's address for the others. `interfaces`: receptacle → interface ("en2") of each Mac. `active_rdma`: the
    interfaces whose RDMA port is active. Without Thunderbolt all but `lan` are empty.
    """

    lan: Mapping[str, str]
    cabling: Cabling
    interfaces: Mapping[str, Mapping[int, str]]
    active_rdma: Mapping[str, frozenset[str]]

    def device(self, end: End) -> str | None:
        """The RDMA device behind a port, when it is active."""
        interface = self.interfaces.get(end.mac, {}).get(end.receptacle)
        return f"rdma_{interface}" if interface in self.active_rdma.get(end.mac, frozenset()) else None

    def rdma_links(self) -> Cabling:
        """Only the cables that carry RDMA, one for each pair of Macs: both directions must use the same cable."""
        chosen: dict[frozenset[str], Link] = {}
        for link in self.cabling.links:
            if (link.speed_gb_s or 0) >= _RDMA_SPEED_GB_S and self.device(link.a) and self.device(link.b):
                chosen.setdefault(link.macs, link)
        return Cabling(self.cabling.macs, tuple(chosen.values()))


def choose_links(macs: Sequence[str], wanted: Interconnect, wires: Wires) -> Links:
    """The links of a gang whose head is the first of `macs`.

    `auto` takes jaccl on a mesh of RDMA cables, jaccl-ring on a ring of them, and otherwise tcp. A kind that was asked for by
    name and cannot be had is refused with what is missing, as is Thunderbolt without the cables.
    """
    names = tuple(macs)
    if len(names) == 1:
        return Links("tcp", names, (wires.lan[names[0]],), "one Mac, no link")
    rdma = wires.rdma_links()
    match wanted.kind:
        case "auto" if wanted.over == "lan":
            return _over_lan("tcp", names, wires, "the interconnect is the LAN")
        case "auto" if is_mesh(rdma, names):
            return _jaccl("jaccl", names, wires, rdma, "every pair has a cable with RDMA")
        case "auto" if ring := ring_order(rdma, names):
            return _jaccl("jaccl-ring", ring, wires, rdma, "the cables with RDMA form a ring")
        case "auto":
            return _over_cables("tcp", names, wanted, wires, "no mesh or ring of cables with RDMA")
        case "jaccl" | "jaccl-ring" as kind:
            return _rdma_by_name(kind, names, wires, rdma)
        case "tcp" | "ring" as kind if wanted.over == "lan":
            return _over_lan(kind, names, wires, f"the inventory wants {kind} over the LAN")
        case "tcp" | "ring" as kind:
            return _over_cables(kind, names, wanted, wires, f"the inventory wants {kind} over Thunderbolt")


def _over_lan(kind: LinkKind, macs: tuple[str, ...], wires: Wires, why: str) -> Links:
    return Links(kind, macs, tuple(wires.lan[mac] for mac in macs), why)


def _over_cables(kind: LinkKind, macs: tuple[str, ...], wanted: Interconnect, wires: Wires, why: str) -> Links:
    """Each rank listens at its end of the cable from the rank before it."""
    order = ring_order(wires.cabling, macs)
    if order is None:
        raise _uncabled(wires.cabling, macs, "tcp over Thunderbolt needs a closed ring of cables")
    given = addresses(wires.cabling, wanted.network)
    before = (order[-1], *order[:-1])
    listen = []
    for one, mac in zip(before, order, strict=True):
        ends = [link.end_at(mac) for link in wires.cabling.between(one, mac) if link.end_at(mac) in given]
        if not ends:
            raise PlacementRefused(
                f"the cable between {one} and {mac} has no address of its own", hint="take the hub out, or set `over: lan`"
            )
        listen.append(given[ends[0]][0])
    return Links(kind, order, tuple(listen), why)


def _rdma_by_name(kind: LinkKind, macs: tuple[str, ...], wires: Wires, rdma: Cabling) -> Links:
    why = f"the inventory wants {kind}"
    if kind == "jaccl":
        if is_mesh(rdma, macs):
            return _jaccl(kind, macs, wires, rdma, why)
        raise _uncabled(rdma, macs, "jaccl needs RDMA between every pair of Macs", wires.cabling, topology="mesh")
    ring = ring_order(rdma, macs)
    if ring is None:
        raise _uncabled(rdma, macs, "jaccl-ring needs a closed ring of cables with RDMA", wires.cabling)
    return _jaccl(kind, ring, wires, rdma, why)


def _jaccl(kind: LinkKind, macs: tuple[str, ...], wires: Wires, rdma: Cabling, why: str) -> Links:
    neighbours = {frozenset(pair) for pair in zip(macs, macs[1:] + macs[:1], strict=True)}

    def device(here: str, there: str) -> str | None:
        if here == there or (kind == "jaccl-ring" and frozenset((here, there)) not in neighbours):
            return None
        return wires.device(rdma.between(here, there)[0].end_at(here))

    matrix = tuple(tuple(device(here, there) for there in macs) for here in macs)
    return Links(kind, macs, tuple(wires.lan[mac] for mac in macs), why, matrix)


def _uncabled(
    usable: Cabling, macs: Sequence[str], what: str, all_cables: Cabling | None = None, topology: str = "ring"
) -> PlacementRefused:
    missing = missing_pairs(usable, macs, topology)
    truths = [f"between {one} and {other} {_what_is_there(one, other, all_cables)}" for one, other in missing]
    return PlacementRefused(what, truths=truths, hint="`macfleet verify` names the cables and ports; or set `over: lan` in the inventory")


def _what_is_there(one: str, other: str, all_cables: Cabling | None) -> str:
    cables = all_cables.between(one, other) if all_cables else ()
    return f"there is {cables[0]}, without RDMA" if cables else "there is no cable"
