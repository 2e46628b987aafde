from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macfleet.core.errors import RequestError
from macfleet.macos.cabling import (
    Cabling,
    Dangling,
    End,
    Link,
    addresses,
    best_ring,
    find_links,
    is_mesh,
    missing_pairs,
    ring_order,
    suggest_cables,
)
from macfleet.macos.system_profiler import Peer, Port, parse_thunderbolt
from tests.macos.recordings import recorded

NETWORK = IPv4Network("10.55.0.0/16")


def cabled(*cables, macs=("a", "b", "c", "d"), ports=4, speed=80):
    """Macs with `ports` each, and cables written as "a1-b2"."""
    peers = {}
    for cable in cables:
        one, other = cable.split("-")
        peers[one], peers[other] = other, one
    return {mac: tuple(port(f"{mac}{number}", peers, speed) for number in range(1, ports + 1)) for mac in macs}


def port(name, peers, speed):
    number = int(name[1:])
    if name not in peers:
        return Port(number, f"uuid-{name}", max_gb_s=120)
    return Port(number, f"uuid-{name}", speed, None, Peer(f"uuid-{peers[name]}", "Mac16,9", True), connected=True)


MESH = ("a1-b1", "a2-c1", "a3-d1", "b2-c2", "b3-d2", "c3-d3")
RING = ("a1-b2", "b1-c2", "c1-d2", "d1-a2")


def test_two_recordings_of_one_cable_are_one_link():
    studio = parse_thunderbolt(recorded("thunderbolt/sp_thunderbolt.mac_studio_m3ultra.connected_mbp_and_drive.json"))
    macbook = parse_thunderbolt(recorded("thunderbolt/sp_thunderbolt.mbp_m5max_mac17_7.connected_m3ultra.json"))

    cabling = find_links({"studio-2": studio, "book-1": macbook})

    assert cabling.links == (Link(End("studio-2", 2), End("book-1", 1), 80),)
    assert str(cabling.links[0]) == "studio-2 Thunderbolt 2 ↔ book-1 Thunderbolt 1"
    assert cabling.free_ports("studio-2") == (1, 3, 5, 6)


def test_a_mesh_of_four_has_six_cables():
    cabling = find_links(cabled(*MESH))

    assert len(cabling.links) == 6
    assert is_mesh(cabling, "abcd")
    assert cabling.dangling == ()


def test_a_cable_is_as_fast_as_its_slower_end_says():
    ports = cabled("a1-b1")
    ports["b"] = cabled("a1-b1", speed=40)["b"]

    assert find_links(ports).links[0].speed_gb_s == 40


def test_a_cable_that_only_one_end_shows_is_a_cable():
    ports = cabled("a1-b1")
    ports["b"] = cabled()["b"]

    assert [str(link) for link in find_links(ports).links] == ["a Thunderbolt 1 ↔ b Thunderbolt 1"]


def test_a_port_without_uuid_is_found_from_its_other_end():
    ports = cabled("a1-b1")
    ports["b"] = (Port(1, None, 80, None, Peer("uuid-a1", "Mac16,9"), True),)

    cabling = find_links(ports)

    assert cabling.links == (Link(End("a", 1), End("b", 1), 80),)
    assert cabling.dangling == ()


def test_a_mac_outside_the_fleet_leaves_a_dangling_cable():
    ports = cabled("a1-b1")
    del ports["b"]

    assert find_links(ports, "abcd").dangling == (Dangling(End("a", 1), "Mac16,9"),)


def test_a_uuid_that_two_macs_print_makes_no_link():
    ports = {**cabled("a1-b1"), "c": cabled("a1-b1")["b"]}

    cabling = find_links(ports)

    assert cabling.links == ()
    assert cabling.dangling == (Dangling(End("a", 1), "Mac16,9"),)


@pytest.mark.parametrize(
    ("cables", "topology", "missing"),
    [
        (MESH, "mesh", ()),
        (MESH[:-1], "mesh", (("c", "d"),)),
        (RING, "mesh", (("a", "c"), ("b", "d"))),
        (RING, "ring", ()),
        (MESH, "ring", ()),
        (RING[:-1], "ring", (("d", "a"),)),
        (("a1-c1", "c2-b1", "b2-d1"), "ring", (("d", "a"),)),  # a c b d: the cables decide the order
        ((), "none", ()),
    ],
)
def test_what_a_mesh_or_ring_lacks(cables, topology, missing):
    found = missing_pairs(find_links(cabled(*cables)), "abcd", topology)

    assert {frozenset(pair) for pair in found} == {frozenset(pair) for pair in missing}


@pytest.mark.parametrize(("macs", "cables", "missing"), [("a", (), ()), ("ab", ("a1-b1",), ()), ("ab", (), (("a", "b"),))])
def test_two_macs_are_a_ring_with_one_cable(macs, cables, missing):
    assert missing_pairs(find_links(cabled(*cables, macs=macs)), macs, "ring") == missing


def test_the_order_of_a_ring_follows_its_cables():
    cabling = find_links(cabled("a1-c1", "c2-b1", "b2-d1", "d2-a2"))

    assert ring_order(cabling, "abcd") == ("a", "c", "b", "d")
    assert ring_order(find_links(cabled(*RING[:-1])), "abcd") is None


