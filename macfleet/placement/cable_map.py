"""Who is plugged into whom, port by port: what a drawing of the cables shows, whatever it is drawn with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from macfleet.core.fact import Facts, Unknown
from macfleet.inventory import hardware
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Topology
from macfleet.macos import system_profiler
from macfleet.macos.cable_rdma import Broken, EndState, Step, first_broken, read_end
from macfleet.macos.cabling import Cabling, Dangling, End, Link, find_links, missing_pairs, suggest_cables
from macfleet.macos.system_profiler import Port
from macfleet.placement.cabling_plan import Board, CablingPlan


class CableState(StrEnum):
    RDMA = "RDMA"
    NO_RDMA = "no RDMA"
    UNKNOWN = "RDMA unknown"
    THERE = "plugged in"  # of a plan: it stays as it is
    MISSING = "missing"  # wanted by the topology or by a plan, and not there


@dataclass(frozen=True)
class DrawnCable:
    """One cable, or one that should be there. `b` None leads to a Mac that was not looked at: `elsewhere` is its model identifier."""

    a: End
    b: End | None
    state: CableState
    speed_gb_s: int | None = None
    via_hub: bool = False
    why: str = ""
    elsewhere: str = ""

    def __str__(self) -> str:
        return f"{self.a} ↔ {self.b or f'another Mac ({self.elsewhere})'}"

    @property
    def speed(self) -> str:
        return f"{self.speed_gb_s} Gb/s" if self.speed_gb_s else "speed unknown"

    def other_end(self, end: End) -> End | None:
        return self.b if end == self.a else self.a

    def as_json(self) -> dict[str, Any]:
        return {
            "a": _end_json(self.a),
            "b": _end_json(self.b) if self.b else None,
            "elsewhere": self.elsewhere or None,
            "speed_gb_s": self.speed_gb_s,
            "via_hub": self.via_hub,
            "rdma": {CableState.RDMA: True, CableState.UNKNOWN: None}.get(self.state, False),
            "why": self.why,
        }


@dataclass(frozen=True)
class DrawnPort:
    """A port of a Mac. `other_device`: something is in it that is no Mac. `rdma` is its device's state as `ibv_devinfo` says it."""

    receptacle: int
    interface: str | None = None
    rdma: str | None = None
    addresses: tuple[str, ...] = ()
    other_device: bool = False


@dataclass(frozen=True)
class DrawnMac:
    """`unread` says why nobody could see its ports."""

    name: str
    kind: str
    ports: tuple[DrawnPort, ...]
    unread: str = ""


@dataclass(frozen=True)
class CableMap:
    macs: tuple[DrawnMac, ...]
    cables: tuple[DrawnCable, ...]

    def at(self, end: End) -> tuple[DrawnCable, ...]:
        """The cables in this port: several, when a hub is behind it."""
        return tuple(cable for cable in self.cables if end in (cable.a, cable.b))

    def of(self, *states: CableState) -> tuple[DrawnCable, ...]:
        return tuple(cable for cable in self.cables if cable.state in states)

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "macs": [_mac_json(mac) for mac in self.macs],
            "cables": [cable.as_json() for cable in self.cables if cable.state is not CableState.MISSING],
            "missing": [{"a": _end_json(cable.a), "b": _end_json(cable.b) if cable.b else None} for cable in self.of(CableState.MISSING)],
            "summary": {
                "macs": len(self.macs),
                "unread": sum(bool(mac.unread) for mac in self.macs),
                "cables": len(self.cables) - len(self.of(CableState.MISSING)),
                "with_rdma": len(self.of(CableState.RDMA)),
                "missing": len(self.of(CableState.MISSING)),
            },
        }


def make_map(macs: Sequence[Mac], facts: Mapping[str, Facts | Unknown], order: Sequence[str] = ()) -> CableMap:
    """The map of these Macs; of one that did not answer, why. `order` names all Macs of the inventory."""
    ports = {mac.name: told for mac in macs if isinstance(told := _ports_of(facts.get(mac.name)), tuple)}
    cabling = find_links(ports, order or [mac.name for mac in macs])
    known = {name: own for name, own in facts.items() if isinstance(own, Facts) and name in ports}
    cables = [_of_link(link, cabling, known) for link in cabling.links]
    cables += [_of_dangling(dangling, cabling, known) for dangling in cabling.dangling]
    return CableMap(tuple(_mac(mac, ports, facts, cabling) for mac in macs), (*cables, *_missing(cabling, macs)))


def plan_map(plan: CablingPlan, boards: Sequence[Board]) -> CableMap:
    """What a plan ends in: what stays, what is replaced, what is to be plugged in. Of the ports only what a plan knows."""
    macs = tuple(DrawnMac(board.mac, _kind(board.hardware), _board_ports(board)) for board in boards)
    stays = [DrawnCable(link.a, link.b, CableState.THERE, link.speed_gb_s, link.via_hub) for link in plan.keep]
    slow = [DrawnCable(link.a, link.b, CableState.NO_RDMA, link.speed_gb_s, link.via_hub, "replace it") for link in plan.replace]
    new = [DrawnCable(link.a, link.b, CableState.MISSING, why="plug it in") for link in plan.plug]
    return CableMap(macs, (*stays, *slow, *new))


