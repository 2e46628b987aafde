"""What the emulated programs refuse, remember and forget, beyond what macos/ reads."""

import hashlib
import os
import subprocess

import pytest

from macfleet.lab.commands import PROGRAMS
from macfleet.lab.machine import start_kernel
from macfleet.lab.programs import install_programs
from tests.lab.simulated import make_macs, run


@pytest.fixture
def mac(tmp_path):
    return make_macs(tmp_path / "lab", "studio-1", "studio-2")[0]


@pytest.mark.parametrize(
    "argv",
    [
        ("sysctl", "iogpu.wired_limit_mb=1"),
        ("pmset", "-a", "sleep", "0"),
        ("ifconfig", "bridge0", "down"),
        ("ifconfig", "bridge0", "deletem", "en2"),
        ("networksetup", "-setdhcp", "Ethernet"),
        ("defaults", "write", "/Library/Preferences/com.apple.SoftwareUpdate", "AutomaticDownload", "-bool", "false"),
        ("plutil", "-remove", "VirtualNetworkInterfaces.Bridge.bridge0", "/Library/Preferences/SystemConfiguration/preferences.plist"),
        ("launchctl", "bootout", "system/x"),
        ("softwareupdate", "--schedule", "off"),
        ("shutdown", "-r", "now"),
    ],
)
def test_what_changes_a_mac_needs_root(mac, argv):
    before = mac.state.model_dump(), mac.kernel

    assert run(mac, *argv).exit_status != 0

    assert (mac.state.model_dump(), mac.kernel) == before


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_no_program_stumbles_over_words_it_does_not_know(mac, program):
    reply = run(mac, program, "--no-such-word", "x", "", is_root=True)

    assert isinstance(reply.exit_status, int)


def test_a_boot_forgets_what_macos_forgets_and_keeps_what_it_keeps(mac):
    run(mac, "sysctl", "iogpu.wired_limit_mb=458752", is_root=True)
    run(mac, "ifconfig", "bridge0", "down", is_root=True)
    run(mac, "ifconfig", "bridge0", "deletem", "en2", is_root=True)
    run(mac, "pmset", "-a", "sleep", "0", is_root=True)
    session = mac.kernel.boot_session

    start_kernel(mac)

    assert mac.kernel.boot_session != session
    assert mac.kernel.sysctls["iogpu.wired_limit_mb"] == 0
    assert mac.kernel.bridge_is_up
    assert "en2" in mac.kernel.bridge_members, "configd puts it back"
    assert mac.state.pmset["sleep"] == 0


def test_a_bridge_taken_out_of_the_preferences_stays_out(mac):
    bridges = "VirtualNetworkInterfaces.Bridge.bridge0"
    run(mac, "plutil", "-remove", bridges, "/Library/Preferences/SystemConfiguration/preferences.plist", is_root=True)

    start_kernel(mac)

    assert not mac.kernel.has_bridge


def test_rdma_switched_on_counts_from_the_next_boot(mac):
    mac.state.rdma_enabled = mac.state.has_rdma = False

    mac.state.rdma_enabled = True
    assert run(mac, "ibv_devices").stdout.count("rdma_") == 0

    start_kernel(mac)
    assert run(mac, "ibv_devices").stdout.count("rdma_") == 6


def test_a_port_that_the_stored_bridge_claims_gets_no_service(mac):
    assert run(mac, "networksetup", "-createnetworkservice", "Cable", "Thunderbolt 1", is_root=True).exit_status == 14


def test_an_unknown_sysctl_does_not_hide_the_others(mac):
    reply = run(mac, "sysctl", "hw.model", "no.such.oid")

    assert (reply.stdout, reply.stderr, reply.exit_status) == ("hw.model: Mac15,14\n", "sysctl: unknown oid 'no.such.oid'\n", 1)


