"""One simulated Mac from its start to its end, over SSH. The stories of the other commands rest on this one."""

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from macfleet.lab.down import down
from macfleet.lab.faults import FaultOptions, break_mac, heal
from macfleet.lab.processes import find_marked
from macfleet.lab.state import load_state
from macfleet.lab.status import faults_of, status
from macfleet.lab.up import up

pytestmark = [pytest.mark.rehearsal, pytest.mark.openssh]


class Shell:
    """The system's own ssh client, at one Mac."""

    def __init__(self, lab, name="studio-1"):
        self.lab = lab
        self.mac = lab.mac(name)

    def command(self, *options):
        keys = ["-i", str(self.lab.key), "-o", f'UserKnownHostsFile="{self.lab.known_hosts}"', "-o", "IdentitiesOnly=yes"]
        usual = ["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=2"]
        return ["ssh", *usual, *keys, *options, "-p", str(load_state(self.mac.state).ssh_port), "admin@127.0.0.1"]

    def run(self, line, **keys):
        return subprocess.run([*self.command(), line], capture_output=True, text=True, timeout=60, **keys)

    def says(self, line, **keys):
        return self.run(line, **keys).stdout.strip()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    made = up(tmp_path_factory.mktemp("lab") / "of one", macs=1)
    yield made.lab
    down(made.lab.path)


@pytest.fixture
def shell(lab):
    heal(lab.path)
    return Shell(lab)


def until(condition, deadline_s=20.0):
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


def test_a_shell_is_a_shell_with_the_macs_programs_and_home(shell):
    assert shell.says("id -un; uname -s; pwd; sw_vers --productVersion").splitlines() == [
        "admin",
        "Darwin",
        str(shell.mac.root / "Users/admin"),
        "26.5",
    ]


def test_exit_status_streams_and_input_come_through(shell):
    ended = shell.run("cat; echo trouble >&2; exit 7", input="given")

    assert (ended.returncode, ended.stdout, ended.stderr) == (7, "given", "trouble\n")


def test_a_person_gets_a_terminal(shell):
    ended = subprocess.run([*shell.command("-tt"), "tty; exit 5"], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    assert (ended.returncode, ended.stdout.startswith("/dev/")) == (5, True)


def test_a_big_file_arrives_whole(shell, tmp_path):
    content = os.urandom(1 << 20) * 16

    subprocess.run([*shell.command(), "cat > big"], input=content, timeout=60, check=True)

    assert (shell.mac.root / "Users/admin/big").read_bytes() == content


def test_only_the_labs_own_key_gets_in(shell, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "stranger"], check=True)
    command = [word.replace(str(shell.lab.key), str(tmp_path / "stranger")) for word in shell.command()]

    ended = subprocess.run([*command, "true"], capture_output=True, text=True, timeout=60)

    assert (ended.returncode, "Permission denied (publickey" in ended.stderr) == (255, True)