def test_a_ring_of_many_macs_is_found():
    macs = "abcdefghijkl"
    cables = [f"{one}1-{other}2" for one, other in zip(macs, macs[1:] + macs[:1], strict=True)]

    assert ring_order(find_links(cabled(*cables, macs=macs)), macs) == tuple(macs)


def test_without_any_cable_the_best_ring_is_the_given_order():
    assert best_ring(find_links(cabled()), "abcd") == ("a", "b", "c", "d")
    assert best_ring(find_links(cabled(macs="abcdefghij")), "abcdefghij") == tuple("abcdefghij")


def test_a_missing_cable_gets_the_lowest_free_port_on_both_sides():
    cabling = find_links(cabled("a1-b1", "a3-c1"))

    assert suggest_cables(cabling, [("a", "d"), ("a", "b"), ("a", "c")]) == (
        (End("a", 2), End("d", 1)),
        (End("a", 4), End("b", 2)),
        (None, End("c", 2)),
    )


def test_each_cable_has_a_network_of_its_own():
    given = addresses(find_links(cabled(*MESH)), NETWORK)

    assert given[End("a", 1)] == ("10.55.0.1", "255.255.255.252", "10.55.0.2")
    assert given[End("b", 1)] == ("10.55.0.2", "255.255.255.252", "10.55.0.1")
    assert len({ip for ip, _, _ in given.values()}) == 12


def test_a_mac_that_does_not_answer_moves_no_address():
    ports = cabled(*MESH)
    whole = addresses(find_links(ports, "abcd"), NETWORK)
    del ports["b"]

    partial = addresses(find_links(ports, "abcd"), NETWORK)

    assert partial
    assert partial.items() <= whole.items()


def test_a_hub_with_several_macs_gets_no_address():
    macs = (Peer("uuid-b1", "Mac16,9", via_hub=True), Peer("uuid-c1", "Mac16,9", via_hub=True))
    ports = {**cabled("a2-b2"), "a": (Port(1, "uuid-a1", 80, None, macs[0], True, macs[1:]), *cabled("a2-b2")["a"][1:])}

    cabling = find_links(ports)

    assert len(cabling.links) == 3
    assert set(addresses(cabling, NETWORK)) == {End("a", 2), End("b", 2)}


def test_a_network_that_is_too_small_says_what_to_write():
    with pytest.raises(RequestError, match=r"10\.55\.0\.0/28 is too small for the cables of 4 Macs") as caught:
        addresses(find_links(cabled(*MESH)), IPv4Network("10.55.0.0/28"))

    assert "larger" in caught.value.hint


ENDS = [f"{mac}{number}" for mac in "abcd" for number in range(1, 5)]


@given(st.permutations(ENDS), st.integers(0, 8))
def test_any_cabling_is_seen_whole_and_addressed_without_overlap(ends, count):
    cables = [f"{ends[2 * index]}-{ends[2 * index + 1]}" for index in range(count)]
    cabling = find_links(cabled(*cables))

    given_addresses = addresses(cabling, NETWORK)

    assert len(cabling.links) == count
    assert len({ip for ip, _, _ in given_addresses.values()}) == len(given_addresses)
    assert all(given_addresses[link.a][2] == given_addresses[link.b][0] for link in cabling.links if link.a.mac != link.b.mac)


@given(st.permutations(ENDS), st.integers(0, 8), st.sampled_from(["mesh", "ring"]))
def test_with_the_missing_cables_put_in_nothing_is_missing(ends, count, topology):
    cables = [f"{ends[2 * index]}-{ends[2 * index + 1]}" for index in range(count)]
    missing = missing_pairs(find_links(cabled(*cables)), "abcd", topology)

    more = [f"{one}{9 + index}-{other}{9 + index}" for index, (one, other) in enumerate(missing)]
    repaired = find_links(cabled(*cables, *more, ports=16))

    assert missing_pairs(repaired, "abcd", topology) == ()


def chain(macs, closed=True):
    """A ring of these Macs in this order, or the chain it is without its last cable."""
    pairs = list(zip(macs, [*macs[1:], macs[0]], strict=True))
    links = [Link(End(one, 1), End(other, 2), 80) for one, other in pairs[: None if closed else -1]]
    return Cabling(tuple(sorted(macs)), tuple(links))


@given(st.permutations([f"m{number:03}" for number in range(40)]))
def test_a_large_ring_is_found_in_whatever_order_it_was_plugged(macs):
    ring = ring_order(chain(macs), sorted(macs))

    assert ring is not None
    assert (ring[0], set(ring)) == ("m000", set(macs))
    assert missing_pairs(chain(macs), sorted(macs), "ring") == ()


@given(st.permutations([f"m{number:03}" for number in range(12)]))
def test_of_a_large_ring_with_a_cable_out_just_that_one_is_missing(macs):
    assert [set(pair) for pair in missing_pairs(chain(macs, closed=False), sorted(macs), "ring")] == [{macs[0], macs[-1]}]


def test_a_fleet_of_many_macs_is_looked_at_in_no_time():
    macs = [f"m{number:03}" for number in range(1000)]

    assert len(best_ring(chain(macs), macs)) == 1000
    assert len(missing_pairs(Cabling(tuple(macs), ()), macs, "ring")) == 1000
