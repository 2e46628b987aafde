"""Which cables to plug for a mesh or a ring of these Macs, on which ports; or why it cannot be done, and what instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal

from macfleet.core.fact import Facts, Unknown
from macfleet.core.words import count
from macfleet.inventory import hardware
from macfleet.inventory.mac import Cable
from macfleet.macos.cabling import Cabling, End, Link, best_ring, find_links
from macfleet.macos.system_profiler import THUNDERBOLT

Shape = Literal["mesh", "ring"]
MOST_PORTS = 6  # of any Mac: an Ultra has six, so a mesh has at most seven Macs


@dataclass(frozen=True)
class Board:
    """The ports of one Mac. `taken` are those with something else in them: a disk, a dock, a Mac of elsewhere."""

    mac: str
    hardware: str
    ports: tuple[int, ...]
    taken: tuple[int, ...] = ()

    @property
    def usable(self) -> tuple[int, ...]:
        """In the order in which they should be taken: on a Mac Studio the port next to Ethernet last."""
        row = hardware.find(self.hardware)
        last = row.port_next_to_ethernet if row is not None else None
        return tuple(sorted((port for port in self.ports if port not in self.taken), key=lambda port: (port == last, port)))


@dataclass(frozen=True)
class CablingPlan:
    """What to do. `keep` is right as it is, `replace` is in the right ports and too slow, `unplug` comes before `plug`."""

    shape: Shape
    macs: tuple[str, ...]
    keep: tuple[Link, ...]
    replace: tuple[Link, ...]
    unplug: tuple[Link, ...]
    plug: tuple[Link, ...]
    notes: tuple[str, ...] = ()

    @property
    def cables(self) -> tuple[Link, ...]:
        """All cables of the finished mesh or ring."""
        return tuple(sorted((*self.keep, *self.replace, *self.plug), key=lambda link: (self.macs.index(link.a.mac), link.a.receptacle)))

    @property
    def is_done(self) -> bool:
        return not (self.replace or self.unplug or self.plug)

    def as_json(self) -> dict[str, Any]:
        lists = {"keep": self.keep, "unplug": self.unplug, "replace": self.replace, "plug": self.plug}
        return {
            "schema": 1,
            "shape": self.shape,
            "macs": list(self.macs),
            "is_possible": True,
            **{name: [_link_json(link) for link in links] for name, links in lists.items()},
            "notes": list(self.notes),
            "summary": {"cables": len(self.cables), **{name: len(links) for name, links in lists.items()}},
        }


@dataclass(frozen=True)
class NoCabling:
    """Why not, a reason for each Mac that stands in the way, and what would do."""

    shape: Shape
    macs: tuple[str, ...]
    reasons: tuple[str, ...]
    instead: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        told = {"reasons": list(self.reasons), "instead": list(self.instead)}
        return {"schema": 1, "shape": self.shape, "macs": list(self.macs), "is_possible": False, **told, "summary": {"cables": 0}}


def offline_boards(macs: Sequence[tuple[str, str]]) -> tuple[Board, ...]:
    """(name, model identifier) as the catalog knows them, every port free."""
    rows = [(name, model, hardware.find(model)) for name, model in macs]
    return tuple(Board(name, model, tuple(range(1, (row.thunderbolt_ports if row else 0) + 1))) for name, model, row in rows)


def read_boards(macs: Sequence[tuple[str, str]], facts: Mapping[str, Facts], order: Sequence[str]) -> tuple[tuple[Board, ...], Cabling]:
    """(name, model identifier) with the ports as the Macs print them, and the cables between them."""
    ports = {name: told for name, _ in macs if not isinstance(told := facts[name][THUNDERBOLT], Unknown)}
    cabling = find_links(ports, order)
    linked = {end for link in cabling.links for end in (link.a, link.b)}
    boards = []
    for name, model in macs:
        own = ports.get(name, ())
        taken = tuple(port.receptacle for port in own if port.connected and End(name, port.receptacle) not in linked)
        boards.append(Board(name, model, tuple(port.receptacle for port in own), taken))
    return tuple(boards), cabling


def recorded_links(cables: Sequence[Cable], macs: Sequence[str]) -> Cabling:
    """The cables as the inventory has them, taken at its word: nobody knows how fast they are."""
    order = {mac: index for index, mac in enumerate(macs)}
    links = []
    for cable in cables:
        ends = [End(mac, port) for mac, port in cable.ends]
        if all(end.mac in order for end in ends):
            first, second = sorted(ends, key=lambda end: (order[end.mac], end.receptacle))
            links.append(Link(first, second))
    return Cabling(tuple(macs), tuple(links))


def plan_cabling(boards: Sequence[Board], shape: Shape, cabling: Cabling | None = None) -> CablingPlan | NoCabling:
    """The cables for these Macs. With `cabling`, what is plugged in already stays as far as it can."""
    macs = tuple(board.mac for board in boards)
    there = cabling if cabling is not None else Cabling(macs, ())
    refused = _refusal(boards, shape)
    if refused is not None:
        return refused
    pairs = _pairs(macs, shape, there)
    wanted = {frozenset(pair): _best(there.between(*pair)) for pair in pairs}
    kept = [link for link in wanted.values() if link is not None]
    own = [link for link in there.links if link.a.mac in macs and link.b.mac in macs]
    table = _Table(boards, kept, [link for link in own if link not in kept])
    plug = [table.connect(one, other) for one, other in pairs if wanted[frozenset((one, other))] is None]
    slow = [link for link in kept if _is_slow(link, boards)]
    return CablingPlan(
        shape, macs, tuple(link for link in kept if link not in slow), tuple(slow), tuple(table.unplugged), tuple(plug),
        tuple(_notes(boards, kept, plug)),
    )  # fmt: skip


@dataclass
class _Table:
    """The ports while they are given away. What is not `kept` leaves its port when it is in the way, or leads nowhere new."""

    boards: Sequence[Board]
    kept: Sequence[Link]
    others: list[Link]
    unplugged: list[Link] = field(default_factory=list)

    def __post_init__(self) -> None:
        kept_pairs = {link.macs for link in self.kept}
        for link in [link for link in self.others if link.macs in kept_pairs or link.a.mac == link.b.mac]:
            self._unplug(link)
        self._given: set[End] = {end for link in self.kept for end in (link.a, link.b)}

    def connect(self, one: str, other: str) -> Link:
        return Link(self._take(one), self._take(other))

    def _take(self, mac: str) -> End:
        in_the_way = {end: link for link in self.others for end in (link.a, link.b)}
        free = [end for end in self._ends(mac) if end not in self._given]
        end = next((end for end in free if end not in in_the_way), free[0])
        if end in in_the_way:
            self._unplug(in_the_way[end])
        self._given.add(end)
        return end

    def _ends(self, mac: str) -> list[End]:
        return [End(mac, port) for board in self.boards if board.mac == mac for port in board.usable]

    def _unplug(self, link: Link) -> None:
        self.others.remove(link)
        self.unplugged.append(link)


def _pairs(macs: Sequence[str], shape: Shape, there: Cabling) -> tuple[tuple[str, str], ...]:
    if shape == "mesh" or len(macs) < 4:
        return tuple(combinations(macs, 2))  # two and three Macs in a ring are a mesh
    ring = best_ring(there, macs)
    return tuple(zip(ring, ring[1:] + ring[:1], strict=True))


def _best(links: Sequence[Link]) -> Link | None:
    return max(links, key=lambda link: (link.speed_gb_s or 0, not link.via_hub), default=None)


def _is_slow(link: Link, boards: Sequence[Board]) -> bool:
    both = all(_generation(board) >= 5 for board in boards if board.mac in link.macs)
    return both and link.speed_gb_s is not None and link.speed_gb_s < 80


def _generation(board: Board) -> int:
    row = hardware.find(board.hardware)
    return row.thunderbolt_generation if row is not None else 5


def _refusal(boards: Sequence[Board], shape: Shape) -> NoCabling | None:
    macs = tuple(board.mac for board in boards)
    if len(boards) < 2:
        return NoCabling(shape, macs, ("a cable has two ends, and this is one Mac",), ("choose more Macs",))
    needed = _ports_needed(len(boards), shape)
    reasons = [_too_few(board, needed) for board in boards if len(board.usable) < needed]
    if not reasons:
        return None
    if shape == "mesh" and needed > MOST_PORTS:
        most = f"no Mac has more than {MOST_PORTS}: seven Macs are the most, and six where port 1 of a Mac Studio is to stay free"
        reasons = [f"a mesh of {len(boards)} Macs takes {needed} ports of each, and {most}"]
    return NoCabling(shape, macs, tuple(reasons), tuple(_instead(boards, shape)))


def _ports_needed(size: int, shape: Shape) -> int:
    return size - 1 if shape == "mesh" or size < 4 else 2


def _too_few(board: Board, needed: int) -> str:
    has = f"{board.mac} has {count(len(board.ports), 'Thunderbolt port')}" if board.ports else f"{board.mac} has no Thunderbolt port"
    others = f", and no other Mac of these at the cable in {_listed(board.taken)}" if board.taken else ""
    return f"{has}{others}; it would take {needed}"


def _instead(boards: Sequence[Board], shape: Shape) -> Iterator[str]:
    enough = [board.mac for board in boards if len(board.usable) >= 2]
    if shape == "mesh" and len(enough) == len(boards) > 3:
        yield f"`macfleet cables --plan ring`: two ports of each Mac, {count(len(boards), 'cable')}, as many Macs as you like"
    largest = _largest(boards, shape)
    if 2 <= len(largest) < len(boards):
        yield f"a {shape} of {len(largest)}: {_listed(largest)}"
    if any(board.taken for board in boards):
        yield "move disks and docks from Thunderbolt ports to USB, or out"
    yield "`interconnect: {over: lan}` in the inventory: services talk by TCP over Ethernet, and no cable is needed"


def _largest(boards: Sequence[Board], shape: Shape) -> tuple[str, ...]:
    """The most Macs that could be cabled so, those with the most ports first; in the order they were given."""
    for size in range(len(boards) - 1, 1, -1):
        able = [board for board in boards if len(board.usable) >= _ports_needed(size, shape)]
        if len(able) >= size:
            chosen = sorted(able, key=lambda board: -len(board.usable))[:size]
            return tuple(board.mac for board in boards if board in chosen)
    return ()


def _notes(boards: Sequence[Board], kept: Sequence[Link], plug: Sequence[Link]) -> Iterator[str]:
    old = [board.mac for board in boards if _generation(board) < 5]
    if old:
        yield f"{_listed(old)} {'has' if len(old) == 1 else 'have'} Thunderbolt 4: cables there run at 40 Gb/s and carry no RDMA"
    used = {end for link in plug for end in (link.a, link.b)}
    rows = [(board, hardware.find(board.hardware)) for board in boards]
    beside = [board.mac for board, row in rows if row is not None and End(board.mac, row.port_next_to_ethernet or 0) in used]
    if beside:
        yield f"port 1 of {_listed(beside)} is next to Ethernet: some report no RDMA there, Apple says nothing of it"
    shared = [str(link) for link in kept if link.via_hub]
    if shared:
        yield f"{_listed(shared)} goes through a hub: RDMA needs 80 Gb/s on the whole way, so a Thunderbolt 5 hub"


def _link_json(link: Link) -> dict[str, Any]:
    ends = {name: {"mac": end.mac, "port": end.receptacle} for name, end in (("a", link.a), ("b", link.b))}
    return {**ends, "speed_gb_s": link.speed_gb_s}


def _listed(words: Sequence[object]) -> str:
    told = [str(word) for word in words]
    return " and ".join(filter(None, (", ".join(told[:-1]), told[-1] if told else "")))
