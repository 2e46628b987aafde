"""hostname, firewall, spotlight, network_service: what a Mac is called, whom it lets in, and where it stands in the network."""

from dataclasses import replace

import pytest

from macfleet.core.errors import PlaybookError, RequestError
from tests.modules.memory_mac import MAC, Entry, MemoryMac
from tests.modules.play import plan, play

STORAGE = "network_service: {service: Storage, hardware_port: Thunderbolt 4, method: manual, address: 10.9.0.11/24}"


def test_a_mac_has_three_names():
    memory = MemoryMac()

    done, left = play(memory, "hostname: {name: studio-1, computer_name: Studio 1, domain: example.net}")

    assert done == [
        "ComputerName Mac Studio → Studio 1",
        "LocalHostName Mac-Studio → studio-1",
        "HostName not set → studio-1.example.net",
    ]
    assert left.is_as_wanted


@pytest.mark.parametrize("name", ["studio 1", "-studio", "studio.local", ""])
def test_a_name_that_no_network_knows_is_refused(name):
    with pytest.raises(PlaybookError, match=r"x\.yaml:"):
        plan(MemoryMac(), f'hostname: {{name: "{name}"}}')


def test_a_mac_that_is_known_by_its_bonjour_name_keeps_it():
    mac = replace(MAC, address="mac-studio.local")

    with pytest.raises(RequestError, match="would not find studio-1 again"):
        plan(MemoryMac(), "hostname: {name: studio-1}", mac=mac)

    assert plan(MemoryMac(), "hostname: {name: Mac-Studio}", mac=mac).changes


def test_a_firewall_that_would_shut_macfleet_out_is_nothing_to_ask_for():
    with pytest.raises(PlaybookError, match=r"x\.yaml:"):
        plan(MemoryMac(), "firewall: {state: block-all}")


def test_a_program_is_let_in_before_the_firewall_goes_on():
    memory = MemoryMac()
    memory.files["/opt/x"] = Entry(b"", "755")

    done, left = play(memory, 'firewall: {state: "on", allow: [/opt/x]}')

    assert done == ["firewall rule for /opt/x absent → lets in", "firewall off → on"]
    assert left.is_as_wanted


def test_a_firewall_that_lets_nobody_in_is_opened_before_it_is_switched():
    memory = MemoryMac(firewall=2)

    play(memory, 'firewall: {state: "off"}')

    assert memory.firewall == 0


def test_only_what_is_there_can_be_let_in():
    made = plan(MemoryMac(), "firewall: {allow: [/opt/nothing]}")

    assert not made.changes
    assert made.unknown[0][1].reason == "nothing is at /opt/nothing: the firewall can let in only what is there"


def test_a_program_that_is_kept_out_is_let_in_and_kept_out_again():
    memory = MemoryMac(let_in={"/opt/x": False})
    memory.files["/opt/x"] = Entry(b"", "755")
    [(_, change)] = plan(memory, "firewall: {allow: [/opt/x]}").changes

    memory.apply(change.commands)
    assert memory.let_in == {"/opt/x": True}

    memory.apply(change.undo)
    assert memory.let_in == {"/opt/x": False}


def test_a_service_is_made_for_its_port():
    memory = MemoryMac(stored={})

    done, left = play(memory, STORAGE)

    assert done == ['network service "Storage" absent → 10.9.0.11/24']
    assert left.is_as_wanted


def test_a_service_that_asks_by_dhcp_gets_its_address_and_loses_it_again():
    memory = MemoryMac(services={"Storage": {"device": "en5", "off": True}})
    [(_, change)] = plan(memory, STORAGE).changes
    assert change.line() == 'network service "Storage" dhcp, off → 10.9.0.11/24'

    memory.apply(change.commands)
    memory.apply(change.undo)

    assert memory.services == {"Storage": {"device": "en5", "off": True}}


def test_a_service_that_nobody_knows_a_port_for_is_not_made():
    made = plan(MemoryMac(), "network_service: {service: Storage}")

    assert made.unknown[0][1].reason == 'there is no network service "Storage", and the task names no "hardware_port" to make it for'


@pytest.mark.parametrize("cut", ["method: manual, address: 10.0.0.9/24", "method: manual, address: 10.0.0.1/24, enabled: false"])
def test_the_line_that_macfleet_comes_in_by_is_not_cut(cut):
    memory = MemoryMac(services={"Ethernet": {"device": "en0", "ip": "10.0.0.1", "mask": "255.255.255.0"}})

    with pytest.raises(RequestError, match="would cut the line"):
        plan(memory, f"network_service: {{service: Ethernet, {cut}}}")


def test_a_mac_that_the_inventory_knows_by_name_tells_which_address_it_is():
    memory = MemoryMac(services={"Ethernet": {"device": "en0", "ip": "10.7.0.1", "mask": "255.255.255.0"}}, talks_at="10.7.0.1")
    task = "network_service: {service: Ethernet, method: manual, address: 10.7.0.9/24}"

    with pytest.raises(RequestError, match=r'"Ethernet" has 10\.7\.0\.1, the address macfleet comes in by'):
        plan(memory, task, mac=replace(MAC, address="studio-1.example.net"))


@pytest.mark.parametrize("wrong", ["method: manual", "address: 10.0.0.9/24", "method: manual, address: 10.0.0.999/24"])
def test_an_address_and_its_method_belong_together(wrong):
    with pytest.raises(PlaybookError, match=r"x\.yaml:"):
        plan(MemoryMac(), f"network_service: {{service: Storage, {wrong}}}")
