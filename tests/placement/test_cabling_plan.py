"""Which cables to plug: for every pair or along a ring, on ports that are free, keeping what is there."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macfleet.macos.cabling import find_links
from macfleet.placement.cabling_plan import Board, CablingPlan, NoCabling, offline_boards, plan_cabling
from tests.macos.test_cabling import cabled

MINI, STUDIO, ULTRA = "Mac16,11", "Mac16,9", "Mac15,14"


def boards(count, hardware=MINI, taken=()):
    return tuple(
        Board(board.mac, board.hardware, board.ports, taken if board.mac == "a" else ())
        for board in offline_boards([(mac, hardware) for mac in "abcdefghi"[:count]])
    )


def told(links):
    return [f"{link.a.mac}{link.a.receptacle}-{link.b.mac}{link.b.receptacle}" for link in links]


def test_four_minis_are_meshed_as_apple_draws_it():
    plan = plan_cabling(boards(4), "mesh")

    assert told(plan.plug) == ["a1-b1", "a2-c1", "a3-d1", "b2-c2", "b3-d2", "c3-d3"]
    assert plan.notes == ()


def test_on_a_mac_studio_the_port_next_to_ethernet_is_taken_last():
    assert told(plan_cabling(boards(4, STUDIO), "mesh").plug) == ["a2-b2", "a3-c2", "a4-d2", "b3-c3", "b4-d3", "c4-d4"]


def test_where_it_must_be_taken_it_is_said():
    plan = plan_cabling(boards(5, STUDIO), "mesh")

    assert len(plan.plug) == 10
    assert plan.notes == ("port 1 of a, b, c, d and e is next to Ethernet: some report no RDMA there, Apple says nothing of it",)


def test_a_ring_of_five_takes_two_ports_of_each():
    assert told(plan_cabling(boards(5), "ring").plug) == ["a1-b1", "b2-c1", "c2-d1", "d2-e1", "e2-a2"]


@pytest.mark.parametrize("shape", ["mesh", "ring"])
def test_two_macs_need_one_cable_and_three_need_three(shape):
    assert [len(plan_cabling(boards(count), shape).cables) for count in (2, 3)] == [1, 3]


def test_cables_that_are_right_stay_where_they_are():
    plan = plan_cabling(boards(4), "mesh", find_links(cabled("a1-b3", "c1-d1", ports=3)))

    assert told(plan.keep) == ["a1-b3", "c1-d1"]
    assert told(plan.plug) == ["a2-c2", "a3-d2", "b1-c3", "b2-d3"]
    assert plan.unplug == ()


def test_a_finished_mesh_needs_nothing():
    plan = plan_cabling(boards(4), "mesh", find_links(cabled("a1-b1", "a2-c1", "a3-d1", "b2-c2", "b3-d2", "c3-d3", ports=3)))

    assert (plan.is_done, len(plan.keep), len(plan.cables)) == (True, 6, 6)


def test_a_ring_is_closed_with_the_fewest_new_cables():
    plan = plan_cabling(boards(4), "ring", find_links(cabled("a1-c1", "c2-b1", "b2-d1", ports=3)))

    assert (told(plan.keep), told(plan.plug)) == (["a1-c1", "b1-c2", "b2-d1"], ["d2-a2"])


def test_a_second_cable_between_two_macs_and_one_that_leads_back_are_unplugged():
    plan = plan_cabling(boards(3), "mesh", find_links(cabled("a1-b1", "a2-b2", "c1-c2", macs=("a", "b", "c"), ports=3)))

    assert told(plan.unplug) == ["a2-b2", "c1-c2"]
    assert told(plan.plug) == ["a2-c1", "b2-c2"]


def test_a_cable_is_moved_only_when_its_port_is_needed():
    # With three ports b-d may stay beside the ring a-b-c-d; with two it is in the way.
    plugged = find_links(cabled("a1-b1", "a2-d1", "b2-d2"))

    roomy, tight = (plan_cabling(tuple(Board(mac, MINI, ports) for mac in "abcd"), "ring", plugged) for ports in ((1, 2, 3), (1, 2)))

    assert (told(roomy.unplug), told(roomy.plug)) == ([], ["b3-c1", "c2-d3"])
    assert (told(tight.unplug), told(tight.plug)) == (["b2-d2"], ["b2-c1", "c2-d2"])


def test_a_slow_cable_is_replaced_in_its_place():
    plan = plan_cabling(boards(2), "mesh", find_links(cabled("a2-b3", macs=("a", "b"), speed=40)))

    assert (told(plan.replace), plan.keep, plan.plug) == (["a2-b3"], (), ())
    assert not plan.is_done


def test_thunderbolt_4_macs_are_cabled_and_told_that_it_is_no_rdma():
    plan = plan_cabling(boards(2, "Mac16,10"), "mesh", find_links(cabled("a1-b1", macs=("a", "b"), speed=40)))

    assert plan.is_done
    assert plan.notes == ("a and b have Thunderbolt 4: cables there run at 40 Gb/s and carry no RDMA",)


def test_more_macs_than_ports_is_said_mac_by_mac_with_what_would_do():
    refused = plan_cabling(boards(5), "mesh")

    assert isinstance(refused, NoCabling)
    assert refused.reasons == tuple(f"{mac} has 3 Thunderbolt ports; it would take 4" for mac in "abcde")
    assert refused.instead[:2] == (
        "`macfleet cables --plan ring`: two ports of each Mac, 5 cables, as many Macs as you like",
        "a mesh of 4: a, b, c and d",
    )


def test_eight_macs_of_any_kind_are_too_many_for_a_mesh():
    refused = plan_cabling(boards(8, ULTRA), "mesh")

    assert refused.reasons == (
        "a mesh of 8 Macs takes 7 ports of each, and no Mac has more than 6: "
        "seven Macs are the most, and six where port 1 of a Mac Studio is to stay free",
    )
    assert refused.instead[1] == "a mesh of 7: a, b, c, d, e, f and g"


def test_a_disk_in_a_port_is_named():
    refused = plan_cabling(boards(4, taken=(3,)), "mesh")

    assert refused.reasons == ("a has 3 Thunderbolt ports, and no other Mac of these at the cable in 3; it would take 3",)
    assert "move disks and docks from Thunderbolt ports to USB, or out" in refused.instead
    assert "a mesh of 3: b, c and d" in refused.instead


def test_of_mixed_macs_those_with_the_most_ports_are_the_mesh():
    mixed = offline_boards([("mini", MINI), ("one", ULTRA), ("two", ULTRA), ("three", ULTRA), ("four", ULTRA)])

    assert "a mesh of 4: one, two, three and four" in plan_cabling(mixed, "mesh").instead


@pytest.mark.parametrize("shape", ["mesh", "ring"])
def test_one_mac_and_macs_without_ports_are_refused(shape):
    assert plan_cabling(boards(1), shape).reasons == ("a cable has two ends, and this is one Mac",)
    assert plan_cabling(boards(2, "VirtualMac2,1"), shape).reasons[0] == "a has no Thunderbolt port; it would take 1"


ENDS = [f"{mac}{number}" for mac in "abcde" for number in range(1, 5)]


@given(st.permutations(ENDS), st.integers(0, 10), st.integers(2, 5), st.sampled_from(["mesh", "ring"]))
def test_whatever_is_plugged_in_the_plan_ends_in_a_mesh_or_ring_with_no_port_twice(ends, cables, count, shape):
    macs = tuple("abcde"[:count])
    plugged = [f"{ends[2 * index]}-{ends[2 * index + 1]}" for index in range(cables)]
    ports = cabled(*[cable for cable in plugged if cable[0] in macs and cable[3] in macs], macs=macs)

    plan = plan_cabling(tuple(Board(mac, MINI, (1, 2, 3, 4)) for mac in macs), shape, find_links(ports))

    assert isinstance(plan, CablingPlan)
    used = [end for link in plan.cables for end in (link.a, link.b)]
    still_there = [link for link in find_links(ports).links if link not in plan.unplug]
    occupied = [end for link in {*still_there, *plan.plug} for end in (link.a, link.b)]
    assert len(used) == len(set(used))
    assert len(occupied) == len(set(occupied))
    assert {*plan.keep, *plan.replace} <= set(still_there)
    degree = {mac: [end.mac for end in used].count(mac) for mac in macs}
    assert set(degree.values()) == {min(2, count - 1) if shape == "ring" else count - 1}
    if shape == "mesh":
        assert {link.macs for link in plan.cables} == {frozenset(pair) for pair in combinations(macs, 2)}
