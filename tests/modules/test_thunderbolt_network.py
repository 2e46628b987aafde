from dataclasses import replace

import pytest

from macfleet.core.errors import PlaybookError
from macfleet.core.fact import Facts, Unknown
from macfleet.macos.system_profiler import THUNDERBOLT
from tests.modules.memory_mac import MemoryMac
from tests.modules.play import AROUND, plan, play

TASK = "thunderbolt_network: {network: 10.55.0.0/16, keeper: false}"
KEPT = "thunderbolt_network: {network: 10.55.0.0/16}"


def cabled():
    """studio-1 Thunderbolt 2 to studio-2 Thunderbolt 4, and what studio-2 says of its ports."""
    here = MemoryMac(name="HERE", peers={2: "THERE-4"})
    there = MemoryMac(name="THERE", peers={4: "HERE-2"})
    return here, replace(AROUND, facts={"studio-2": there.ask([THUNDERBOLT])})


def test_the_bridge_goes_first_then_the_cable_gets_its_address():
    here, around = cabled()

    done, left = play(here, TASK, around=around)

    assert done == [
        'network service "Thunderbolt Bridge" on → off',
        "bridge0 members en2 en3 → none",
        "bridge0 in the stored preferences en2 en3 → absent",
        "studio-1 Thunderbolt 2 (en3) no service → 10.55.0.5/30",
    ]
    assert left.is_as_wanted


def test_a_port_without_a_cable_gets_no_service():
    here, around = cabled()

    play(here, TASK, around=around)

    assert sorted(here.services) == ["Thunderbolt Bridge", "macfleet Thunderbolt 2"]


def test_a_service_with_another_address_is_set_right():
    here, around = cabled()
    play(here, TASK, around=around)
    here.services["macfleet Thunderbolt 2"]["ip"] = "192.168.0.1"

    done, _ = play(here, TASK, around=around)

    assert done == ["studio-1 Thunderbolt 2 (en3) manual 192.168.0.1/30 → 10.55.0.5/30"]


def test_a_service_that_is_off_is_switched_on():
    here, around = cabled()
    play(here, TASK, around=around)
    here.services["macfleet Thunderbolt 2"]["off"] = True

    done, _ = play(here, TASK, around=around)

    assert done == ["studio-1 Thunderbolt 2 (en3) service off → 10.55.0.5/30"]


def test_a_cable_that_moved_takes_its_address_along():
    here, around = cabled()
    here.services["macfleet Thunderbolt 3"] = {"device": "en4", "ip": "10.55.0.5", "mask": "255.255.255.252"}

    done, left = play(here, TASK, around=around)

    assert 'network service "macfleet Thunderbolt 3" has 10.55.0.5 of Thunderbolt 2 → off' in done
    assert left.is_as_wanted


def test_the_address_of_a_cable_that_is_merely_out_stays():
    here, around = cabled()
    play(here, TASK, around=around)
    here.peers = {}

    assert plan(here, TASK).changes == ()


def test_an_address_waits_for_a_neighbour_that_went_away_meanwhile():
    here, around = cabled()
    del here.peers[2]  # studio-2 was there when it was read, and has no power now

    done, left = play(here, TASK, around=around)

    assert done[-1] == "studio-1 Thunderbolt 2 (en3) no service → 10.55.0.5/30"
    assert left.is_as_wanted


def test_a_cable_to_a_silent_mac_is_said_and_stops_nothing():
    here, _ = cabled()

    made = plan(here, TASK)

    assert [reason.reason for _, reason in made.unsupported] == [
        "studio-1 Thunderbolt 2 leads to a Mac that did not answer or is not in the inventory: no address for this cable"
    ]
    assert not made.unknown


def test_what_a_neighbour_could_not_say_stops_nothing():
    here, around = cabled()
    around = replace(around, facts={"studio-2": Facts({THUNDERBOLT: Unknown("slow")})})

    assert not plan(here, TASK, around=around).unknown


def test_the_bridges_of_internet_sharing_are_left_alone():
    here, around = cabled()
    here.stored = {"bridge100": {"Interfaces": ["en2"]}}
    here.members = []
    here.services = {}

    done, _ = play(here, TASK, around=around)

    assert not any("bridge" in line for line in done if "Thunderbolt 2" not in line)


def test_the_network_location_is_never_switched():
    here, around = cabled()

    play(here, TASK, around=around)

    assert not any("location" in line for line in here.log)


def test_a_daemon_keeps_the_bridge_empty_over_reboots():
    here, around = cabled()

    done, left = play(here, KEPT, around=around)

    assert done[-2:] == [
        "file /opt/macfleet/bin/thunderbolt-bridge.sh absent → 449 bytes, 755 root:wheel",
        "launchd dev.macfleet.thunderbolt-bridge absent → loaded",
    ]
    assert b"/opt/macfleet/bin/thunderbolt-bridge.sh" in here.jobs["dev.macfleet.thunderbolt-bridge"]["plist"]
    assert left.is_as_wanted


def test_a_service_that_was_there_gets_back_its_address_and_its_switch():
    here, around = cabled()
    here.services["macfleet Thunderbolt 2"] = {"device": "en3", "ip": "10.1.1.1", "mask": "255.255.255.0", "off": True}
    before = here.without_our_notes()
    changes = [change for _, change in plan(here, TASK, around=around).changes]
    for change in changes:
        here.apply(change.commands)

    for change in reversed(changes):
        here.apply(change.undo)

    assert here.without_our_notes() == before


@pytest.mark.parametrize("network", ["192.168.0.0/16", "192.168.0.128/25"])
def test_the_networks_of_homes_are_refused(network):
    with pytest.raises(PlaybookError, match="which home networks and mlx"):
        plan(MemoryMac(), f"thunderbolt_network: {{network: {network}}}")
