from itertools import combinations

import pytest

from macfleet.core.errors import PlacementRefused
from macfleet.inventory.settings import Interconnect
from macfleet.macos.cabling import Cabling, End, Link
from macfleet.placement.links import Wires, choose_links

MACS = ("studio-1", "studio-2", "studio-3", "studio-4")
MESH = tuple(combinations(MACS, 2))
RING = (("studio-1", "studio-3"), ("studio-3", "studio-2"), ("studio-2", "studio-4"), ("studio-4", "studio-1"))


def wires(pairs, *, macs=MACS, speed=80, rdma=True):
    """Macs cabled in pairs, each cable on the next free port; Thunderbolt n is en(n+1), as on a Mac Studio."""
    used = dict.fromkeys(macs, 0)

    def plug(mac):
        used[mac] += 1
        return End(mac, used[mac])

    links = tuple(Link(plug(one), plug(other), speed) for one, other in pairs)
    interfaces = {mac: {port: f"en{port + 1}" for port in range(1, 7)} for mac in macs}
    active = {mac: frozenset(f"en{port + 1}" for port in range(1, used[mac] + 1)) if rdma else frozenset() for mac in macs}
    return Wires({mac: f"10.0.0.{n}" for n, mac in enumerate(macs, 1)}, Cabling(macs, links), interfaces, active)


def test_a_mesh_of_rdma_cables_is_jaccl_with_the_device_that_leads_to_each_rank():
    links = choose_links(MACS, Interconnect(), wires(MESH))

    assert (links.kind, links.macs) == ("jaccl", MACS)
    assert links.devices == (
        (None, "rdma_en2", "rdma_en3", "rdma_en4"),
        ("rdma_en2", None, "rdma_en3", "rdma_en4"),
        ("rdma_en2", "rdma_en3", None, "rdma_en4"),
        ("rdma_en2", "rdma_en3", "rdma_en4", None),
    )


def test_a_ring_of_rdma_cables_is_jaccl_ring_with_the_ranks_along_the_ring():
    links = choose_links(MACS, Interconnect(), wires(RING))

    assert links.kind == "jaccl-ring"
    assert links.macs == ("studio-1", "studio-3", "studio-2", "studio-4")
    assert links.devices[0] == (None, "rdma_en2", None, "rdma_en3")


def test_two_cables_between_a_pair_are_one_link_with_both_ends_of_the_same_cable():
    links = choose_links(MACS[:2], Interconnect(), wires([MACS[:2], MACS[:2]], macs=MACS[:2]))

    assert links.devices == ((None, "rdma_en2"), ("rdma_en2", None))


@pytest.mark.parametrize("weak", [{"rdma": False}, {"speed": 40}, {"speed": None}])
def test_cables_without_rdma_are_tcp_over_the_cables_own_addresses(weak):
    links = choose_links(MACS[:3], Interconnect(), wires(tuple(combinations(MACS[:3], 2)), macs=MACS[:3], **weak))

    assert links.kind == "tcp"
    assert links.why == "no mesh or ring of cables with RDMA"
    assert len(set(links.listen)) == 3
    assert all(address.startswith("10.55.") for address in links.listen)
    assert links.devices == ()


def test_over_the_lan_nothing_is_asked_of_cables():
    links = choose_links(MACS, Interconnect(over="lan"), wires([]))

    assert (links.kind, links.listen) == ("tcp", ("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"))


def test_one_mac_needs_no_link():
    assert choose_links(MACS[:1], Interconnect(), wires([], macs=MACS[:1])).kind == "tcp"


def test_a_missing_cable_is_refused_with_its_pair_and_not_replaced_by_the_lan():
    with pytest.raises(PlacementRefused) as refused:
        choose_links(MACS, Interconnect(), wires(RING[:-1]))

    assert refused.value.truths == ("between studio-4 and studio-1 there is no cable",)
    assert "over: lan" in refused.value.hint


def test_jaccl_by_name_is_refused_where_a_cable_has_no_rdma():
    with pytest.raises(PlacementRefused) as refused:
        choose_links(MACS[:2], Interconnect(kind="jaccl"), wires([MACS[:2]], macs=MACS[:2], rdma=False))

    assert refused.value.truths == ("between studio-1 and studio-2 there is studio-1 Thunderbolt 1 ↔ studio-2 Thunderbolt 1, without RDMA",)


@pytest.mark.parametrize(("kind", "over"), [("ring", "lan"), ("ring", "thunderbolt"), ("tcp", "thunderbolt")])
def test_a_kind_that_was_asked_for_by_name_is_taken_even_where_rdma_is(kind, over):
    assert choose_links(MACS, Interconnect(kind=kind, over=over), wires(MESH)).kind == kind


def test_jaccl_ring_by_name_uses_only_neighbours_of_a_mesh():
    links = choose_links(MACS, Interconnect(kind="jaccl-ring"), wires(MESH))

    assert links.devices[0] == (None, "rdma_en2", None, "rdma_en4")
