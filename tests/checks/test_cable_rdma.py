"""A cable that runs and carries no RDMA is named once, by its cause: the Mac that is stuck, or the cable."""

from dataclasses import replace

import pytest

from macfleet.checks.cable_rdma import CableRdma
from macfleet.macos import ibv, networksetup, sw_vers, system_profiler
from tests.checks.macs import Shelf, a_mac, an_inventory
from tests.checks.test_rdma import macbook
from tests.macos.recordings import recorded

OTHER = ("ProductName: macOS\nProductVersion: 26.6.1\nBuildVersion: 25G75\n",)
ONE = {"count": 2, "cables": ("1.2-2.2",)}


def judged(shelf):
    facts = {f"studio-{number}": shelf.facts(number) for number in range(1, shelf.count + 1) if number not in shelf.silent}
    return [(finding.verdict.value, finding.have) for finding in CableRdma().judge(shelf.inventory, facts)]


def hint(shelf):
    return CableRdma().judge(shelf.inventory, {f"studio-{number}": shelf.facts(number) for number in range(1, shelf.count + 1)})[0].hint


def down(shelf, number):
    """What `ibv_devinfo` prints of a Mac all of whose ports are down."""
    return (shelf.outputs(number, a_mac(number))[ibv.PORTS][0].replace("PORT_ACTIVE (4)", "PORT_DOWN (1)"),)


@pytest.mark.parametrize(
    ("shelf", "said"),
    [
        (Shelf(), ("ok", "6 of 6 cables carry RDMA")),
        (Shelf(**ONE), ("ok", "1 of 1 cable carry RDMA")),
        (Shelf(cables=()), ("ok", "no cable between two Macs")),
        (Shelf(rdma_off=(2,)), ("ok", "3 of 6 cables carry RDMA; 3 not: studio-2 has RDMA off (see rdma)")),
        (Shelf(slow_cables=("1.1-2.1",)), ("ok", "5 of 6 cables carry RDMA; 1 not: it runs at 40 Gb/s (see cabling)")),
        (Shelf(**ONE, bridged=(1,)),
         ("ok", "0 of 1 cable carry RDMA; 1 not: studio-1 Thunderbolt 2 is still in a bridge (see thunderbolt-bridge)")),
        (Shelf(**ONE, driver_wedged=(1,), said={(2, sw_vers.VERSION): OTHER}),
         ("ok", "0 of 1 cable carry RDMA; 1 not: its Macs run different builds, 25G75 and 25G83 (see same-build)")),
        (Shelf(**ONE, driver_wedged=(1,)),
         ("fail", "studio-1 Thunderbolt 2 ↔ studio-2 Thunderbolt 2: rdma_en3 at studio-1 Thunderbolt 2 is PORT_DOWN, "
                  "though the cable runs at full speed and RDMA is on at both ends")),
        (Shelf(driver_wedged=(1,)),
         ("fail", "all 3 cables of studio-1 are down, those of its neighbours are not: "
                  "studio-1 Thunderbolt 1 ↔ studio-2 Thunderbolt 1; studio-1 Thunderbolt 2 ↔ studio-3 Thunderbolt 1; "
                  "studio-1 Thunderbolt 3 ↔ studio-4 Thunderbolt 1")),
        (Shelf(**ONE, said={(1, ibv.PORTS): ((None, ""),)}),
         ("unknown", "0 of 1 cable carry RDMA; "
                     "1 not: of studio-1 it is not known: `ibv_devinfo -v` ended without an exit status (see rdma)")),
        (Shelf(settings={"interconnect": {"kind": "tcp"}}), ("ok", "not looked at: no RDMA is wanted")),
    ],
    ids=["mesh", "one", "none", "switch", "speed", "bridge", "builds", "cable", "stuck", "hangs", "tcp"],
)  # fmt: skip
def test_each_cable_is_judged_from_both_its_ends(shelf, said):
    assert judged(shelf) == [said]


def test_a_stuck_driver_is_one_restart_and_a_cable_is_to_be_replugged():
    assert hint(Shelf(driver_wedged=(1,))) == "restart studio-1, its driver is stuck: `macfleet rolling-reboot --mac studio-1`"
    assert hint(Shelf(**ONE, driver_wedged=(1,))) == "replug the cable at both ends; if that changes nothing restart both Macs"


