"""What is promised of all checks, and that a fault on a shelf of Macs is named once, by its cause."""

import pytest

from macfleet.checks import FLEET_CHECKS
from macfleet.core.fact import Facts, Unknown
from macfleet.core.finding import Verdict
from macfleet.macos import ibv, pmset, rdma_ctl, sw_vers, system_profiler
from tests.checks.macs import CHECKS, MESH, Shelf, a_mac, an_inventory

ALL = (*CHECKS, *FLEET_CHECKS)


def test_the_checks_are_these():
    assert [check.name for check in ALL] == [
        "sudo", "remote-login", "volume-owner", "macos-version", "hardware", "rdma", "thunderbolt-bridge", "power", "ups", "restarts",
        "wired-limit", "wired-limit-at-boot", "wired-memory", "memory", "thermal", "ssd", "filevault", "automatic-updates", "homebrew",
        "tailscale", "firewall", "local-network", "ethernet", "spotlight", "time-machine", "disk-space", "runtime", "jobs", "heartbeats",
        "same-build", "same-runtime", "cabling", "cable-addresses", "cable-rdma",
        "cable-routes", "same-weights", "clocks",
    ]  # fmt: skip


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.name)
def test_every_check_says_why_in_a_sentence_without_full_stop(check):
    assert len(check.why.split()) > 7
    assert not check.why.endswith(".")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_what_nobody_could_read_is_unknown_and_not_fine(check):
    mac = a_mac(tailscale={"enabled": True})
    facts = Facts({fact: Unknown("the connection dropped") for fact in check.facts(mac)})

    (finding,) = check.judge(mac, facts)

    assert (finding.verdict, finding.have, finding.why) == (Verdict.UNKNOWN, "the connection dropped", check.why)


@pytest.mark.parametrize("check", FLEET_CHECKS, ids=lambda check: check.name)
def test_a_fleet_of_which_nobody_answered_is_unknown(check):
    (finding,) = check.judge(an_inventory(a_mac(1), a_mac(2)), {})

    assert finding.verdict is Verdict.UNKNOWN


def test_a_provisioned_shelf_is_as_wanted():
    assert Shelf().trouble() == []


def test_every_finding_of_a_broken_shelf_says_what_to_do():
    broken = Shelf(cables=MESH[1:], slow_cables=MESH[1:2], rdma_off=(3,), bridged=(2,), without_addresses=(4,), said={
        (1, pmset.CUSTOM): ("AC Power:\n sleep 1\n",),
        (4, sw_vers.VERSION): ("ProductName: macOS\nProductVersion: 26.1\nBuildVersion: 25B78\n",),
    })  # fmt: skip

    findings = [finding for _, finding in broken.findings() if finding.verdict is Verdict.FAIL]

    assert len(findings) > 5
    assert all(finding.have and finding.want and finding.why and finding.hint for finding in findings)


OLD = ("ProductName: macOS\nProductVersion: 26.1\nBuildVersion: 25B78\n",)
OTHER = ("ProductName: macOS\nProductVersion: 26.6.1\nBuildVersion: 25G75\n",)


@pytest.mark.parametrize(
    ("shelf", "trouble"),
    [
        (Shelf(cables=MESH[:-1]), ["fleet cabling fail"]),
        (Shelf(slow_cables=MESH[2:3]), ["fleet cabling fail"]),
        (Shelf(rdma_off=(2,)), ["studio-2 rdma fail"]),
        (Shelf(bridged=(3,)), ["studio-3 thunderbolt-bridge fail"]),
        (Shelf(without_addresses=(3,)), ["fleet cable-addresses fail"]),
        (Shelf(said={(4, sw_vers.VERSION): OLD}), ["studio-4 macos-version fail"]),
        (Shelf(said={(4, sw_vers.VERSION): OTHER}), ["fleet same-build fail"]),
        (Shelf(said={(1, ibv.PORTS): ((None, ""),)}), ["studio-1 rdma unknown", "fleet cable-rdma unknown"]),
        (Shelf(driver_wedged=(1,)), ["fleet cable-rdma fail"]),
        (Shelf(cables=MESH[:-1], slow_cables=MESH[:1], rdma_off=(4,)), ["studio-4 rdma fail", "fleet cabling fail", "fleet cabling fail"]),
    ],
    ids=["cable out", "slow cable", "RDMA off", "bridge", "no addresses", "old macOS", "other build", "driver hangs", "wedged", "three"],
)
def test_a_fault_is_named_once_by_its_cause(shelf, trouble):
    assert shelf.trouble() == trouble


def test_a_mac_that_is_down_leaves_what_it_had_to_say_unknown():
    # Its own finding, `reachable`, comes from the connection and not from a check.
    assert Shelf(silent=(3,)).trouble() == ["fleet same-build unknown", "fleet same-runtime unknown", "fleet cabling unknown"]


def test_a_mac_out_of_the_box_next_to_finished_ones_is_one_macs_trouble():
    box = Shelf(bridged=(2,), said={(2, rdma_ctl.STATUS): ("disabled",), (2, pmset.CUSTOM): ("AC Power:\n sleep 1\n womp 1\n",)})

    assert box.trouble() == ["studio-2 rdma fail", "studio-2 thunderbolt-bridge fail", "studio-2 power fail"]


def test_two_macs_without_thunderbolt_and_without_wanted_cabling_are_fine():
    nothing = Shelf(count=2, cables=(), settings={"interconnect": {"topology": "none"}}, said={(1, system_profiler.THUNDERBOLT): ("{}",)})

    assert nothing.trouble() == []