def test_rdma_cannot_be_switched_from_running_macos(mac):
    reply = run(mac, "rdma_ctl", "enable", is_root=True)

    assert (reply.stderr, reply.exit_status) == ("rdma_ctl: This tool needs to be executed from Recovery OS.\n", 77)


def test_homebrew_refuses_root_and_formulas_it_has_not(mac):
    assert "as root is extremely dangerous" in run(mac, "brew", "install", "uv", is_root=True).stderr
    assert 'No available formula with the name "mlx"' in run(mac, "brew", "install", "mlx").stderr


def test_homebrews_uv_is_the_real_one(mac):
    assert run(mac, "brew", "install", "uv").exit_status == 0

    version = subprocess.run([mac.root / "opt/homebrew/bin/uv", "--version"], capture_output=True, text=True)
    assert version.stdout.startswith("uv ")


def test_an_owner_is_remembered_through_a_rename_and_dies_with_its_file(mac):
    plist = mac.root / "Library/LaunchDaemons/x.plist"
    (mac.root / "new").write_text("x")
    (mac.root / "new").chmod(0o644)
    run(mac, "chown", "root:wheel", str(mac.root / "new"), is_root=True)

    os.replace(mac.root / "new", plist)
    assert stat(mac, plist) == "644 root wheel 1\n"

    plist.unlink()
    plist.with_name("y.plist").write_text("another")
    assert "admin staff 7" in stat(mac, plist.with_name("y.plist"))


def test_only_root_gives_files_away(mac):
    (mac.root / "file").touch()

    assert run(mac, "chown", "root:wheel", str(mac.root / "file")).stderr.endswith("Operation not permitted\n")
    assert run(mac, "chown", "nobody-here", str(mac.root / "file"), is_root=True).stderr == "chown: nobody-here: illegal user name\n"


def test_stat_of_nothing_says_so_as_bsd_does(mac):
    reply = run(mac, "stat", "-f", "%z", "/nowhere")

    assert (reply.stderr, reply.exit_status) == ("stat: /nowhere: stat: No such file or directory\n", 1)


def test_a_full_disk_shows_in_df(mac):
    mac.state.faults["disk-full"] = "full"

    row = run(mac, "df", "-k", "/").stdout.splitlines()[1].split()

    assert int(row[3]) <= 102400


@pytest.fixture
def programs(mac):
    """The Mac's own directory of programs, and a shell that has it on its PATH."""
    install_programs(mac.dir, "/nonexistent/socket", "admin")

    def shell(line):
        ended = subprocess.run(
            ["/bin/sh", "-c", line], capture_output=True, text=True, env={"PATH": f"{mac.dir.bin}:/usr/bin:/bin"}, cwd=mac.root
        )
        return ended.returncode, ended.stdout, ended.stderr

    return shell


def test_shasum_reads_files_itself(programs, mac):
    (mac.root / "file").write_bytes(b"weights")

    assert programs("shasum -a 256 file") == (0, f"{hashlib.sha256(b'weights').hexdigest()}  file\n", "")
    assert programs("shasum -a 256 .") == (1, "", "shasum: .: Is a directory\n")
    assert programs("shasum -a 256 none") == (1, "", "shasum: none: No such file or directory\n")


def test_sudo_marks_what_it_starts_as_root_and_only_that(programs):
    assert programs("sudo -n printenv MACFLEET_LAB_ROOT; printenv MACFLEET_LAB_ROOT; sudo -n -u admin printenv MACFLEET_LAB_ROOT") == (
        1,
        "1\n",
        "",
    )
    assert programs("sudo -n nothing-like-that") == (1, "", "sudo: nothing-like-that: command not found\n")
    assert programs("sudo -n sh -c 'exit 7'")[0] == 7


def test_a_program_of_a_mac_that_is_gone_says_so(programs):
    assert programs("sw_vers") == (70, "", "sw_vers: this rehearsal Mac is gone\n")


def stat(mac, path):
    return run(mac, "stat", "-f", "%Lp %Su %Sg %z", str(path)).stdout
