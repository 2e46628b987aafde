"""The chain of reasons of `rdma`: it stops at the first broken link and explains what other checks name."""

import json

import pytest

from macfleet.checks.rdma import Rdma
from macfleet.macos import ibv, ifconfig, networksetup, rdma_ctl, sw_vers, system_profiler
from tests.checks.macs import a_mac, judge
from tests.macos.recordings import recorded

PEER = "thunderbolt/sp_thunderbolt.mbp_m5max.rdma_disabled_here_enabled_on_peer.macos27.json"
ALL_DOWN = recorded("thunderbolt/ibv_devinfo.mbp_m5max.all_port_down.macos27.txt")
ADDRESS = "en6: flags=8863<UP> mtu 1500\n\tinet 10.55.0.1 netmask 0xfffffffc\n"
HEADER_ONLY = recorded("thunderbolt/ibv_devices.disabled_header_only.macos27.txt")
GID = "hca_id:\trdma_en6\n\tport: 1\n\tstate: PORT_ACTIVE (4)\n\tGID[  1]:\t\t::ffff:10.55.0.1\n"
NO_GID = GID.replace("::ffff:10.55.0.1", "fe80::1")


def macbook(**changes):
    """What a MacBook Pro M5 Max prints whose Thunderbolt 2 (en6) leads to a Mac with RDMA on; here all is well."""
    said = {
        "version": "ProductName: macOS\nProductVersion: 27.0\nBuildVersion: 26A428\n",
        "thunderbolt": recorded(PEER),
        "switch": "enabled\n",
        "devices": recorded("thunderbolt/ibv_devices.mbp_m5max.enabled.macos27.txt"),
        "ports": GID,
        "hardware_ports": recorded("thunderbolt/networksetup_listallhardwareports.mbp_m5max.macos27.txt"),
        "interfaces": ADDRESS,
        **changes,
    }
    facts = {
        "version": sw_vers.VERSION,
        "thunderbolt": system_profiler.THUNDERBOLT,
        "switch": rdma_ctl.STATUS,
        "devices": ibv.DEVICES,
        "ports": ibv.PORTS,
        "hardware_ports": networksetup.HARDWARE_PORTS,
        "interfaces": ifconfig.INTERFACES,
    }
    return {facts[name]: (text,) for name, text in said.items()}


def with_speed(speed):
    return recorded(PEER).replace('"80 Gb/s"', f'"{speed}"')


def without_service():
    return recorded(PEER).replace("64087", "1")


TB4 = recorded("thunderbolt/sp_thunderbolt.tb4.one_bus.excerpt.json")


