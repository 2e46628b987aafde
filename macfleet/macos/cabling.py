"""Who is cabled to whom: links with both ends, what a mesh or ring lacks, and an address for each cable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations

from macfleet.core.errors import RequestError
from macfleet.macos.system_profiler import Peer, Port

# Address space per Mac, so that a cable keeps its address whether or not the other Macs answer.
_SLOTS_PER_MAC = 8
# All rings of so few Macs can be tried; of more, only some; of very many, the one that follows the cables must do.
_FEW, _MANY, _MOST_TRIES = 8, 64, 20_000


@dataclass(frozen=True, order=True)
class End:
    """One end of a cable: "studio-2 Thunderbolt 3"."""

    mac: str
    receptacle: int

    def __str__(self) -> str:
        return f"{self.mac} Thunderbolt {self.receptacle}"


@dataclass(frozen=True)
class Link:
    """A cable between two Macs; `a` comes before `b` in the order of the Macs. `speed_gb_s` is the slower end's word."""

    a: End
    b: End
    speed_gb_s: int | None = None
    via_hub: bool = False

    @property
    def macs(self) -> frozenset[str]:
        return frozenset((self.a.mac, self.b.mac))

    def end_at(self, mac: str) -> End:
        return self.a if self.a.mac == mac else self.b

    def end_opposite(self, mac: str) -> End:
        return self.b if self.a.mac == mac else self.a

    def __str__(self) -> str:
        return f"{self.a} ↔ {self.b}"


@dataclass(frozen=True)
class Dangling:
    """A cable to a Mac that is not among those that were looked at."""

    end: End
    model_identifier: str


@dataclass(frozen=True)
class Cabling:
    """All cables of a fleet. `macs` are all its Macs in order, also those whose ports nobody could read."""

    macs: tuple[str, ...]
    links: tuple[Link, ...]
    dangling: tuple[Dangling, ...] = ()
    ports: Mapping[str, tuple[Port, ...]] = field(default_factory=dict)

    @cached_property
    def by_pair(self) -> Mapping[frozenset[str], tuple[Link, ...]]:
        """The cables of each pair of Macs that has any, in the order of `links`."""
        pairs: dict[frozenset[str], tuple[Link, ...]] = {}
        for link in self.links:
            pairs[link.macs] = (*pairs.get(link.macs, ()), link)
        return pairs

    def between(self, one: str, other: str) -> tuple[Link, ...]:
        return self.by_pair.get(frozenset((one, other)), ())

    def free_ports(self, mac: str) -> tuple[int, ...]:
        return tuple(port.receptacle for port in self.ports.get(mac, ()) if not port.connected)


def find_links(ports: Mapping[str, tuple[Port, ...]], macs: Sequence[str] = ()) -> Cabling:
    """The cables, from what each Mac prints of its ports.

    `macs` are all Macs of the inventory, in its order; give it whenever `ports` may lack one that did not answer. A cable
    that only one end shows (the other end's list lags by seconds, or lacks its UUID) is a cable.
    """
    order = tuple(dict.fromkeys((*macs, *ports)))
    place = {mac: index for index, mac in enumerate(order)}
    ends = _ends_by_uuid(ports)
    doubtful = {port.domain_uuid for own in ports.values() for port in own if port.domain_uuid} - set(ends)
    links: dict[frozenset[End], Link] = {}
    dangling = []
    for end, port, peer in _views(ports):
        opposite = ends.get(peer.domain_uuid)
        if port.domain_uuid in doubtful:
            continue  # two Macs print the same UUID: which of them is cabled nobody can say
        if opposite is None:
            dangling.append(Dangling(end, peer.model_identifier))
            continue
        pair = frozenset((end, opposite))
        links[pair] = _link(end, opposite, port, peer, links.get(pair), place)
    return Cabling(order, tuple(sorted(links.values(), key=lambda link: _place(link, place))), _unexplained(dangling, links), dict(ports))