def test_where_everything_is_down_no_mac_is_accused():
    assert [
        have.split(":")[0] for _, have in judged(Shelf(count=3, cables=("1.1-2.1", "1.2-3.1", "2.2-3.2"), driver_wedged=(1, 2, 3)))
    ] == [
        "studio-1 Thunderbolt 1 ↔ studio-2 Thunderbolt 1",
        "studio-1 Thunderbolt 2 ↔ studio-3 Thunderbolt 1",
        "studio-2 Thunderbolt 2 ↔ studio-3 Thunderbolt 2",
    ]


def test_the_port_next_to_ethernet_is_suspected_only_when_it_fails():
    told = hint(Shelf(count=2, cables=("1.1-2.2",), driver_wedged=(1,)))

    assert told.endswith("some report that the port next to Ethernet is of no use for RDMA: try another one at studio-1")


def test_a_silent_neighbour_is_believed_what_it_shows_on_the_cable():
    assert judged(Shelf(**ONE, silent=(2,))) == [("ok", "1 of 1 cable carry RDMA")]
    assert judged(Shelf(**ONE, silent=(2,), rdma_off=(2,))) == [
        ("ok", "0 of 1 cable carry RDMA; 1 not: the Mac at its other end has RDMA off (see rdma)")
    ]


def test_a_port_that_is_down_towards_a_mac_that_was_not_read_is_nobodys_fault_yet():
    """A Mac that sleeps shows itself on its cables and takes its ports down."""
    shelf = Shelf(**ONE, silent=(2,), driver_wedged=(1,))
    told = "0 of 1 cable carry RDMA; 1 not: rdma_en3 at studio-1 Thunderbolt 2 is PORT_DOWN, and the Mac at its other end was not read"

    assert judged(shelf) == [("unknown", told)]

    alone = replace(shelf.inventory, macs=shelf.inventory.macs[:1])
    assert [(one.verdict.value, one.have) for one in CableRdma().judge(alone, {"studio-1": shelf.facts(1)})] == [("warn", told)]


def test_the_map_of_ports_is_read_and_never_computed():
    """On a MacBook Pro M5 Max port 2 is en6: its neighbour in the numbers, rdma_en3, is nobody's."""
    said = macbook(ports=recorded("thunderbolt/ibv_devinfo.mbp_m5max.all_port_down.macos27.txt"))
    shelf = Shelf(count=1, cables=(), said={(1, fact): text for fact, text in said.items()})

    ((verdict, have),) = judged(shelf)

    assert verdict == "fail"
    assert have.startswith("studio-1 Thunderbolt 2 ↔ another Mac (Mac17,6): rdma_en6 at studio-1 Thunderbolt 2 is PORT_DOWN")


def test_a_port_that_networksetup_does_not_list_is_left_to_its_mac():
    ports = Shelf(**ONE).outputs(1, a_mac(1))[networksetup.HARDWARE_PORTS][0].replace("Thunderbolt 2", "Thunderbolt 9")

    assert judged(Shelf(**ONE, said={(1, networksetup.HARDWARE_PORTS): (ports,)})) == [
        ("ok", "0 of 1 cable carry RDMA; 1 not: studio-1 Thunderbolt 2 has no RDMA device (see rdma)")
    ]


def test_a_cable_of_which_nobody_knows_the_speed_is_not_called_broken():
    shelf = Shelf(**ONE, driver_wedged=(1, 2))
    text = {
        number: shelf.outputs(number, a_mac(number))[system_profiler.THUNDERBOLT][0].replace('"80 Gb/s"', '"fast"') for number in (1, 2)
    }
    shelf.said = {(number, system_profiler.THUNDERBOLT): (text[number],) for number in (1, 2)}

    assert judged(shelf) == [("unknown", "0 of 1 cable carry RDMA; 1 not: its speed is not known (see cabling)")]


def test_of_macs_of_which_nobody_answered_nothing_is_known():
    assert CableRdma().judge(an_inventory(a_mac(1)), {})[0].verdict == "unknown"
