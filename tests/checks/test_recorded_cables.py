"""An inventory that says where its cables are: one that was moved is named as such, and not as an address that is wrong."""

from dataclasses import replace

from macfleet.checks.cable_addresses import CableAddresses
from macfleet.checks.cabling import Cabling
from macfleet.inventory.mac import Cable
from tests.checks.macs import MESH, Shelf


def written(*cables):
    """ "1.2-3.1" as the inventory has it."""
    ends = [(end.split(".")) for cable in cables for end in cable.split("-")]
    pairs = zip(ends[::2], ends[1::2], strict=True)
    return tuple(Cable(f"studio-{one[0]}", int(one[1]), f"studio-{other[0]}", int(other[1])) for one, other in pairs)


def judged(shelf, *cables, check=None):
    facts = {f"studio-{number}": shelf.facts(number) for number in range(1, shelf.count + 1) if number not in shelf.silent}
    inventory = replace(shelf.inventory, cables=written(*cables))
    return [(finding.verdict.value, finding.have, finding.hint) for finding in (check or Cabling()).judge(inventory, facts)]


def test_cables_that_are_where_the_inventory_has_them_are_fine():
    assert judged(Shelf(), *MESH) == [("ok", "6 cables at 80 Gb/s", "")]


def test_either_end_may_stand_first():
    assert judged(Shelf(count=2, cables=("1.1-2.1",)), "2.1-1.1")[0][0] == "ok"


MOVED = (*MESH[:-1], "3.4-4.3")


def test_a_moved_cable_is_named_with_where_it_was_and_what_to_write():
    assert judged(Shelf(cables=MOVED), *MESH) == [
        (
            "fail",
            "the cable `studio-3:3 studio-4:3` of the inventory is now studio-3 Thunderbolt 4 ↔ studio-4 Thunderbolt 3",
            "plug it back, or write `- studio-3:4 studio-4:3` instead of `- studio-3:3 studio-4:3`; "
            "then `macfleet provision` moves its addresses along",
        )
    ]


def test_the_addresses_of_a_moved_cable_are_not_a_fault_of_their_own():
    shelf = Shelf(cables=MOVED, without_addresses=(3,))

    ((verdict, have, _),) = judged(shelf, *MESH, check=CableAddresses())

    assert (verdict, have.split(";")[0]) == ("fail", "2 of 12 cable ends: studio-3 Thunderbolt 1 (en2) has none, wants 10.55.0.6/30")
    ((verdict, have, _),) = judged(Shelf(cables=MOVED), *MESH, check=CableAddresses())
    assert (verdict, have) == ("ok", "10 of 12 cable ends have theirs, 2 not where the inventory has them (see cabling)")


def test_a_missing_cable_is_asked_for_where_the_inventory_has_it():
    ((verdict, have, hint),) = judged(Shelf(cables=MESH[:-1]), *MESH[:-1], "3.4-4.4")

    assert (verdict, have) == ("fail", "no cable between studio-3 and studio-4: missing is studio-3 Thunderbolt 4 ↔ studio-4 Thunderbolt 4")
    assert hint == "connect studio-3 Thunderbolt 4 with studio-4 Thunderbolt 4, at 80 Gb/s"


def test_a_cable_that_nobody_wrote_down_is_told_with_its_line():
    assert judged(Shelf(), *MESH[:-1]) == [
        (
            "warn",
            "studio-3 Thunderbolt 3 ↔ studio-4 Thunderbolt 3 is not in the inventory",
            "add `- studio-3:3 studio-4:3` under `fleet: cables:`",
        )
    ]


def test_a_cable_that_no_topology_needs_is_missed_all_the_same():
    shelf = Shelf(count=3, cables=("1.1-2.1", "1.2-3.1", "2.2-3.2"), settings={"interconnect": {"topology": "ring"}})

    assert judged(shelf, "1.1-2.1", "1.2-3.1", "2.2-3.2", "2.3-3.3") == [
        ("warn", "the cable `studio-2:3 studio-3:3` of the inventory is not there", "plug it in, or take the line out")
    ]


def test_of_a_mac_that_nobody_could_see_nothing_is_missed():
    assert judged(Shelf(silent=(3,)), *MESH) == [("unknown", "nobody could see the ports of studio-3", "")]


def test_an_inventory_without_a_word_of_cables_takes_any():
    shelf = Shelf(cables=MOVED)
    facts = {f"studio-{number}": shelf.facts(number) for number in range(1, 5)}

    assert [finding.verdict.value for finding in Cabling().judge(shelf.inventory, facts)] == ["ok"]


def test_of_two_cables_the_one_that_nobody_wrote_down_goes_and_that_is_said_once():
    ((verdict, have, hint),) = judged(Shelf(cables=("1.4-2.4", *MESH[1:], "1.1-2.1")), "1.4-2.4", *MESH[1:])

    assert (verdict, have.split(":")[0]) == ("warn", "2 cables between studio-1 and studio-2")
    assert hint.startswith("unplug studio-1 Thunderbolt 1 ↔ studio-2 Thunderbolt 1: ")
