"""Every misfortune of the lab is named by `verify`: by its cause, once, and no other check lies because of it.

One fleet of three finished Macs. Each story breaks one thing, reads the fleet once and mends it. What `verify` says then is
compared with what it said of the finished fleet: nothing but what is named below may have changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from macfleet.lab.faults import FAULTS, break_mac, heal
from tests.rehearsal.stage import rehearsal

pytestmark = pytest.mark.rehearsal

MAC, OTHERS = "studio-2", ("studio-1", "studio-3")
FLEET = "the fleet"


@dataclass(frozen=True)
class Named:
    """Where and by which check a fault is named, in which words, and what else may be heard of it: (where, check) → verdict."""

    where: str
    check: str
    words: str
    verdict: str = "fail"
    also: tuple[tuple[str, str, str], ...] = ()
    exit_code: int = 1

    @property
    def expected_exit(self) -> int:
        return 0 if self.verdict == "warn" else self.exit_code


# Of a Mac that does not answer, or is none, what only it could say is unknown to the fleet as well: unknown, and not fine.
UNSEEN = tuple((FLEET, check, "unknown") for check in ("same-build", "same-runtime", "cabling", "cable-rdma", "cable-addresses", "clocks"))

EXPECTED = {
    "mac-down": Named(MAC, "reachable", "refuses SSH connections", also=UNSEEN, exit_code=3),
    "asleep": Named(MAC, "reachable", "takes the connection but says nothing", also=UNSEEN, exit_code=3),
    "filevault-locked": Named(MAC, "reachable", "FileVault waits for a password", also=UNSEEN, exit_code=3),
    "filevault-on": Named(MAC, "filevault", "on"),
    "sleeps": Named(MAC, "power", "sleep 1"),
    "stays-off": Named(MAC, "power", "autorestart 0"),
    "low-power": Named(MAC, "power", "lowpowermode 1"),
    "old-build": Named(FLEET, "same-build", "25E253 on studio-2"),
    "macos-15": Named(MAC, "macos-version", "macOS 15.6.1 (24G90)", also=UNSEEN),
    "macos-27": Named(FLEET, "same-build", "26A428 on studio-2"),
    "linux": Named(MAC, "hardware", "a Linux machine", also=UNSEEN),
    "intel": Named(MAC, "hardware", "Intel(R) Xeon(R)", also=((MAC, "rdma", "unknown"), (MAC, "wired-limit", "warn"), *UNSEEN)),
    "rdma-off": Named(MAC, "rdma", "RDMA is disabled on this Mac"),
    "rdma-wedged": Named(MAC, "rdma", "`ibv_devinfo -v` was stopped", "unknown", also=((FLEET, "cable-rdma", "unknown"),)),
    "sudo-password": Named(MAC, "sudo", "sudo asks for a password"),
    "sudo-some": Named(MAC, "sudo", "its rule names only some programs"),
    "no-homebrew": Named(MAC, "homebrew", "not installed"),
    "clock-wrong": Named(FLEET, "clocks", "behind most Macs"),
    "not-owner": Named(MAC, "volume-owner", "admin is none", "warn"),
    "slow-link": Named(MAC, "ethernet", "100 Mb/s", "warn"),
    "tb4-cable": Named(FLEET, "cabling", "runs at 40 Gb/s"),
    "dock": Named(FLEET, "cabling", "runs at 40 Gb/s, through a hub or dock"),
    "cable-out": Named(FLEET, "cabling", "no cable between studio-1 and studio-2"),
    "rdma-port-down": Named(FLEET, "cable-rdma", "is PORT_DOWN"),
    "internet-sharing": Named(MAC, "thunderbolt-bridge", "en2 in bridge100 now"),
    "cable-moved": Named(FLEET, "cabling", "of the inventory is now"),
    "two-cables": Named(FLEET, "cabling", "2 cables between studio-2 and studio-3", "warn"),
    "wired-leak": Named(MAC, "wired-memory", "wired, and no worker of macfleet runs"),
    "disk-full": Named(MAC, "disk-space", "100 MiB of"),
    "swap": Named(MAC, "memory", "pressure critical, 48 GiB of swap"),
    "hot": Named(MAC, "thermal", "heavy", "warn"),
    "panic": Named(MAC, "restarts", "1 panic", "warn"),
    "unclean-boot": Named(MAC, "restarts", "1 start without a shutdown", "warn"),
    "ssd-worn": Named(MAC, "ssd", "83 % used"),
    "firewall-on": Named(MAC, "firewall", "blocks every incoming connection"),
    "time-machine": Named(MAC, "time-machine", "Tower gets /opt/macfleet/models", "warn"),
    "spotlight": Named(MAC, "spotlight", "on", "warn"),
    "on-ups": Named(MAC, "ups", "runs on Back-UPS ES 700", "warn"),
    "crash-loop": Named(MAC, "jobs", "agent crashes again and again"),
}
# Misfortunes of something that a fleet without a service does not do: other stories tell of them.
ELSEWHERE = {
    "worker-killed": "bin/demo, and tests/rehearsal/test_deploy.py: launchd has it back before anybody looks",
    "worker-frozen": "tests/rehearsal/test_deploy.py: its watchdog ends it in seconds; where none runs `heartbeats` names it",
    "update-fails": "tests/lab/test_strange.py: `verify` does not ask Apple, which may take minutes",
    "plist-refused": "tests/rehearsal/test_refusals.py: launchd shows it only to who brings a job",
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    with rehearsal(tmp_path_factory.mktemp("fleet"), "--macs", "3") as made:
        text = made.inventory.read_text().replace("known_hosts: known_hosts", "known_hosts: known_hosts, connect_timeout: 2 s")
        made.inventory.write_text(text.replace("automatic_updates: false", 'automatic_updates: false\n    filevault: "off"'))
        made.must("provision", "--yes")
        yield made


@pytest.fixture(scope="module")
def finished(stage):
    """What is said of the finished fleet: nothing bad."""
    ended = stage.must("verify", "--json")
    return verdicts(ended)


def verdicts(ended):
    """(where, check) → verdict and words; of several findings of one check the worst."""
    found = [(mac["mac"], finding) for mac in ended.json["macs"] for finding in mac["findings"]]
    found += [(FLEET, finding) for finding in ended.json["fleet"]]
    order = ("ok", "warn", "unknown", "fail")
    said = {}
    for where, finding in found:
        key, new = (where, finding["check"]), (finding["verdict"], finding["have"])
        said[key] = max(said.get(key, new), new, key=lambda each: order.index(each[0]))
    return said


def test_every_fault_is_told_of():
    assert {fault.name for fault in FAULTS} == EXPECTED.keys() | ELSEWHERE.keys()


@pytest.mark.parametrize("name", [fault.name for fault in FAULTS if fault.name in EXPECTED])
def test_a_fault_is_named_by_its_cause_and_makes_no_other_check_lie(stage, finished, name):
    wanted = EXPECTED[name]
    key = wanted.where, wanted.check

    said, ended = verdicts_with(stage, name)

    assert said[key][0] == wanted.verdict, str(ended)
    assert wanted.words in said[key][1]
    others = {
        (*each, verdict): words for each, (verdict, words) in said.items() if each != key and verdict != finished.get(each, ("ok",))[0]
    }
    assert {each: words for each, words in others.items() if each not in wanted.also} == {}
    assert ended.exit_code == wanted.expected_exit


def verdicts_with(stage, name):
    """What is said while the fault is there. It is mended in any case, and a Mac that came back without a shutdown is looked at."""
    try:
        break_mac(stage.folder, name, MAC)
        ended = stage.type("verify", "--json")
    finally:
        heal(stage.folder, [name])
    if name in ("mac-down", "filevault-locked"):
        stage.type("verify", "--json")
    return verdicts(ended), ended


def test_a_fleet_that_was_mended_is_as_it_was(stage, finished):
    stage.must("lab", "heal")

    assert {key: said[0] for key, said in verdicts(stage.must("verify", "--json")).items()} == {
        key: said[0] for key, said in finished.items()
    }
