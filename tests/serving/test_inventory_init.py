from pathlib import Path

import pytest

from macfleet.core.errors import AuthenticationFailed, RequestError
from macfleet.core.fact import Facts, Unknown
from macfleet.core.outcome import Outcome, Report
from macfleet.fleet.bonjour import Sighting
from macfleet.fleet.pin import HostKey
from macfleet.inventory.mac import SshSettings
from macfleet.inventory.settings import Topology
from macfleet.macos import networksetup, scutil, sw_vers, sysctl, system_profiler, uname
from macfleet.serving.inventory_init import (
    Place,
    findings,
    lets_nobody_in,
    merged,
    parse_place,
    places_of,
    provisional,
    same_macs,
)
from tests.lab.simulated import answer, make_macs

QUESTIONS = (uname.KERNEL, sysctl.IDENTITY, sw_vers.VERSION, system_profiler.THUNDERBOLT, networksetup.HARDWARE_PORTS, scutil.NAMES)


def places(*names):
    return tuple(Place(f"10.0.0.{number}") for number, _ in enumerate(names, start=1))


def read(worlds):
    """What these Macs say of themselves, by the label of their place."""
    return {
        place.label: Facts({fact: answer(world, fact) for fact in QUESTIONS}) for place, world in zip(places(*worlds), worlds, strict=True)
    }


def found(worlds, facts=None, unread=None):
    return findings(places(*worlds), facts or read(worlds), unread or {}, "admin")


@pytest.fixture
def three(tmp_path):
    return make_macs(tmp_path / "lab", "studio-1", "studio-2", "studio-3")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("10.0.0.1", Place("10.0.0.1")),
        ("studio-1.local", Place("studio-1.local")),
        ("10.0.0.1:2222", Place("10.0.0.1", 2222)),
        ("[fe80::1]:2222", Place("fe80::1", 2222)),
        ("fe80::1", Place("fe80::1")),
    ],
)
def test_a_place_is_an_address_and_perhaps_a_port(text, place):
    assert parse_place(text) == place


@pytest.mark.parametrize("text", ["", "admin@10.0.0.1", "10.0.0.1:ssh", "10.0.0.1:0", "10.0.0.1:70000", "a/b"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(RequestError, match="is no address"):
        parse_place(text)


def test_macs_as_cabled_are_what_is_found(three):
    told = found(three)

    assert [(mac.name, mac.address, mac.hardware, mac.memory_bytes >> 30) for mac in told.macs] == [
        ("studio-1", "10.0.0.1", "Mac15,14", 512),
        ("studio-2", "10.0.0.2", "Mac15,14", 512),
        ("studio-3", "10.0.0.3", "Mac15,14", 512),
    ]
    assert told.cables == ("studio-1:1 studio-2:1", "studio-1:2 studio-3:1", "studio-2:2 studio-3:2")
    assert (told.topology, told.unread, told.notes) == (Topology.MESH, (), ())
    assert told.macs[0].remarks == "macOS 26.5 (25F71), 6 Thunderbolt ports"


def test_each_port_says_its_interface_and_where_it_leads(three):
    assert found(three).macs[1].ports == (
        "1 (en2) to studio-1:1 at 80 Gb/s",
        "2 (en3) to studio-3:2 at 80 Gb/s",
        "3 (en4) free",
        "4 (en5) free",
        "5 (en6) free",
        "6 (en7) free",
    )


def test_a_cable_to_a_mac_that_was_not_asked_is_noted(three):
    told = findings(places(1, 2), {label: said for label, said in read(three).items() if label != "10.0.0.3"}, {}, "admin")

    assert told.cables == ("studio-1:1 studio-2:1",)
    assert told.notes == (
        "studio-1 Thunderbolt 2 leads to a Mac15,14 that is not among these Macs",
        "studio-2 Thunderbolt 2 leads to a Mac15,14 that is not among these Macs",
    )


def test_macs_without_cables_want_a_mesh_when_they_have_the_ports(tmp_path):
    told = found(make_macs(tmp_path / "lab", "studio-1", "studio-2", as_shipped=True))

    assert (told.cables, told.topology) == ((), Topology.MESH)


def test_more_macs_than_ports_want_a_ring(tmp_path):
    names = [f"mini-{number}" for number in range(1, 6)]

    assert found(make_macs(tmp_path / "lab", *names, kind="mac-mini-m4-pro", memory_gib=64)).topology is Topology.RING


@pytest.mark.parametrize(
    ("fact", "said", "reason"),
    [
        (uname.KERNEL, "Linux", "this is no Mac: its kernel is Linux"),
        (sysctl.IDENTITY, Unknown("`sysctl` ended with 1"), "what it is cannot be read: `sysctl` ended with 1"),
        (sysctl.IDENTITY, sysctl.Identity("Macmini8,1", 1 << 34, "Intel(R)", False), "this is an Intel Mac (Macmini8,1)"),
        (sysctl.IDENTITY, sysctl.Identity("Mac99,1", 1 << 34, "Apple M9", True), '"Mac99,1" is no Mac that this macfleet knows'),
        (sysctl.IDENTITY, sysctl.Identity("Mac15,14", 7 << 30, "Apple M3 Ultra", True), "a Mac Studio M3 Ultra (2025) with 7 GiB is none"),
    ],
)
def test_what_cannot_be_in_an_inventory_is_left_out_with_its_reason(three, fact, said, reason):
    facts = read(three)
    facts["10.0.0.2"] = facts["10.0.0.2"].merged(Facts({fact: said}))

    told = found(three, facts)

    assert [mac.name for mac in told.macs] == ["studio-1", "studio-3"]
    assert told.unread[0].reason.startswith(f"10.0.0.2: {reason}")


def test_one_that_let_nobody_in_is_left_out_too(three):
    facts = {label: said for label, said in read(three).items() if label != "10.0.0.3"}

    told = found(three, facts, {"10.0.0.3": "10.0.0.3:22 does not let admin in"})

    assert [(mac.name, mac.reason) for mac in told.unread] == [("mac-10-0-0-3", "10.0.0.3:22 does not let admin in")]


def test_what_bonjour_announces_is_asked_unless_it_says_that_it_is_no_mac():
    mac, nas = Sighting("Mac Studio", "10.0.0.1", 22, "Mac15,14"), Sighting("nas", "10.0.0.9", 22, "RackStation")

    assert places_of((mac, nas)) == (Place("10.0.0.1", 22, mac),)
    assert places_of((mac,))[0].label == "Mac Studio (10.0.0.1)"


def test_two_addresses_with_one_host_key_are_one_mac():
    one, other = HostKey("ssh-ed25519", "AAAA"), HostKey("ssh-ed25519", "BBBB")

    assert same_macs({"10.0.0.1": one, "10.0.0.2": other, "studio.local": one}) == {"studio.local": "10.0.0.1"}


def test_only_those_that_refuse_the_key_are_asked_by_password():
    refused = Outcome("a", error=AuthenticationFailed("no"))
    report = Report((refused, Outcome("b", Facts({}))))

    assert lets_nobody_in(report) == ["a"]
    assert merged(report, Report((Outcome("a", Facts({})),))).ok


def test_the_places_are_an_inventory_to_log_in_with():
    inventory = provisional(places(1, 2), Path("/x/inventory.yaml"), SshSettings(), "admin")

    assert [(mac.name, mac.address, mac.port, mac.user) for mac in inventory.macs] == [
        ("10.0.0.1", "10.0.0.1", 22, "admin"),
        ("10.0.0.2", "10.0.0.2", 22, "admin"),
    ]