def missing_pairs(cabling: Cabling, macs: Sequence[str], topology: str) -> tuple[tuple[str, str], ...]:
    """Pairs of `macs` that still need a cable for a "mesh" (all of them) or a closed "ring" (the fewest that close one)."""
    match topology:
        case "mesh":
            return tuple((one, other) for one, other in combinations(macs, 2) if not cabling.between(one, other))
        case "ring":
            ring = best_ring(cabling, macs)
            return tuple(pair for pair in _neighbours(ring) if not cabling.between(*pair))
    return ()


def is_mesh(cabling: Cabling, macs: Sequence[str]) -> bool:
    return not missing_pairs(cabling, macs, "mesh")


def ring_order(cabling: Cabling, macs: Sequence[str]) -> tuple[str, ...] | None:
    """The Macs in the order of a closed ring of cables that are there, starting at the first; None when there is none."""
    return _find_ring(cabling, tuple(macs), missing=0)


def best_ring(cabling: Cabling, macs: Sequence[str]) -> tuple[str, ...]:
    """The ring that needs the fewest new cables; beyond 8 Macs, where trying all would take long, the one along the cables."""
    for missing in range(len(macs) + 1 if len(macs) <= _FEW else 1):
        ring = _find_ring(cabling, tuple(macs), missing)
        if ring:
            return ring
    return _follow_cables(cabling, tuple(macs)) if macs else ()


def suggest_cables(
    cabling: Cabling, pairs: Sequence[tuple[str, str]], last: Container[End] = ()
) -> tuple[tuple[End | None, End | None], ...]:
    """For each missing pair the lowest free port on both sides, no port twice; None where a Mac has no free port left.

    A port among `last` is suggested only when no other one is free.
    """

    def ends(mac: str) -> list[End]:
        return sorted((End(mac, port) for port in cabling.free_ports(mac)), key=lambda end: (end in last, end))

    free = {mac: ends(mac) for pair in pairs for mac in pair}

    def take(mac: str) -> End | None:
        return free[mac].pop(0) if free[mac] else None

    return tuple((take(one), take(other)) for one, other in pairs)


def addresses(cabling: Cabling, network: IPv4Network) -> dict[End, tuple[str, str, str]]:
    """End → (ip, mask, the peer's ip): a /30 of `network` for each cable between two Macs.

    Which /30 follows from the place of the first end's Mac in `cabling.macs` and its port number alone, so a Mac that does
    not answer changes no other cable's address. Cables that share a port (several Macs behind one hub) get none.
    """
    given: dict[End, tuple[str, str, str]] = {}
    place = {mac: index for index, mac in enumerate(cabling.macs)}
    taken = Counter(end for link in cabling.links for end in (link.a, link.b))
    for link in cabling.links:
        if link.a.mac == link.b.mac or taken[link.a] > 1 or taken[link.b] > 1:
            continue
        first, second = _hosts(link, place, network)
        given[link.a] = (first, "255.255.255.252", second)
        given[link.b] = (second, "255.255.255.252", first)
    return given


def _ends_by_uuid(ports: Mapping[str, tuple[Port, ...]]) -> dict[str, End]:
    """The port behind each UUID; a UUID that two ports claim is nobody's."""
    ends: dict[str, End] = {}
    claimed_twice = set()
    for mac, own in ports.items():
        for port in own:
            if port.domain_uuid is None:
                continue
            if port.domain_uuid in ends:
                claimed_twice.add(port.domain_uuid)
            ends[port.domain_uuid] = End(mac, port.receptacle)
    return {uuid: end for uuid, end in ends.items() if uuid not in claimed_twice}


def _views(ports: Mapping[str, tuple[Port, ...]]) -> Iterator[tuple[End, Port, Peer]]:
    for mac, own in ports.items():
        for port in own:
            for peer in port.peers:
                yield End(mac, port.receptacle), port, peer


