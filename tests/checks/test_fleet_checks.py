"""Questions to all Macs together: which Mac, which end, which port."""

import json
from dataclasses import replace

import pytest

from macfleet.checks import FLEET_CHECKS
from macfleet.macos import ifconfig, sw_vers, system_profiler
from macfleet.macos.runtime import runtime
from tests.checks.macs import MESH, Shelf, a_mac, installed, uuid_of


def the_one(shelf, check):
    (finding,) = (finding for _, finding in shelf.findings() if finding.check == check)
    return finding


def all_of(shelf, check):
    return [(finding.verdict.value, finding.have) for _, finding in shelf.findings() if finding.check == check]


def version(version, build):
    return (f"ProductName: macOS\nProductVersion: {version}\nBuildVersion: {build}\n",)


def test_a_mesh_says_how_many_cables_at_which_speed():
    finding = the_one(Shelf(), "cabling")

    assert (finding.have, finding.want) == ("6 cables at 80 Gb/s", "a full mesh of 4 Macs, every cable at full speed")


def test_a_slow_cable_is_named_by_both_ends():
    finding = the_one(Shelf(slow_cables=("2.3-4.2",)), "cabling")

    assert (finding.have, finding.want) == ("studio-2 Thunderbolt 3 ↔ studio-4 Thunderbolt 2 runs at 40 Gb/s", "80 Gb/s")
    assert "between studio-2 Thunderbolt 3 and studio-4 Thunderbolt 2" in finding.hint


def test_a_missing_cable_is_named_with_the_free_ports_on_both_sides():
    finding = the_one(Shelf(cables=MESH[:-1]), "cabling")

    assert finding.have == "no cable between studio-3 and studio-4: missing is studio-3 Thunderbolt 3 ↔ studio-4 Thunderbolt 3"
    assert finding.hint == "connect studio-3 Thunderbolt 3 with studio-4 Thunderbolt 3, at 80 Gb/s"


def test_macs_without_a_single_cable_are_told_where_the_plan_is():
    finding = the_one(Shelf(cables=()), "cabling")

    assert (finding.have, finding.hint) == (
        "no cable between any of the 4 Macs",
        "`macfleet cables --plan mesh` says which ports to connect",
    )


def test_every_bad_cable_is_a_finding_of_its_own():
    assert all_of(Shelf(cables=MESH[:-1], slow_cables=MESH[:1]), "cabling") == [
        ("fail", "studio-1 Thunderbolt 1 ↔ studio-2 Thunderbolt 1 runs at 40 Gb/s"),
        ("fail", "no cable between studio-3 and studio-4: missing is studio-3 Thunderbolt 3 ↔ studio-4 Thunderbolt 3"),
    ]


def test_a_second_cable_between_two_macs_is_a_warning():
    assert all_of(Shelf(cables=(*MESH, "1.4-2.4")), "cabling") == [
        (
            "warn",
            "2 cables between studio-1 and studio-2: studio-1 Thunderbolt 1 ↔ studio-2 Thunderbolt 1, "
            "studio-1 Thunderbolt 4 ↔ studio-2 Thunderbolt 4",
        )
    ]


def test_a_cable_to_the_wrong_mac_is_missing_there_and_double_here():
    shelf = Shelf(ports=3, cables=("1.1-2.1", "1.2-3.1", "1.3-4.1", "2.2-3.2", "2.3-3.3"))

    found = [finding for _, finding in shelf.findings() if finding.check == "cabling"]

    assert [finding.have.split(";")[0] for finding in found[:2]] == [
        "no cable between studio-2 and studio-4",
        "no cable between studio-3 and studio-4",
    ]
    assert found[0].hint == "studio-2 Thunderbolt 3 ↔ studio-3 Thunderbolt 3 is a second cable between the same Macs: move it"


def test_a_mesh_that_needs_more_ports_than_there_are_suggests_a_ring():
    shelf = Shelf(count=5, ports=3, cables=(*MESH,))

    hints = {finding.hint for _, finding in shelf.findings() if finding.check == "cabling"}

    assert hints == {
        f"a mesh of 5 needs 4 ports on each Mac and studio-{number} has 3: write `topology: ring`, or use fewer Macs"
        for number in range(1, 5)
    }