@pytest.mark.parametrize(
    ("changes", "verdict", "have"),
    [
        ({}, "ok", "enabled, 1 of 1 cabled ports active"),
        ({"version": "ProductName: macOS\nProductVersion: 26.1\nBuildVersion: 25B78\n"}, "ok",
         "not looked at: macOS 26.1 (25B78) has no RDMA, see macos-version"),
        ({"thunderbolt": TB4}, "warn", "no Thunderbolt 5 port: RDMA is impossible here, services talk by TCP"),
        ({"thunderbolt": '{"SPThunderboltDataType": []}'}, "warn",
         "no Thunderbolt port at all: RDMA is impossible here, services talk by TCP"),
        ({"switch": "disabled\n"}, "fail", "RDMA is disabled on this Mac"),
        ({"switch": (127, "", "sh: rdma_ctl: not found")}, "unknown", "`rdma_ctl status` ended with 127: sh: rdma_ctl: not found"),
        ({"devices": HEADER_ONLY, "ports": (255, "", "No IB devices found")}, "fail",
         "RDMA is enabled, but there is no RDMA device"),
        ({"devices": HEADER_ONLY}, "unknown",
         "`ibv_devices` lists no device, and `ibv_devinfo` does: one of them was cut short"),
        ({"ports": (None, "")}, "unknown", "`ibv_devinfo -v` ended without an exit status"),
        ({"ports": ALL_DOWN}, "ok",
         "enabled, 0 of 1 cabled ports active: Thunderbolt 2: rdma_en6 is PORT_DOWN (see cable-rdma)"),
        ({"ports": ALL_DOWN, "thunderbolt": without_service()}, "ok",
         "enabled, 0 of 1 cabled ports active: Thunderbolt 2 waits for the Mac at its other end, where RDMA is off"),
        ({"ports": ALL_DOWN, "thunderbolt": with_speed("40 Gb/s")}, "ok",
         "enabled, 0 of 1 cabled ports active: Thunderbolt 2 runs at 40 Gb/s (see cabling)"),
        ({"ports": GID.replace("rdma_en6", "rdma_en1")}, "fail",
         "enabled, 0 of 1 cabled ports active: Thunderbolt 2 has no device rdma_en6"),
        ({"ports": NO_GID}, "fail",
         "enabled, 0 of 1 cabled ports active: Thunderbolt 2: en6 has an address, but rdma_en6 no IPv4-mapped GID 1"),
        ({"ports": NO_GID, "interfaces": "en6: flags=8863<UP> mtu 1500\n"}, "ok",
         "enabled, 0 of 1 cabled ports active: Thunderbolt 2 has no address yet (see cable-addresses)"),
        ({"ports": NO_GID, "interfaces": "bridge0: flags=8863<UP> mtu 1500\n\tmember: en6 flags=3<X>\n"}, "ok",
         "enabled, 0 of 1 cabled ports active: Thunderbolt 2 is still in a bridge (see thunderbolt-bridge)"),
        ({"hardware_ports": recorded("thunderbolt/networksetup_listallhardwareports.mbp_m5max.macos27.txt").replace("Thunderbolt 2", "?")},
         "fail", "enabled, 0 of 1 cabled ports active: networksetup lists no port named Thunderbolt 2"),
        ({"thunderbolt": recorded("thunderbolt/sp_thunderbolt.mbp_tb5.no_devices.macos26.6.1.trimmed.json"), "ports": ALL_DOWN}, "ok",
         "enabled, 0 of 0 cabled ports active"),
    ],
)  # fmt: skip
def test_the_first_broken_link_is_the_answer(changes, verdict, have):
    finding = judge(Rdma(), a_mac(), macbook(**changes))

    assert (finding.verdict, finding.have) == (verdict, have)


def test_where_every_cable_is_slow_the_catalog_tells_that_rdma_is_possible():
    slow = {"SPThunderboltDataType": [{"receptacle_1_tag": {"receptacle_id_key": "1", "current_speed_key": "40 Gb/s",
                                                            "receptacle_status_key": "receptacle_connected"}}]}  # fmt: skip

    finding = judge(Rdma(), a_mac(), macbook(thunderbolt=json.dumps(slow), switch="disabled"))

    assert finding.have == "RDMA is disabled on this Mac"


def test_jaccl_on_a_mac_that_cannot_is_a_failure():
    mac = a_mac(interconnect={"kind": "jaccl"})

    finding = judge(Rdma(), mac, macbook(thunderbolt=TB4))

    assert (finding.verdict, finding.have) == ("fail", "no Thunderbolt 5 port")


@pytest.mark.parametrize("interconnect", [{"kind": "tcp"}, {"kind": "ring"}, {"topology": "none"}])
def test_rdma_that_nobody_wants_is_not_asked_for(interconnect):
    mac = a_mac(interconnect=interconnect)

    assert Rdma().facts(mac) == ()
    assert judge(Rdma(), mac, {}).verdict == "ok"


def test_a_macos_that_the_inventory_allows_but_that_has_no_rdma_is_named_here():
    mac = a_mac(macos={"minimum": "15.0"})

    finding = judge(Rdma(), mac, macbook(version="ProductName: macOS\nProductVersion: 15.6\nBuildVersion: 24G84\n"))

    assert (finding.verdict, finding.have) == ("fail", "macOS 15.6 (24G84) has no RDMA")


def test_a_switch_that_is_off_says_that_somebody_must_go_there():
    assert "Recovery" in judge(Rdma(), a_mac(), macbook(switch="disabled")).hint