def _link(end: End, opposite: End, port: Port, peer: Peer, seen: Link | None, place: Mapping[str, int]) -> Link:
    a, b = sorted((end, opposite), key=lambda one: (place[one.mac], one.receptacle))
    speeds = [speed for speed in (port.speed_gb_s, seen.speed_gb_s if seen else None) if speed is not None]
    return Link(a, b, min(speeds, default=None), peer.via_hub or (seen is not None and seen.via_hub))


def _unexplained(dangling: Sequence[Dangling], links: Mapping[frozenset[End], Link]) -> tuple[Dangling, ...]:
    """Without those whose cable the other end did show."""
    linked = {end for pair in links for end in pair}
    return tuple(one for one in dangling if one.end not in linked)


def _place(link: Link, place: Mapping[str, int]) -> tuple[int, int, int, int]:
    return place[link.a.mac], link.a.receptacle, place[link.b.mac], link.b.receptacle


def _find_ring(cabling: Cabling, macs: tuple[str, ...], missing: int) -> tuple[str, ...] | None:
    """A ring through all `macs` with at most `missing` cables that are not there, by trying neighbours in order."""
    if len(macs) < 2:
        return macs
    if len(macs) > _FEW and missing == 0:
        along = _follow_cables(cabling, macs)
        if all(cabling.between(*pair) for pair in _neighbours(along)):
            return along
    if len(macs) > _MANY:
        return None
    tries = iter(range(_MOST_TRIES))

    def extend(path: tuple[str, ...], left: int) -> tuple[str, ...] | None:
        if len(path) == len(macs):
            closed = len(macs) == 2 or cabling.between(path[-1], path[0]) or left > 0
            return path if closed else None
        for mac in macs if next(tries, None) is not None else ():
            cost = 0 if cabling.between(path[-1], mac) else 1
            if mac not in path and cost <= left and (ring := extend((*path, mac), left - cost)):
                return ring
        return None

    return extend(macs[:1], missing)


def _follow_cables(cabling: Cabling, macs: tuple[str, ...]) -> tuple[str, ...]:
    """All Macs in one round: from cable to cable, starting at an end of a chain, and on to the next chain where one ends."""
    neighbours: dict[str, list[str]] = {mac: [] for mac in macs}
    for pair in cabling.by_pair:
        one, other = (*pair, *pair)[:2]
        if one != other and one in neighbours and other in neighbours:
            neighbours[one].append(other)
            neighbours[other].append(one)
    place = {mac: index for index, mac in enumerate(macs)}
    left = dict.fromkeys(macs)

    def loneliest(among: Iterable[str]) -> str:
        return min(among, key=lambda mac: (sum(other in left for other in neighbours[mac]), place[mac]))

    round_trip: list[str] = []
    while left:
        onward = [mac for mac in neighbours[round_trip[-1]] if mac in left] if round_trip else []
        round_trip.append(loneliest(onward or left))
        del left[round_trip[-1]]
    start = round_trip.index(macs[0])
    turned = [*round_trip[start:], *round_trip[:start]]
    backwards = [turned[0], *reversed(turned[1:])]
    return tuple(min(turned, backwards, key=lambda order: [place[mac] for mac in order]))


def _neighbours(ring: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    if len(ring) < 3:
        return ((ring[0], ring[1]),) if len(ring) == 2 else ()  # two Macs: one cable is the ring
    return tuple(zip(ring, ring[1:] + ring[:1], strict=True))


def _hosts(link: Link, place: Mapping[str, int], network: IPv4Network) -> tuple[str, str]:
    index = place[link.a.mac] * _SLOTS_PER_MAC + (link.a.receptacle - 1) % _SLOTS_PER_MAC
    first = int(network.network_address) + index * 4
    if first + 3 > int(network.broadcast_address):
        raise RequestError(
            f"the interconnect network {network} is too small for the cables of {len(place)} Macs",
            truths=[f"{link} would be cable number {index + 1}, and the network has {network.num_addresses // 4} times a /30"],
            hint="write a larger one, such as 10.55.0.0/16, as interconnect: network: in the inventory",
        )
    return str(IPv4Address(first + 1)), str(IPv4Address(first + 2))