def test_a_port_that_a_disk_takes_is_offered_as_room():
    disk = {"receptacle_1_tag": {"receptacle_id_key": "1", "receptacle_status_key": "receptacle_connected", "current_speed_key": "80 Gb/s"}}
    shelf = Shelf(count=2, ports=1, cables=(), said={(1, system_profiler.THUNDERBOLT): (json.dumps({"SPThunderboltDataType": [disk]}),)})

    finding = the_one(shelf, "cabling")

    assert finding.have == "no cable between studio-1 and studio-2; no free port on studio-1"
    assert finding.hint == "free a port of studio-1: no Mac of this fleet is at studio-1 Thunderbolt 1"


RING = ("1.1-2.2", "2.1-3.2", "3.1-4.2", "4.1-1.2")


@pytest.mark.parametrize(
    ("cables", "found"),
    [
        (RING, [("ok", "4 cables at 80 Gb/s")]),
        (("1.1-3.2", "3.1-2.2", "2.1-4.2", "4.1-1.2"), [("ok", "4 cables at 80 Gb/s")]),
        (RING[:3], [("fail", "no cable between studio-4 and studio-1: missing is studio-4 Thunderbolt 3 ↔ studio-1 Thunderbolt 2")]),
    ],
)
def test_a_ring_is_closed_in_any_order(cables, found):
    assert all_of(Shelf(cables=cables, settings={"interconnect": {"topology": "ring"}}), "cabling") == found


def test_with_a_silent_mac_the_other_cables_are_still_judged():
    assert all_of(Shelf(silent=(3,), slow_cables=MESH[:1]), "cabling") == [
        ("fail", "studio-1 Thunderbolt 1 ↔ studio-2 Thunderbolt 1 runs at 40 Gb/s"),
        ("unknown", "nobody could see the ports of studio-3"),
    ]


def test_a_mac_from_elsewhere_is_a_warning():
    shelf = Shelf(cables=(*MESH, "2.4-9.1"))

    assert all_of(shelf, "cabling") == [("warn", "studio-2 Thunderbolt 4 leads to a Mac (Mac16,9) that is not in the inventory")]


def test_thunderbolt_4_macs_are_not_asked_for_80():
    shelf = Shelf(count=2, cables=("1.1-2.1",), slow_cables=("1.1-2.1",))
    tb4 = {
        number: (json.dumps(json.loads(shelf.outputs(number, a_mac(number))[system_profiler.THUNDERBOLT][0].replace("120", "40"))),)
        for number in (1, 2)
    }
    shelf.said = {(number, system_profiler.THUNDERBOLT): text for number, text in tb4.items()}

    assert all_of(shelf, "cabling") == [("ok", "1 cable at 40 Gb/s")]


def test_another_build_is_named_with_its_mac():
    finding = the_one(Shelf(said={(3, sw_vers.VERSION): version("26.6.1", "25G75")}), "same-build")

    assert finding.verdict == "fail"
    assert finding.have == "25G83 on studio-1, studio-2 and studio-4; 25G75 on studio-3"
    assert finding.hint == "bring studio-3 to 25G83, the build of most Macs, or all of them to a newer one"


def test_a_mac_whose_macos_is_too_old_is_left_to_its_own_finding():
    finding = the_one(Shelf(said={(3, sw_vers.VERSION): version("26.1", "25B78")}), "same-build")

    assert (finding.verdict, finding.have) == (
        "ok",
        "25G83 on studio-1, studio-2 and studio-4; studio-3 not compared, see macos-version there",
    )


@pytest.mark.parametrize(
    ("change", "verdict", "have"),
    [
        ({}, "ok", "the same on studio-1, studio-2, studio-3 and studio-4"),
        ({"lock_sha256": "other"}, "fail", "studio-3 has another set of packages than most Macs"),
        ({"wheel_sha256": "other"}, "fail", "studio-3 has another build of macfleet than most Macs"),
        ({"python": "3.13"}, "fail", "studio-3 has another Python (3.13 instead of 3.12) than most Macs"),
    ],
)
def test_another_runtime_is_named_with_what_differs(change, verdict, have):
    finding = the_one(Shelf(said={(3, runtime(a_mac(3).paths)): (installed(**change), "")}), "same-runtime")

    assert (finding.verdict, finding.have) == (verdict, have)


