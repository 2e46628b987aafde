"""Machines that are not what the inventory says: what they answer, and what macfleet understands of it. No lie, no traceback."""

import pytest

from macfleet.core.change import Unsupported
from macfleet.core.fact import Unknown
from macfleet.core.result import Result
from macfleet.lab import strange
from macfleet.lab.commands import PROGRAMS
from macfleet.lab.world import Call
from macfleet.macos import ibv, pmset, rdma_ctl, softwareupdate, sw_vers, sysctl, system_profiler, uname
from tests.lab.simulated import make_macs, run
from tests.macos.parsers import FACTS


@pytest.fixture
def mac(tmp_path):
    return make_macs(tmp_path / "lab", "studio-1")[0]


def ask(mac, fact):
    """What a fact understands of a Mac that may be another machine."""

    def answer(command):
        reply = strange.reply(mac, Call(command.argv, is_root=command.sudo)) or run(mac, *command.argv, is_root=command.sudo)
        stdout = reply.stdout if isinstance(reply.stdout, str) else reply.stdout.decode()
        return Result(command, reply.exit_status, stdout, reply.stderr)

    return fact.understand([answer(command) for command in fact.commands])


def test_a_linux_box_says_that_it_is_one(mac):
    mac.state.faults["linux"] = "a Linux box"

    assert ask(mac, uname.KERNEL) == "Linux"


# Of these a Linux box knows as much as a Mac: who is logged in, and what is on its disk.
SHARED = ("user", "kernel", "disk", "file ", "directories above", "last")
MACS_OWN = [fact for fact in FACTS if not fact.name.startswith(SHARED) and all(each.argv[0] in PROGRAMS for each in fact.commands)]


@pytest.mark.parametrize("fact", MACS_OWN, ids=lambda fact: fact.name)
def test_nothing_that_only_a_mac_knows_is_known_of_a_linux_box(mac, fact):
    mac.state.faults["linux"] = "a Linux box"

    value = ask(mac, fact)

    assert isinstance(value, Unknown) or value is None or "NotInstalled" in repr(value)


def test_an_intel_mac_is_told_from_one_with_apple_silicon(mac):
    mac.state.faults["intel"] = "an Intel Mac"

    identity = ask(mac, sysctl.IDENTITY)

    assert (identity.hardware, identity.is_apple_silicon) == ("MacPro7,1", False)
    assert isinstance(ask(mac, sysctl.WIRED_LIMIT), Unsupported)
    assert ask(mac, system_profiler.THUNDERBOLT).reason.endswith("2 ports; an Intel Mac?")
    assert isinstance(ask(mac, rdma_ctl.STATUS), Unknown)


def test_macos_15_has_no_rdma_and_no_setting_for_the_power_that_comes_back(mac):
    mac.state.faults["macos-15"] = "macOS 15"
    mac.state.macos_version, mac.state.macos_build = "15.6.1", "24G90"

    assert not ask(mac, sw_vers.VERSION).is_at_least("26.2")
    assert "autorestartatconnect" not in ask(mac, pmset.CAPABILITIES)
    assert isinstance(ask(mac, ibv.DEVICES), Unknown)


def test_a_virtual_mac_has_no_ports_no_gpu_limit_and_little_to_say_of_power(tmp_path):
    (mac,) = make_macs(tmp_path / "lab", "mac-1", kind="virtual-mac", memory_gib=16)

    assert ask(mac, system_profiler.THUNDERBOLT) == ()
    assert isinstance(ask(mac, sysctl.WIRED_LIMIT), Unsupported)
    assert not ask(mac, pmset.CAPABILITIES) & {"autorestart", "autorestartatconnect", "womp", "lowpowermode"}
    assert pmset.unsupported(ask(mac, pmset.CUSTOM), {"autorestart": "1", "sleep": "0"}) == ("autorestart",)


def test_updates_that_fail_are_unknown_and_say_why(mac):
    mac.state.faults["update-fails"] = "no connection to Apple"

    assert "t connect to the Apple Software Update server" in ask(mac, softwareupdate.UPDATES).reason