def _board_ports(board: Board) -> tuple[DrawnPort, ...]:
    return tuple(DrawnPort(port, other_device=port in board.taken) for port in board.ports)


def _kind(model_identifier: str) -> str:
    row = hardware.find(model_identifier)
    return row.name if row is not None else model_identifier


def _ports_of(facts: Facts | Unknown | None) -> tuple[Port, ...] | Unknown:
    if facts is None:
        return Unknown("was not asked")
    if isinstance(facts, Unknown):
        return facts
    ports = facts[system_profiler.THUNDERBOLT]  # in `return`, mypy would infer another type for the fact
    return ports


def _of_link(link: Link, cabling: Cabling, facts: Mapping[str, Facts]) -> DrawnCable:
    ends = [read_end(end, facts[end.mac]) for end in (link.a, link.b) if end.mac in facts]
    broken = first_broken(link.speed_gb_s, ends, peer_has_rdma=True)
    return DrawnCable(link.a, link.b, _state(broken), link.speed_gb_s, link.via_hub, str(broken or ""))


def _of_dangling(dangling: Dangling, cabling: Cabling, facts: Mapping[str, Facts]) -> DrawnCable:
    port = next(port for port in cabling.ports[dangling.end.mac] if port.receptacle == dangling.end.receptacle)
    end = read_end(dangling.end, facts[dangling.end.mac])
    broken = first_broken(port.speed_gb_s, [end], peer_has_rdma=any(peer.has_rdma for peer in port.peers))
    via_hub = any(peer.via_hub for peer in port.peers)
    return DrawnCable(dangling.end, None, _state(broken), port.speed_gb_s, via_hub, str(broken or ""), dangling.model_identifier)


def _state(broken: Broken | None) -> CableState:
    if broken is None:
        return CableState.RDMA
    return CableState.UNKNOWN if broken.step is Step.NOT_KNOWN else CableState.NO_RDMA


def _missing(cabling: Cabling, macs: Sequence[Mac]) -> Iterator[DrawnCable]:
    """As the check `cabling` names them: a ring only when all its Macs could be seen."""
    for topology in (Topology.MESH, Topology.RING):
        wanted = [mac.name for mac in macs if mac.settings.interconnect.topology is topology]
        seen = [mac for mac in wanted if mac in cabling.ports]
        if topology is Topology.RING and seen != wanted:
            continue
        pairs = missing_pairs(cabling, seen, topology)
        for a, b in suggest_cables(cabling, pairs, taken_last(macs)):
            if a and b:
                yield DrawnCable(a, b, CableState.MISSING, why=f"plug a cable: a {topology} is wanted")


def taken_last(macs: Sequence[Mac]) -> frozenset[End]:
    """The ports next to Ethernet."""
    rows = ((mac.name, hardware.find(mac.hardware)) for mac in macs)
    return frozenset(End(name, row.port_next_to_ethernet) for name, row in rows if row and row.port_next_to_ethernet)


def _mac(mac: Mac, ports: Mapping[str, tuple[Port, ...]], facts: Mapping[str, Facts | Unknown], cabling: Cabling) -> DrawnMac:
    kind, own = _kind(mac.hardware), facts.get(mac.name)
    if mac.name not in ports or not isinstance(own, Facts):
        told = _ports_of(own)
        return DrawnMac(mac.name, kind, (), told.reason if isinstance(told, Unknown) else "")
    linked = {end for link in cabling.links for end in (link.a, link.b)} | {dangling.end for dangling in cabling.dangling}
    return DrawnMac(mac.name, kind, tuple(_port(port, read_end(End(mac.name, port.receptacle), own), linked) for port in ports[mac.name]))


def _port(port: Port, state: EndState, linked: set[End]) -> DrawnPort:
    return DrawnPort(
        receptacle=port.receptacle,
        interface=state.interface,
        rdma=state.device.state if state.device else None,
        addresses=state.addresses,
        other_device=port.connected and state.end not in linked,
    )


def _end_json(end: End) -> dict[str, Any]:
    return {"mac": end.mac, "port": end.receptacle}


def _mac_json(mac: DrawnMac) -> dict[str, Any]:
    return {
        "mac": mac.name,
        "hardware": mac.kind,
        "outcome": "unknown" if mac.unread else "ok",
        "error": mac.unread or None,
        "ports": [
            {
                "port": port.receptacle,
                "interface": port.interface,
                "rdma_port": port.rdma,
                "addresses": list(port.addresses),
                "other_device": port.other_device,
            }
            for port in mac.ports
        ],
    }
