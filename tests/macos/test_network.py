"""networksetup, ifconfig, plutil's bridges."""

from ipaddress import IPv4Interface

import pytest

from macfleet.core.errors import Unparsable
from macfleet.core.fact import Unknown
from macfleet.macos import ifconfig, networksetup, plutil
from macfleet.macos.networksetup import HardwarePort, NetworkService, ServiceInfo
from tests.macos.recordings import answer, recorded

PORTS = "thunderbolt/networksetup_listallhardwareports."


@pytest.mark.parametrize(
    ("name", "interfaces"),
    [
        ("studio_6ports_no_bridge.sanitised.txt", {1: "en2", 2: "en3", 3: "en4", 4: "en5", 5: "en6", 6: "en7"}),
        ("mbp_bridge_present.sanitised.txt", {1: "en1", 2: "en6", 3: "en2"}),
        ("mbp_m5max.macos27.txt", {1: "en1", 2: "en6", 3: "en2"}),
        ("mbp_m4max_mac16_5.trimmed.txt", {1: "en1", 2: "en2", 3: "en3"}),
    ],
)
def test_the_interface_of_each_port_is_what_macos_says(name, interfaces):
    assert networksetup.thunderbolt_interfaces(networksetup.parse_hardware_ports(recorded(PORTS + name))) == interfaces


def test_a_port_is_its_name_device_and_address():
    ports = networksetup.parse_hardware_ports(recorded(PORTS + "mbp_m5max.macos27.txt"))

    assert len(ports) == 6
    assert ports[1] == HardwarePort("Thunderbolt Bridge", "bridge0", "02:00:00:00:00:01")
    assert ports[1].receptacle is None


def test_an_address_may_be_missing():
    ports = networksetup.parse_hardware_ports(recorded(PORTS + "mbp_m4max_mac16_5.trimmed.txt"))

    assert ports[0] == HardwarePort("Ethernet Adapter (en4)", "en4", None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "cut short"),
        ("Hardware Port: Thunderbolt 1\nDevice: en2\n", "cut short"),
        ("Hardware Port: Thunderbolt 1\n\nVLAN Configurations\n", '"Thunderbolt 1" has no Device'),
        ("VLAN Configurations\n===================\n", "no hardware port"),
    ],
)
def test_a_list_of_ports_must_be_whole(text, reason):
    with pytest.raises(Unparsable, match=reason):
        networksetup.parse_hardware_ports(text)


def test_an_asterisk_is_a_disabled_service():
    text = "An asterisk (*) denotes that a network service is disabled.\nEthernet\n*Thunderbolt Bridge\nThunderbolt 1\n"

    assert networksetup.parse_services(text) == (
        NetworkService("Ethernet", True),
        NetworkService("Thunderbolt Bridge", False),
        NetworkService("Thunderbolt 1", True),
    )


def test_a_service_list_without_its_first_line_is_refused():
    with pytest.raises(Unparsable, match="asterisk"):
        networksetup.parse_services("Ethernet\n")


def test_a_lease_from_internet_sharing_is_dhcp():
    text = recorded("thunderbolt/networksetup_getinfo.tb_port_dhcp_from_internet_sharing.sanitised.txt")

    assert networksetup.parse_service_info(text) == ServiceInfo("dhcp", "198.51.100.7", "255.255.255.0", "198.51.100.1")


def test_a_static_address_has_no_router():
    text = "Manual Configuration\nIP address: 10.55.0.1\nSubnet mask: 255.255.255.252\nRouter: (null)\nIPv6: Automatic\n"

    assert answer(networksetup.service_info("macfleet 1"), text) == ServiceInfo("manual", "10.55.0.1", "255.255.255.252", None)


def test_a_service_that_is_not_there_is_unknown():
    said = (4, "x is not a recognized network service.\n** Error: The parameters were not valid.\n")

    assert isinstance(answer(networksetup.service_info("x"), said), Unknown)


