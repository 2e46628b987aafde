"""The inventory that `inventory init` writes: it loads, it is commented like the example, and it says what was found."""

from dataclasses import replace
from pathlib import Path

import pytest

from macfleet.core.units import GIB
from macfleet.inventory.load import load_inventory
from macfleet.inventory.settings import Settings, Topology
from macfleet.inventory.write import Findings, FoundMac, UnreadMac, distinct_names, mac_name, render_inventory

ONE = FoundMac("studio-1", "10.0.0.1", "Mac15,14", 512 * GIB, remarks="macOS 26.5 (25F71), 6 Thunderbolt ports")
TWO = FoundMac("studio-2", "10.0.0.2", "Mac15,14", 512 * GIB, port=2222)
MINI = FoundMac("mini", "fd00::3", "Mac16,11", 64 * GIB)


def rendered(*macs, key=None, **more):
    return render_inventory(Findings("admin", macs, **more), key=key, known_hosts="known_hosts")


def loaded(*macs, key=None, **more):
    return load_inventory(Path("/shelf/inventory.yaml"), rendered(*macs, key=key, **more))


def test_what_was_found_is_what_is_loaded():
    inventory = loaded(ONE, TWO, MINI, cables=("studio-1:2 studio-2:3",), topology=Topology.RING)

    assert [(mac.name, mac.address, mac.port, mac.user, mac.hardware, mac.memory_bytes // GIB) for mac in inventory.macs] == [
        ("studio-1", "10.0.0.1", 22, "admin", "Mac15,14", 512),
        ("studio-2", "10.0.0.2", 2222, "admin", "Mac15,14", 512),
        ("mini", "fd00::3", 22, "admin", "Mac16,11", 64),
    ]
    assert [str(cable) for cable in inventory.cables] == ["studio-1:2 studio-2:3"]
    assert inventory.macs[0].settings.interconnect.topology is Topology.RING
    assert inventory.ssh.known_hosts == Path("/shelf/known_hosts")


def test_what_is_not_decided_is_as_if_nothing_were_written():
    assert loaded(ONE).macs[0].settings == Settings()


def test_no_cables_are_not_an_empty_list_of_cables():
    assert loaded(ONE, TWO).cables is None
    assert "macfleet cables --plan mesh" in rendered(ONE, TWO)


def test_every_key_has_a_comment():
    text = rendered(ONE, TWO, key="/keys/fleet", cables=("studio-1:2 studio-2:3",))

    bare = [line for line in text.splitlines() if line.strip() and "#" not in line]

    assert bare == []


@pytest.mark.parametrize("key", ["~/.ssh/id_ed25519", "/keys/of the fleet", "keys/fleet"])
def test_the_key_is_taken_as_it_was_given(key):
    wanted = Path(key).expanduser()

    assert loaded(ONE, key=key).ssh.key == (wanted if wanted.is_absolute() else Path("/shelf") / key)


def test_the_ports_stand_below_their_mac_in_lines_that_fit():
    ports = tuple(f"{number} (en{number + 1}) to studio-{number}:1 at 80 Gb/s" for number in range(1, 7))

    text = rendered(replace(ONE, ports=ports))

    lines = [line for line in text.splitlines() if "Gb/s" in line]
    assert lines[0].startswith("    # Thunderbolt 1 (en2) to studio-1:1 at 80 Gb/s, 2 (en3)")
    assert (len(lines), max(map(len, lines)) <= 124) == (2, True)
    assert load_inventory(Path("/x/inventory.yaml"), text).macs[0].name == "studio-1"


def test_a_mac_that_could_not_be_read_is_a_comment_with_its_reason():
    other = UnreadMac("mini-7", "10.0.0.7", "Mini (10.0.0.7): does not let admin in", model="Mac16,11")

    text = rendered(ONE, unread=(other,))

    assert [mac.name for mac in load_inventory(Path("/x/inventory.yaml"), text).macs] == ["studio-1"]
    assert "  # Mini (10.0.0.7): does not let admin in\n  # mini-7: {address: 10.0.0.7, hardware: mac-mini-m4-pro, memory: " in text


def test_such_a_comment_becomes_an_entry_by_removing_its_sign():
    other = UnreadMac("mini-7", "10.0.0.7", "not read", port=2200)

    text = rendered(ONE, unread=(other,)).replace("  # mini-7:", "  mini-7:")

    assert load_inventory(Path("/x/inventory.yaml"), text).mac("mini-7").port == 2200


@pytest.mark.parametrize("user", ["yes", "jane.doe", "0815", "null", "a: b"])
def test_a_user_of_any_name_stays_that_name(user):
    text = render_inventory(Findings(user, (ONE,)), key=None, known_hosts="known_hosts")

    assert load_inventory(Path("/x/inventory.yaml"), text).macs[0].user == user


@pytest.mark.parametrize(
    ("said", "name"),
    [("Ann's Mac Studio", "anns-mac-studio"), ("Mac-Studio-2", "mac-studio-2"), ("Büro № 3", "buro-no-3"), ("東京", ""), ("", "")],
)
def test_the_name_of_a_computer_becomes_one_that_can_be_typed(said, name):
    assert mac_name(said) == name


def test_macs_of_the_same_name_are_told_apart():
    assert distinct_names(["Mac", "mac", "東京", "mac-2"]) == ["mac", "mac-2", "mac-3", "mac-2-2"]
