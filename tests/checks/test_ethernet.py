"""Ethernet that came up slower than it should. The medium's words are reconstructed: those of `ifconfig -m` and of its source."""

import pytest

from macfleet.checks.ethernet import Ethernet
from macfleet.macos import ifconfig, networksetup
from tests.checks.macs import a_mac, judge

PORTS = "\nHardware Port: Ethernet\nDevice: en0\nEthernet Address: 02:00:00:00:00:01\n\nVLAN Configurations\n===================\n"


def said(medium, status="active"):
    return f"en0: flags=8863<UP,BROADCAST> mtu 1500\n\tmedia: {medium}\n\tstatus: {status}\n"


@pytest.mark.parametrize(
    ("text", "verdict", "have"),
    [
        (said("autoselect (10Gbase-T <full-duplex>)"), "ok", "Ethernet (en0) at 10 Gb/s"),
        (said("autoselect (2500Base-T <full-duplex,flow-control>)"), "ok", "Ethernet (en0) at 2.5 Gb/s"),
        (said("autoselect (1000baseT <full-duplex,energy-efficient-ethernet>)"), "ok", "Ethernet (en0) at 1 Gb/s"),
        (said("autoselect (100baseTX <full-duplex,flow-control>)"), "warn", "Ethernet (en0) at 100 Mb/s"),
        (said("autoselect (none)", "inactive"), "ok", "no cable is plugged in"),
        (said("autoselect (100baseTX)", "inactive"), "ok", "no cable is plugged in"),
        (said("autoselect"), "ok", "no cable is plugged in"),
    ],
)
def test_the_speed_that_ethernet_came_up_at(text, verdict, have):
    finding = judge(Ethernet(), a_mac(), {networksetup.HARDWARE_PORTS: (PORTS,), ifconfig.INTERFACES: (text,)})

    assert (finding.verdict, finding.have) == (verdict, have)
