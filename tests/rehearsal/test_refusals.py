"""Macs that refuse a part of what is asked: sudo for some commands only, launchd and a plist, a disk that fills while a file is written.

And machines that are none of those that were meant. One fleet of two; every story mends what it broke, and what was refused
works afterwards.
"""

import pytest

from tests.rehearsal.stage import rehearsal

pytestmark = pytest.mark.rehearsal

ONE, TWO = "studio-1", "studio-2"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with rehearsal(tmp_path_factory.mktemp("fleet"), "--macs", "2") as made:
        yield made


@pytest.fixture
def stage(fleet):
    yield fleet
    fleet.must("lab", "heal")


def files(stage, mac):
    """Every file of a Mac that macfleet could have written, with its text."""
    own = [path for path in stage.root(mac).rglob("*") if path.is_file() and "/Users/" not in str(path)]
    return {str(path.relative_to(stage.root(mac))): path.read_bytes() for path in own}


def trouble(ended, mac):
    """Check → verdict and words, of what is not ok."""
    findings = next(entry["findings"] for entry in ended.json["macs"] if entry["mac"] == mac)
    return {each["check"]: (each["verdict"], each["have"]) for each in findings if each["verdict"] != "ok"}


def playbook(stage, content):
    path = stage.folder / "one-file.yaml"
    path.write_text(f'tasks:\n  - name: One file\n    file: {{path: "{{{{ mac.paths.home }}}}/notes", content: "{content}"}}\n')
    return ("provision", "--yes", "--playbook", str(path))


def test_sudo_for_some_commands_only_changes_nothing_and_says_which_rule_is_needed(stage):
    stage.must("lab", "fault", "sudo-some", TWO)
    before = files(stage, TWO)

    verified = stage.must("verify", "--json", exit_code=1)
    ended = stage.must("provision", "--yes", "--only", "power", exit_code=3)

    assert trouble(verified, TWO)["sudo"] == ("fail", "sudo asks for a password for most commands: its rule names only some programs")
    assert ended.lines == {ONE: "changed", TWO: "failed"}
    assert f"error: sudo asks for a password on {TWO}, and nobody is there to type it: nothing was changed there\n" in ended.stderr
    assert files(stage, TWO) == before
    stage.must("lab", "heal")
    assert stage.must("provision", "--yes", "--only", "power").lines[TWO] == "changed"


def test_a_plist_that_launchd_refuses_is_said_and_the_job_is_loaded_when_it_takes_it(stage):
    stage.must("lab", "fault", "plist-refused", TWO)

    ended = stage.must("provision", "--yes", "--only", "wired-limit", exit_code=3)
    verified = stage.must("verify", "--json", exit_code=1)

    assert ended.lines == {ONE: "changed", TWO: "failed"}
    assert "Bootstrap failed: 5: Input/output error" in ended.stderr
    assert "dev.macfleet.wired-limit" in ended.stderr
    assert trouble(verified, TWO)["wired-limit-at-boot"][1].endswith("but launchd does not know it")
    assert trouble(verified, ONE).get("wired-limit-at-boot") is None
    stage.must("lab", "heal")
    assert stage.must("provision", "--yes", "--only", "wired-limit").lines[TWO] == "changed"
    assert trouble(stage.type("verify", "--json"), TWO).get("wired-limit-at-boot") is None


def test_a_file_that_does_not_fit_leaves_the_old_one_whole(stage):
    stage.must(*playbook(stage, "the old one"))
    stage.must("lab", "fault", "disk-full", TWO)

    ended = stage.must(*playbook(stage, "x" * 2_000_000), exit_code=3)

    notes = stage.root(TWO) / "opt/macfleet/notes"
    assert ended.lines == {ONE: "changed", TWO: "failed"}
    assert "its disk has 100 MiB of " in ended.stderr
    assert notes.read_text() == "the old one"
    assert [path.name for path in notes.parent.iterdir() if path.name.startswith("notes")] == ["notes"]
    stage.must("lab", "heal")
    stage.must(*playbook(stage, "x" * 2_000_000))
    assert notes.stat().st_size == 2_000_000


def test_a_linux_box_in_a_macs_place_is_told_so_once_and_left_alone(stage):
    stage.must("lab", "fault", "linux", TWO)
    before = files(stage, TWO)

    verified = stage.must("verify", "--json", exit_code=1)
    ended = stage.must("provision", "--yes", "--only", "power", exit_code=3)

    assert trouble(verified, TWO) == {"hardware": ("fail", "a Linux machine")}
    assert f"error: 127.0.0.1 is a Linux machine, not the Mac {TWO}: nothing was changed there\n" in ended.stderr
    assert files(stage, TWO) == before


@pytest.mark.parametrize(
    ("kind", "said"),
    [("macos-15", "macOS 15.6.1 (24G90)"), ("macos-27", "26A428 on studio-2"), ("intel", "Intel(R) Xeon(R)")],
)
def test_another_macos_or_an_intel_mac_is_provisioned_as_far_as_it_can_be_and_named(stage, kind, said):
    stage.must("lab", "fault", kind, TWO)

    verified = stage.must("verify", exit_code=1)
    ended = stage.type("provision", "--yes", "--only", "power")

    assert said in verified.stdout
    assert ended.lines[TWO] in ("ok", "changed"), str(ended)
    assert "Traceback" not in verified.stderr + ended.stderr


@pytest.mark.parametrize(
    "script", ["head -c 300 /dev/urandom", "exit 0", "echo '{}'", "kill -9 $$"], ids=["garbage", "nothing", "JSON", "killed"]
)
def test_a_mac_whose_programs_make_no_sense_is_not_known_and_not_changed(stage, script):
    client = stage.root(TWO).parent / "bin/.client"
    good, before = client.read_text(), files(stage, TWO)
    client.write_text(f"#!/bin/sh\n{script}\n")

    verified = stage.type("verify", "--json")
    shown = stage.type("provision", "--dry-run", "--only", "power")
    changed = stage.type("provision", "--yes", "--only", "power")
    client.write_text(good)

    said = trouble(verified, TWO)
    assert {said[check][0] for check in ("macos-version", "hardware", "power", "filevault", "memory")} == {"unknown"}, str(verified)
    assert "Traceback" not in verified.stderr + shown.stderr + changed.stderr
    assert changed.lines[ONE] in ("ok", "changed")
    assert changed.lines[TWO] not in ("ok", "changed"), str(changed)
    assert files(stage, TWO) == before


def test_a_virtual_mac_is_provisioned_and_said_what_it_cannot_have(tmp_path):
    with rehearsal(tmp_path / "vm", "--macs", "1", "--hardware", "virtual-mac") as stage:
        provisioned = stage.must("provision", "--yes", "--only", "power", "--only", "wired-limit")
        verified = stage.must("verify", "--json", exit_code=1)  # the rest was not provisioned

    found = trouble(verified, "mac-1")
    assert "this Mac has no pmset autorestart" in provisioned.stdout
    assert "this Mac has no sysctl iogpu.wired_limit_mb" in provisioned.stdout
    assert [found[check][0] for check in ("power", "wired-limit", "rdma")] == ["warn"] * 3, str(verified)
    assert "does not offer" in found["power"][1]
    assert not found.keys() & {"hardware", "thunderbolt-bridge", "wired-limit-at-boot", "jobs"}