def test_a_mac_without_a_runtime_is_left_to_its_own_finding():
    shelf = Shelf(said={(3, runtime(a_mac(3).paths)): ((1, "", "cat: No such file or directory"), "")})

    assert the_one(shelf, "same-runtime").have == "the same on studio-1, studio-2 and studio-4"
    assert shelf.trouble() == ["studio-3 runtime fail"]


def test_ends_without_their_address_are_named_with_what_they_want():
    finding = the_one(Shelf(without_addresses=(2,)), "cable-addresses")

    assert finding.verdict == "fail"
    assert finding.have.startswith("3 of 12 cable ends: studio-2 Thunderbolt 1 (en2) has none, wants 10.55.0.2/30; ")


def test_ends_in_a_bridge_are_not_called_addressed():
    finding = the_one(Shelf(bridged=(2,)), "cable-addresses")

    assert (finding.verdict, finding.have) == (
        "ok",
        "9 of 12 cable ends have theirs, 3 still in a bridge (see thunderbolt-bridge)",
    )


def test_an_address_from_elsewhere_is_shown():
    text = "en2: flags=8863<UP> mtu 1500\n\tinet 169.254.205.255 netmask 0xffff0000\n"
    shelf = Shelf(count=2, cables=("1.1-2.1",), said={(2, ifconfig.INTERFACES): (text,)})

    finding = the_one(shelf, "cable-addresses")

    assert finding.have == (
        "1 of 2 cable ends: studio-2 Thunderbolt 1 (en2) has 169.254.205.255/16 "
        "(which it gave itself: no DHCP server answered), wants 10.55.0.2/30"
    )


def test_a_selection_of_macs_keeps_the_addresses_of_all():
    shelf = Shelf()
    inventory = replace(shelf.inventory, macs=shelf.inventory.macs[2:])
    facts = {f"studio-{number}": shelf.facts(number) for number in (3, 4)}
    checks = [check for check in FLEET_CHECKS if check.name in ("cabling", "cable-addresses")]

    found = [finding.verdict.value for check in checks for finding in check.judge(inventory, facts)]

    assert found == ["ok", "ok"]


def test_of_one_mac_there_is_no_cable_to_judge():
    shelf = Shelf()
    cabling = next(check for check in FLEET_CHECKS if check.name == "cabling")

    (finding,) = cabling.judge(replace(shelf.inventory, macs=shelf.inventory.macs[:1]), {"studio-1": shelf.facts(1)})

    assert (finding.verdict.value, finding.have) == ("ok", "not looked at: a cable has two ends, and this is one Mac")


def test_a_network_too_small_for_the_fleet_is_a_finding():
    finding = the_one(Shelf(settings={"interconnect": {"network": "10.55.0.0/28"}}), "cable-addresses")

    assert "too small for the cables of 4 Macs" in finding.have


def behind_a_hub(*ports):
    """What studio-1 prints of its first port, where a hub leads on to these ports: "2.1"."""
    macs = [{"device_name_key": "Mac16,9", "domain_uuid_key": uuid_of(*map(int, each.split(".")))} for each in ports]
    hub = {"_name": "a hub", "mode_key": "usb_four_v2", "switch_uid_key": "0x1", "_items": macs}
    status = {"receptacle_id_key": "1", "receptacle_status_key": "receptacle_connected", "current_speed_key": "80 Gb/s"}
    bus = {"domain_uuid_key": uuid_of(1, 1), "receptacle_1_tag": status, "_items": [hub]}
    return {(1, system_profiler.THUNDERBOLT): (json.dumps({"SPThunderboltDataType": [bus]}),)}


def test_a_mac_behind_a_hub_is_at_the_cable():
    assert all_of(Shelf(count=2, cables=("1.1-2.1",), said=behind_a_hub("2.1")), "cabling") == [("ok", "1 cable at 80 Gb/s")]


def test_several_macs_behind_one_hub_are_told_to_have_cables_of_their_own():
    shelf = Shelf(count=3, cables=("1.1-2.1", "2.2-3.2"), said=behind_a_hub("2.1", "3.1"))

    assert all_of(shelf, "cabling") == [
        ("fail", "studio-1 Thunderbolt 1 leads to studio-2 and studio-3 through one hub: they get no address there, and so no RDMA")
    ]