def test_a_port_with_an_address_of_its_own():
    (interface,) = ifconfig.parse_ifconfig(recorded("thunderbolt/ifconfig_en2.tb_port_active.tn3205.txt"))

    assert interface == ifconfig.Interface(
        "en2", True, 1500, (IPv4Interface("169.254.205.255/16"),), (), is_active=True, ether="36:4d:04:ea:4e:40"
    )


def test_a_bridge_with_three_members():
    (bridge,) = ifconfig.parse_ifconfig(recorded("thunderbolt/ifconfig_bridge0.three_members.mtu9000.mac_mini.txt"))

    assert (bridge.name, bridge.mtu, bridge.members, bridge.ipv4) == (
        "bridge0", 9000, ("en2", "en3", "en4"), (IPv4Interface("10.25.0.1/24"),)
    )  # fmt: skip


def test_a_bridge_that_is_down_and_empty():
    (bridge,) = ifconfig.parse_ifconfig(recorded("thunderbolt/ifconfig_bridge0.down_no_members.edited.txt"))

    assert (bridge.is_up, bridge.members, bridge.is_active) == (False, (), False)


def test_interfaces_follow_each_other():
    text = recorded("thunderbolt/ifconfig_en2.tb_port_active.tn3205.txt") + recorded(
        "thunderbolt/ifconfig_bridge0.three_members.mtu9000.mac_mini.txt"
    )

    assert [interface.name for interface in ifconfig.parse_ifconfig(text)] == ["en2", "bridge0"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "mtu 1500"),
        ("eth0: flags=4163<UP> mtu 1500\n\tinet 10.0.0.300 netmask 0xffffff00\n", "is no address"),
        ("en0: flags=8863<UP> mtu 1500\n\tinet 10.0.0.3 netmask nonsense\n", "is no address"),
    ],
)
def test_an_address_that_is_none_is_refused(text, reason):
    with pytest.raises(Unparsable, match=reason):
        ifconfig.parse_ifconfig(text)


STORED = recorded("thunderbolt/plutil_bridge_prefs.mbp.sanitised.json")
NO_KEY = (1, "Could not extract value, error: No value at that key path or invalid key path: VirtualNetworkInterfaces.Bridge\n")


def test_the_stored_members_of_the_bridge():
    assert answer(plutil.BRIDGES, STORED, "OK") == {"bridge0": ("en1", "en6", "en2")}


@pytest.mark.parametrize(
    "outputs", [("{}", "OK"), (NO_KEY, "OK"), ((1, "unheard of"), "preferences.plist: OK"), (NO_KEY, (1, "lint is not there"))]
)
def test_a_bridge_that_was_removed_is_known_to_be_gone(outputs):
    assert answer(plutil.BRIDGES, *outputs) == {}


@pytest.mark.parametrize(
    "outputs",
    [((1, "", "permission denied"), (1, "")), ((127, "", "plutil: command not found"), (127, "")), ("[]", "OK"), ('{"bridge0": 1}', "OK")],
)
def test_a_preference_nobody_could_read_is_unknown(outputs):
    assert isinstance(answer(plutil.BRIDGES, *outputs), Unknown)


def test_commands_that_change_the_network_run_as_root():
    commands = [
        networksetup.create_service("macfleet 1", "Thunderbolt 1"),
        networksetup.set_manual("macfleet 1", "10.55.0.1", "255.255.255.252"),
        networksetup.set_service_enabled("Thunderbolt Bridge", False),
        ifconfig.remove_bridge_member("en2"),
        ifconfig.bridge_down(),
        plutil.forget_bridge(),
    ]

    assert [command.shell() for command in commands] == [
        "sudo -n networksetup -createnetworkservice 'macfleet 1' 'Thunderbolt 1'",
        "sudo -n networksetup -setmanual 'macfleet 1' 10.55.0.1 255.255.255.252",
        "sudo -n networksetup -setnetworkserviceenabled 'Thunderbolt Bridge' off",
        "sudo -n ifconfig bridge0 deletem en2",
        "sudo -n ifconfig bridge0 down",
        "sudo -n plutil -remove VirtualNetworkInterfaces.Bridge.bridge0 /Library/Preferences/SystemConfiguration/preferences.plist",
    ]