def test_a_port_behind_the_mac_is_reached_through_it(shell):
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = subprocess.Popen(
            shell.command("-W", f"127.0.0.1:{server.getsockname()[1]}"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        server.settimeout(20)
        connection, _ = server.accept()
        connection.sendall(b"hello")
        assert client.stdout.read(5) == b"hello"
        connection.close()
        client.communicate(timeout=20)


def test_a_restart_is_another_boot_without_what_ran_before(shell):
    before = shell.says("sysctl kern.bootsessionuuid; (sleep 4242 >/dev/null 2>&1 &); sudo -n sysctl iogpu.wired_limit_mb=7")
    assert "0 -> 7" in before

    shell.run("sudo -n sh -c \"nohup sh -c 'shutdown -r now' >/dev/null 2>&1 &\"")
    until(lambda: (now := shell.says("sysctl kern.bootsessionuuid")) and now not in before)

    assert shell.says("sysctl iogpu.wired_limit_mb") == "iogpu.wired_limit_mb: 0"
    assert "sleep 4242" not in [process["command"] for process in status(shell.lab.path)["macs"][0]["processes"]]


def test_a_restart_cuts_open_connections(shell):
    waiting = subprocess.Popen([*shell.command(), "echo there; sleep 600"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert waiting.stdout.readline() == b"there\n"

    shell.run("sudo -n reboot")

    assert waiting.wait(timeout=20) == 255
    waiting.stdout.close()
    until(lambda: shell.says("echo back") == "back")


def test_launchd_starts_a_job_again_after_a_restart(shell):
    plist = shell.mac.root / "Library/LaunchDaemons/dev.macfleet.story.plist"
    make = f"""cat > '{plist}' <<'END'
<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict>
<key>Label</key><string>dev.macfleet.story</string>
<key>ProgramArguments</key><array>
<string>/bin/sh</string><string>-c</string><string>sysctl iogpu.wired_limit_mb=99; exec sleep 600</string>
</array>
<key>RunAtLoad</key><true/>
</dict></plist>
END
chmod 644 '{plist}'; launchctl print system/dev.macfleet.story; echo $?
sudo -n launchctl bootstrap system '{plist}'; echo $?
sudo -n chown root:wheel '{plist}'; sudo -n launchctl bootstrap system '{plist}'; echo $?"""

    assert shell.says(make).splitlines() == ["113", "5", "0"]
    until(lambda: "= 99" in shell.says("sysctl iogpu.wired_limit_mb").replace(": ", " = "))
    before = shell.says("sysctl kern.bootsessionuuid")
    shell.run("sudo -n reboot")
    until(lambda: (now := shell.says("sysctl kern.bootsessionuuid")) and now != before)

    assert "state = running" in shell.says("launchctl print system/dev.macfleet.story")
    until(lambda: shell.says("sysctl iogpu.wired_limit_mb").endswith(" 99"))
    assert shell.says(f"sudo -n launchctl bootout system/dev.macfleet.story; echo $?; rm -f '{plist}'") == "0"


def test_a_locked_mac_shows_its_banner_takes_no_key_and_boots_when_healed(shell):
    break_mac(shell.lab.path, "filevault-locked", "studio-1")

    ended = shell.run("true")
    assert ended.returncode == 255
    assert "This system is locked." in ended.stderr

    heal(shell.lab.path)
    assert shell.says("fdesetup status") == "FileVault is Off."


def test_a_mac_that_stopped_at_its_locked_disk_by_itself_is_seen_and_healed(shell):
    break_mac(shell.lab.path, "filevault-on", "studio-1")
    shell.run("sudo -n reboot")
    until(lambda: "filevault-locked" in faults_of(shell.mac))

    assert heal(shell.lab.path, ["filevault-locked"]) == (
        "studio-1: filevault-locked, has restarted and waits for the password of its disk",
    )

    assert shell.says("fdesetup status") == "FileVault is On."
    heal(shell.lab.path)
    assert shell.says("fdesetup status") == "FileVault is Off."


def test_a_sleeping_mac_accepts_and_never_answers_until_it_wakes(shell):
    break_mac(shell.lab.path, "asleep", "studio-1")
    with socket.create_connection(("127.0.0.1", load_state(shell.mac.state).ssh_port)) as line:
        line.settimeout(0.5)
        with pytest.raises(TimeoutError):
            line.recv(1)

    heal(shell.lab.path)

    assert shell.says("echo awake") == "awake"


def test_a_mac_that_is_down_refuses_and_comes_back_with_its_disk(shell):
    shell.run("echo kept > file")
    break_mac(shell.lab.path, "mac-down", "studio-1")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", load_state(shell.mac.state).ssh_port))

    heal(shell.lab.path)

    assert shell.says("cat file") == "kept"


def test_a_mac_may_be_told_not_to_return_from_its_next_restart(shell):
    break_mac(shell.lab.path, "mac-down", "studio-1", FaultOptions(on_reboot=True))
    assert shell.says("echo still here") == "still here"

    shell.run("sudo -n reboot")
    until(lambda: load_state(shell.mac.state).power == "off")

    assert [mac["power"] for mac in status(shell.lab.path)["macs"]] == ["off"]


def test_a_full_disk_takes_no_big_file(shell):
    break_mac(shell.lab.path, "disk-full", "studio-1")

    assert shell.run("head -c 2000000 /dev/zero > big").returncode != 0
    assert shell.run("echo small > small").returncode == 0


def test_a_wedged_rdma_driver_hangs_its_program_until_it_is_healed(shell):
    break_mac(shell.lab.path, "rdma-wedged", "studio-1")
    asking = subprocess.Popen([*shell.command(), "ibv_devinfo"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with pytest.raises(subprocess.TimeoutExpired):
        asking.wait(timeout=1)

    heal(shell.lab.path)

    assert b"rdma_en2" in asking.communicate(timeout=20)[0]


def test_up_again_finds_it_up_and_down_again_finds_nothing(tmp_path):
    first, second = up(tmp_path / "lab", macs=1), up(tmp_path / "lab", macs=1)
    port = load_state(first.lab.mac("studio-1").state).ssh_port

    assert (first.was_made, first.was_up, second.was_made, second.was_up) == (True, False, False, True)
    assert (down(tmp_path / "lab"), down(tmp_path / "lab")) == (("studio-1",), ())

    third = up(tmp_path / "lab", macs=1)
    assert (third.was_made, third.was_up) == (False, False)
    assert load_state(third.lab.mac("studio-1").state).ssh_port == port, "its inventory still holds"
    down(tmp_path / "lab", delete=True)
    assert not (tmp_path / "lab").exists()


def test_a_deleted_rehearsal_ends_by_itself(tmp_path):
    made = up(tmp_path / "lab", macs=1)
    mac = made.lab.mac("studio-1")
    state = load_state(mac.state)
    Shell(made.lab).run("nohup sleep 4243 >/dev/null 2>&1 &")

    shutil.rmtree(made.lab.path)

    until(lambda: not Path(state.socket).parent.exists() and not find_marked(str(mac.path)))


def test_orphans_of_a_mac_whose_process_was_killed_are_ended_too(tmp_path):
    made = up(tmp_path / "lab", macs=1)
    mac = made.lab.mac("studio-1")
    Shell(made.lab).run("nohup sleep 4244 >/dev/null 2>&1 &")
    os.kill(load_state(mac.state).simulator_pid, 9)
    assert find_marked(str(mac.path))

    down(tmp_path / "lab")

    until(lambda: not find_marked(str(mac.path)))


def test_as_shipped_only_the_password_gets_in_and_a_hand_at_the_mac_does_the_rest(tmp_path):
    made = up(tmp_path / "lab", macs=2, as_shipped=True)
    look = "sudo -n true; echo $?; rdma_ctl status; fdesetup status; ls $HOME/../../opt/homebrew/bin; ls -a"
    assert Shell(made.lab).run("true").returncode == 255
    assert with_password(Shell(made.lab), tmp_path, look).splitlines() == ["1", "disabled", "FileVault is On.", ".", ".."]

    heal(tmp_path / "lab")

    assert with_password(Shell(made.lab), tmp_path, look).splitlines() == ["1", "enabled", "FileVault is Off.", "brew", ".", ".."]
    assert status(tmp_path / "lab")["macs"][0]["ports"][0]["peer"] == "studio-2 Thunderbolt 1"
    down(tmp_path / "lab")


def test_a_rehearsal_keeps_nothing_open_of_who_started_it(tmp_path):
    ours, theirs = os.pipe()
    os.set_inheritable(theirs, True)

    up(tmp_path / "lab", macs=1)
    os.close(theirs)

    assert os.read(ours, 1) == b"", "the other end is closed everywhere"
    os.close(ours)
    down(tmp_path / "lab")


def with_password(shell, tmp_path, line):
    """What a login says that has no key; nobody has pinned the Mac's host key either."""
    askpass = tmp_path / "askpass"
    askpass.write_text("#!/bin/sh\necho rehearsal\n")
    askpass.chmod(0o755)
    command = [word.replace("StrictHostKeyChecking=yes", "StrictHostKeyChecking=no") for word in shell.command("-o", "LogLevel=ERROR")]
    command[command.index("BatchMode=yes")] = "NumberOfPasswordPrompts=1"
    environment = {**os.environ, "SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"}
    return subprocess.run([*command, line], capture_output=True, text=True, timeout=60, env=environment).stdout


def test_its_status_is_json(shell):
    report = json.loads(json.dumps(status(shell.lab.path)))

    assert (report["schema"], report["summary"]["macs"], report["macs"][0]["mac"]) == (1, 1, "studio-1")
