"""Macs that are not as they should be, met by an operator. One fleet of two; every story mends what it broke.

Each story ends with a command that works: whatever went wrong, the next one finds a state it can go on from.
"""

import subprocess

import pytest

from tests.rehearsal.stage import rehearsal
from tests.rehearsal.under_way import under_way

pytestmark = pytest.mark.rehearsal

ONE, TWO = "studio-1", "studio-2"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with rehearsal(tmp_path_factory.mktemp("fleet"), "--macs", "2") as made:
        text = made.inventory.read_text()
        made.inventory.write_text(text.replace("known_hosts: known_hosts", "known_hosts: known_hosts, connect_timeout: 5 s"))
        yield made


@pytest.fixture
def stage(fleet):
    yield fleet
    fleet.must("lab", "heal")


def outcomes(ended):
    return {mac["mac"]: mac["outcome"] for mac in ended.json["macs"]}


def finding(ended, mac, check):
    findings = next(entry["findings"] for entry in ended.json["macs"] if entry["mac"] == mac)
    return next(entry for entry in findings if entry["check"] == check)


def works_again(stage):
    stage.must("lab", "heal")
    return stage.must("exec", "--", "true").stdout.startswith("studio-1, studio-2\n")


def test_a_mac_that_accepts_and_never_answers_is_said_and_its_neighbour_is_answered(stage):
    stage.must("lab", "fault", "asleep", TWO)

    verified = stage.must("verify", "--json", exit_code=3)
    changed = stage.must("provision", "--yes", "--only", "power", exit_code=3)

    assert outcomes(verified) == {ONE: "differs", TWO: "unreachable"}
    assert "takes the connection but says nothing; gave up after 5 s" in finding(verified, TWO, "reachable")["have"]
    assert changed.lines == {ONE: "changed", TWO: "unreachable"}
    assert f"error: {TWO}: 127.0.0.1:" in changed.stderr
    assert "asleep, hung or starting" in changed.stderr
    assert works_again(stage)


def test_a_mac_behind_filevault_is_told_from_one_that_is_down_and_says_how_to_unlock_it(stage):
    stage.must("lab", "fault", "filevault-locked", ONE)
    stage.must("lab", "fault", "mac-down", TWO)

    ended = stage.must("exec", "--", "true", exit_code=3)

    assert f"error: {ONE}: FileVault waits for a password before macOS can start\n" in ended.stderr
    assert "hint: unlock it: `ssh -p " in ended.stderr
    assert f"error: {TWO}: 127.0.0.1:" in ended.stderr
    assert "refuses SSH connections" in ended.stderr
    assert works_again(stage)


def test_a_wrong_ssh_key_is_told_from_a_wrong_mac_and_says_how_to_put_it_there(stage, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "stranger"], check=True)
    wrong = stage.folder / "wrong-key.yaml"
    wrong.write_text(stage.inventory.read_text().replace("key: id_ed25519", f"key: {tmp_path}/stranger"))

    ended = stage.must("verify", "--json", "--inventory", str(wrong), exit_code=3)
    refused = stage.must("provision", "--yes", "--inventory", str(wrong), "--mac", ONE, exit_code=3)

    assert outcomes(ended) == {ONE: "unreachable", TWO: "unreachable"}
    assert "does not let admin in" in refused.stderr
    assert "the host key is the pinned one, so it is the right Mac" in refused.stderr
    assert f"`ssh-copy-id -i {tmp_path}/stranger " in refused.stderr
    assert works_again(stage)


def test_a_key_that_is_not_there_is_a_wrong_request(stage):
    wrong = stage.folder / "no-key.yaml"
    wrong.write_text(stage.inventory.read_text().replace("key: id_ed25519", "key: id_rsa"))

    ended = stage.must("verify", "--inventory", str(wrong), exit_code=2)

    assert ended.stderr.startswith(f"error: the SSH key {stage.folder}/id_rsa does not exist\n")


def test_a_changed_host_key_stops_every_command_before_anything_is_sent(stage):
    known_hosts = stage.folder / "known_hosts"
    right = known_hosts.read_text()
    first, second = right.splitlines()
    swapped = [f"{first.rsplit(' ', 1)[0]} {second.split()[-1]}", second]  # studio-1 is pinned with the key of studio-2
    known_hosts.write_text("\n".join(swapped) + "\n")

    verified = stage.must("verify", "--json", exit_code=3)
    refused = stage.must("provision", "--yes", "--mac", ONE, exit_code=3)
    rolled = stage.must("rolling-reboot", "--yes", "--mac", ONE, exit_code=3)
    known_hosts.write_text(right)

    assert outcomes(verified) == {ONE: "unreachable", TWO: "differs"}
    for ended in (refused, rolled):
        assert "is not the pinned one: another machine answers there, or macOS was installed anew" in ended.stderr
    assert "  nothing was sent to it\n" in refused.stderr
    assert "macfleet inventory pin --mac studio-1" in refused.stderr
    assert works_again(stage)


