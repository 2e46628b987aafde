"""What a drawing of the cables shows: both ends, the speed, whether it carries RDMA and why not, and what is missing."""

import json

import pytest

from macfleet.core.fact import Unknown
from macfleet.macos import ibv, sw_vers, system_profiler
from macfleet.macos.cabling import End
from macfleet.placement.cable_map import CableState, make_map
from tests.checks.macs import MESH, Shelf
from tests.checks.test_fleet_checks import behind_a_hub


def map_of(shelf):
    facts = {f"studio-{number}": shelf.facts(number) for number in range(1, shelf.count + 1) if number not in shelf.silent}
    silent = {f"studio-{number}": Unknown("it did not answer in 10 s") for number in shelf.silent}
    return make_map(shelf.inventory.macs, {**facts, **silent}, shelf.inventory.order)


def not_right(shelf):
    return [f"{cable} {cable.state.name}: {cable.why}" for cable in map_of(shelf).cables if cable.state is not CableState.RDMA]


def test_a_mesh_in_order_is_six_cables_that_carry_rdma():
    found = map_of(Shelf())

    assert [(str(cable), cable.speed, cable.why) for cable in found.of(CableState.RDMA)][:2] == [
        ("studio-1 Thunderbolt 1 ↔ studio-2 Thunderbolt 1", "80 Gb/s", ""),
        ("studio-1 Thunderbolt 2 ↔ studio-3 Thunderbolt 1", "80 Gb/s", ""),
    ]
    assert len(found.of(CableState.RDMA)) == len(found.cables) == 6


ONE = Shelf(count=2, cables=("1.1-2.1",))
CABLE = "studio-1 Thunderbolt 1 ↔ studio-2 Thunderbolt 1"


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({"rdma_off": (2,)}, "NO_RDMA: studio-2 has RDMA off (see rdma)"),
        ({"slow_cables": ("1.1-2.1",)}, "NO_RDMA: it runs at 40 Gb/s (see cabling)"),
        ({"driver_wedged": (2,)}, "NO_RDMA: rdma_en2 at studio-2 Thunderbolt 1 is PORT_DOWN"),
        ({"bridged": (1,)}, "NO_RDMA: studio-1 Thunderbolt 1 is still in a bridge (see thunderbolt-bridge)"),
        ({"without_addresses": (1,)}, "NO_RDMA: studio-1 Thunderbolt 1 has no address yet (see cable-addresses)"),
        ({"said": {(1, ibv.PORTS): ((None, ""),)}},
         "UNKNOWN: of studio-1 it is not known: `ibv_devinfo -v` ended without an exit status (see rdma)"),
        ({"driver_wedged": (2,), "said": {(1, sw_vers.VERSION): ("ProductName: macOS\nProductVersion: 26.6.1\nBuildVersion: 25G75\n",)}},
         "NO_RDMA: its Macs run different builds, 25G75 and 25G83 (see same-build)"),
    ],
    ids=["switch", "speed", "port", "bridge", "address", "driver", "builds"],
)  # fmt: skip
def test_a_cable_without_rdma_says_the_first_broken_link_of_its_chain(broken, told):
    assert not_right(Shelf(count=2, cables=("1.1-2.1",), **broken)) == [f"{CABLE} {told}"]


def test_different_builds_that_talk_all_the_same_are_no_reason():
    other = ("ProductName: macOS\nProductVersion: 26.6.1\nBuildVersion: 25G75\n",)

    assert not_right(Shelf(count=2, cables=("1.1-2.1",), said={(1, sw_vers.VERSION): other})) == []


def test_a_missing_cable_is_drawn_on_ports_that_are_free_the_one_next_to_ethernet_last():
    found = map_of(Shelf(count=3, cables=("1.2-2.2",)))

    missing = [str(cable) for cable in found.of(CableState.MISSING)]

    assert missing == ["studio-1 Thunderbolt 3 ↔ studio-3 Thunderbolt 2", "studio-2 Thunderbolt 3 ↔ studio-3 Thunderbolt 3"]


def test_a_mac_that_did_not_answer_is_drawn_with_its_reason_and_the_cables_to_it_from_their_other_end():
    found = map_of(Shelf(silent=(3,)))

    assert (found.macs[2].ports, found.macs[2].unread) == ((), "it did not answer in 10 s")
    dangling = [cable for cable in found.cables if cable.b is None]
    assert [(str(cable), cable.state) for cable in dangling] == [
        ("studio-1 Thunderbolt 2 ↔ another Mac (Mac16,9)", CableState.RDMA),
        ("studio-2 Thunderbolt 2 ↔ another Mac (Mac16,9)", CableState.RDMA),
        ("studio-4 Thunderbolt 3 ↔ another Mac (Mac16,9)", CableState.RDMA),
    ]
    assert found.of(CableState.MISSING) == ()


def test_a_disk_takes_a_port_and_is_no_cable():
    disk = {"receptacle_1_tag": {"receptacle_id_key": "1", "receptacle_status_key": "receptacle_connected", "current_speed_key": "80 Gb/s"}}
    text = (json.dumps({"SPThunderboltDataType": [disk]}),)

    found = map_of(Shelf(count=2, cables=(), said={(1, system_profiler.THUNDERBOLT): text}))

    assert [(port.receptacle, port.other_device) for port in found.macs[0].ports] == [(1, True)]
    assert found.cables == ()


def test_the_ports_say_their_interface_their_device_and_their_address():
    port = map_of(Shelf()).macs[0].ports[1]

    assert (port.interface, port.rdma, port.addresses) == ("en3", "PORT_ACTIVE", ("10.55.0.5/30",))


def test_as_json_it_has_both_ends_and_what_is_missing():
    found = map_of(Shelf(cables=MESH[:-1], slow_cables=MESH[:1]))

    told = found.as_json()

    assert told["cables"][0] == {
        "a": {"mac": "studio-1", "port": 1}, "b": {"mac": "studio-2", "port": 1}, "elsewhere": None, "speed_gb_s": 40,
        "via_hub": False, "rdma": False, "why": "it runs at 40 Gb/s (see cabling)",
    }  # fmt: skip
    assert told["missing"] == [{"a": {"mac": "studio-3", "port": 3}, "b": {"mac": "studio-4", "port": 3}}]
    assert told["summary"] == {"macs": 4, "unread": 0, "cables": 5, "with_rdma": 4, "missing": 1}


def test_a_port_knows_its_cables():
    found = map_of(Shelf())

    assert found.at(End("studio-2", 1))[0].other_end(End("studio-2", 1)) == End("studio-1", 1)


def test_several_macs_behind_one_hub_are_several_cables_of_one_port():
    found = map_of(Shelf(count=3, cables=("1.1-2.1", "2.2-3.2"), said=behind_a_hub("2.1", "3.1")))

    assert [(str(cable.b), cable.via_hub) for cable in found.at(End("studio-1", 1))] == [
        ("studio-2 Thunderbolt 1", True),
        ("studio-3 Thunderbolt 1", True),
    ]
    assert {mac.name for mac in found.macs if any(port.other_device for port in mac.ports)} == set()
