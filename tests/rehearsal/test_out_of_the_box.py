"""The whole way of a Mac: out of its box, enrolled, provisioned, through a power cut, and back into its box.

The tests share one fleet and go on from each other, in the order of the file.
"""

import subprocess
import time

import pytest

from macfleet.lab.paths import MacDir
from macfleet.lab.state import Power, load_state
from tests.rehearsal.portrait import differences, portrait
from tests.rehearsal.stage import MACFLEET, Ended, rehearsal

pytestmark = pytest.mark.rehearsal

MACS = ("studio-1", "studio-2")


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    with rehearsal(tmp_path_factory.mktemp("fleet"), "--macs", "2", "--as-shipped") as made:
        yield made


@pytest.fixture(scope="module")
def before(stage):
    return {name: portrait(mac_dir(stage, name)) for name in MACS}


def mac_dir(stage, name):
    return MacDir(stage.folder / "macs" / name)


def type_with_password(stage, *words, password="rehearsal", exit_code=0):
    """As an operator does who is asked for it, by a pipe."""
    ended = subprocess.run(
        [MACFLEET, *words, "--password-stdin"],
        input=f"{password}\n",
        env=stage.environment,
        cwd=stage.folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    done = Ended(words, ended.returncode, ended.stdout, ended.stderr)
    assert done.exit_code == exit_code, str(done)
    return done


def changed(stage, before):
    return {name: differences(portrait(mac_dir(stage, name)), before[name]) for name in MACS}


def test_nobody_is_talked_to_whose_host_key_is_not_pinned(stage, before):
    looked = stage.must("verify", "--json", exit_code=3)

    assert all("no host key is pinned" in mac["findings"][0]["have"] for mac in looked.json["macs"])
    assert changed(stage, before) == {"studio-1": {}, "studio-2": {}}


def test_an_inventory_is_written_of_macs_that_only_a_password_lets_in(stage, before):
    ports = [str(load_state(mac_dir(stage, name).state).ssh_port) for name in MACS]
    (stage.folder / "new").mkdir()
    written = stage.folder / "new/inventory.yaml"

    addresses = [f"127.0.0.1:{port}" for port in ports]
    type_with_password(stage, "inventory", "init", *addresses, "--user", "admin", "--yes", "--output", str(written))

    shown = stage.must("inventory", "show", "--inventory", str(written), "--json").json
    assert [(mac["mac"], str(mac["port"]), mac["hardware"], mac["memory_bytes"] >> 30) for mac in shown["macs"]] == [
        ("studio-1", ports[0], "Mac15,14", 512),
        ("studio-2", ports[1], "Mac15,14", 512),
    ]
    assert changed(stage, before) == {"studio-1": {}, "studio-2": {}}


def test_a_wrong_password_changes_nothing(stage, before):
    refused = type_with_password(stage, "enroll", "--yes", password="guessed", exit_code=3)

    assert refused.stderr.count("does not let admin in with this password") == 2
    assert "guessed" not in refused.stdout + refused.stderr
    assert changed(stage, before) == {"studio-1": {}, "studio-2": {}}


def test_they_are_enrolled_by_one_password_and_say_what_needs_a_hand(stage, before):
    done = type_with_password(stage, "enroll", "--yes", "--json").json

    assert [(mac["outcome"], mac["owns_volume"], len(mac["changes"])) for mac in done["macs"]] == [("enrolled", True, 2)] * 2
    assert [step["what"].partition(":")[0] for step in done["macs"][0]["by_hand"]] == [
        "RDMA over Thunderbolt is off",
        "FileVault is on",
        "SSH logins have no full disk access",
        "Homebrew is not installed",
    ]
    assert {name for name in changed(stage, before)["studio-1"] if not name.endswith("ledger.jsonl")} == {
        "files: Users/admin/.ssh",
        "files: Users/admin/.ssh/authorized_keys",
        "files: etc/sudoers.d/macfleet-admin",
        "files: var/db/macfleet",
    }


def test_a_second_enrolment_wants_no_password_and_changes_nothing(stage, before):
    was = {name: portrait(mac_dir(stage, name)) for name in MACS}

    again = stage.must("enroll", "--json").json

    assert [mac["outcome"] for mac in again["macs"]] == ["as wanted"] * 2
    assert changed(stage, was) == {"studio-1": {}, "studio-2": {}}


@pytest.fixture(scope="module")
def by_hand(stage, before):
    """What a person does at the Macs: RDMA in Recovery, Homebrew, the cables. It is nobody's to take back."""
    was = {name: portrait(mac_dir(stage, name)) for name in MACS}
    stage.must("lab", "heal", "rdma-off", "no-homebrew", "cable-out", "--dir", str(stage.folder))
    return changed(stage, was)


def test_after_the_hand_at_the_mac_they_are_provisioned_and_verified(stage, by_hand):
    stage.must("provision", "--yes", timeout_s=600)

    stage.must("verify")


def test_they_are_still_as_wanted_after_a_restart_that_waited_for_a_password(stage):
    stage.must("exec", "--sudo", "--", "sh", "-c", "nohup sh -c 'sleep 0.2; shutdown -r now' >/dev/null 2>&1 &")
    for name in MACS:
        until(lambda name=name: load_state(mac_dir(stage, name).state).power is Power.LOCKED)
    locked = stage.must("verify", "--json", exit_code=3).json
    assert all("FileVault waits for a password" in mac["findings"][0]["have"] for mac in locked["macs"])

    stage.must("lab", "heal", "filevault-locked", "--dir", str(stage.folder))

    assert (ended := verified(stage)).exit_code == 0, str(ended)


def test_unenrolling_alone_is_refused_while_there_is_more_of_macfleet(stage):
    refused = stage.must("unenroll", "--yes", exit_code=3)

    assert refused.stderr.count("macfleet unprovision --mac studio-") == 2


def test_they_go_back_into_their_box_byte_for_byte_but_for_what_the_hand_did(stage, before, by_hand):
    stage.must("unprovision", "--yes")

    now = changed(stage, before)
    assert {name: differences({"": now[name]}, {"": by_hand[name]}) for name in MACS} == {"studio-1": {}, "studio-2": {}}


def test_and_let_nobody_in_without_the_password(stage):
    refused = stage.must("verify", "--json", exit_code=3).json

    assert all("does not let admin in" in mac["findings"][0]["have"] for mac in refused["macs"])


def verified(stage, deadline_s=60.0):
    """Jobs need a moment after a boot: the first verify that is content, else the last one in time."""
    end = time.monotonic() + deadline_s
    ended = stage.type("verify")
    while ended.exit_code != 0 and time.monotonic() < end:
        ended = stage.type("verify")
    return ended


def until(condition, deadline_s=20.0):
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.1)