def test_sudo_that_asks_changes_nothing_there_and_says_the_line_for_sudoers(stage):
    stage.must("lab", "fault", "sudo-password", TWO)

    verified = stage.must("verify", "--json", exit_code=1)
    provisioned = stage.must("provision", "--yes", "--only", "wired-limit", exit_code=3)
    shown = stage.must("lock", "show", "--json", exit_code=3)
    rolled = stage.must("rolling-reboot", "--yes", exit_code=3)

    assert finding(verified, TWO, "sudo")["verdict"] == "fail"
    assert provisioned.lines == {ONE: "changed", TWO: "failed"}
    assert f"error: sudo asks for a password on {TWO}, and nobody is there to type it: nothing was changed there\n" in provisioned.stderr
    assert "NOPASSWD: ALL" in provisioned.stderr
    assert outcomes(shown) == {ONE: "free", TWO: "failed"}
    assert f"error: sudo asks for a password on {TWO}, and nobody is there to type it\n" in rolled.stderr
    assert works_again(stage)
    assert outcomes(stage.must("provision", "--yes", "--only", "wired-limit", "--json")) == {ONE: "ok", TWO: "changed"}


def test_a_mac_that_dies_in_the_middle_of_a_command_is_said_and_the_others_finish_theirs(stage):
    go_on = stage.folder / "go-on"
    script = 'touch "$0.$1"; until [ -e "$0" ]; do sleep 0.1; done; echo finished'

    with under_way(stage, "exec", "--timeout", "10 min", "--", "sh", "-c", script, str(go_on), "begun") as running:
        running.until((stage.folder / "go-on.begun").exists, "it has begun")
        running.until_it_says("waiting for")
        stage.must("lab", "fault", "mac-down", TWO)
        go_on.touch()
        ended = running.end()

    assert ended.exit_code == 3, str(ended)
    assert ended.stdout == f"{ONE}\n  finished\n"
    assert f"error: {TWO}: the connection dropped before `sh -c" in ended.stderr
    assert "nobody knows whether" in ended.stderr
    assert "hint: see that the Mac is up, then run the same command again" in ended.stderr
    assert works_again(stage)


def test_a_mac_that_dies_in_the_middle_of_provision_says_how_far_it_came_and_goes_on_when_it_is_back(stage):
    runtimes = stage.root(TWO) / "opt/macfleet/runtimes"

    with under_way(stage, "provision", "--yes") as running:
        running.until(lambda: runtimes.exists() and any(runtimes.iterdir()), "the runtime is being installed")
        stage.must("lab", "fault", "mac-down", TWO)
        ended = running.end()

    assert ended.lines == {ONE: "changed", TWO: "unreachable"}, str(ended)
    assert ended.exit_code == 3
    assert f"error: {TWO}: the connection dropped before `" in ended.stderr
    assert "  done: the first " in ended.stderr
    assert "  runtime was absent, and may be half changed now\n" in ended.stderr
    assert "  not begun: launchd dev.macfleet.agent\n" in ended.stderr
    assert works_again(stage)
    assert "next: macfleet provision --resume\n" in ended.stderr
    assert outcomes(stage.must("provision", "--resume", "--yes", "--json")) == {TWO: "changed"}
    assert outcomes(stage.must("verify", "--json")) == {ONE: "ok", TWO: "ok"}
    assert outcomes(stage.must("lock", "show", "--json")) == {ONE: "free", TWO: "free"}


def test_a_change_that_a_full_disk_stops_leaves_nothing_half_written(stage):
    playbook = stage.folder / "big.yaml"
    playbook.write_text(f'tasks:\n  - name: A big file\n    file: {{path: "{{{{ mac.paths.home }}}}/big", content: "{"x" * 2_000_000}"}}\n')
    stage.must("lab", "fault", "disk-full", TWO)

    verified = stage.must("verify", "--json", exit_code=1)
    ended = stage.must("provision", "--yes", "--playbook", str(playbook), exit_code=3)

    home = stage.root(TWO) / "opt/macfleet"
    assert finding(verified, TWO, "disk-space")["verdict"] == "fail"
    assert ended.lines == {ONE: "changed", TWO: "failed"}
    assert f"error: {TWO}: file /opt/macfleet/big: " in ended.stderr
    assert "  its disk has 100 MiB of " in ended.stderr
    assert "hint: remove models that no service uses" in ended.stderr
    assert sorted(path.name for path in home.iterdir() if "big" in path.name) == []
    assert works_again(stage)
    assert outcomes(stage.must("provision", "--yes", "--playbook", str(playbook), "--json")) == {ONE: "ok", TWO: "changed"}
    assert (home / "big").stat().st_size == 2_000_000
