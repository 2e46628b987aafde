"""A Mac that macfleet has left is the Mac it was, byte for byte. The tests share one fleet and go on from each other."""

import json
import os

import pytest

from macfleet.fleet.fleet import Fleet
from macfleet.inventory.load import load_inventory
from macfleet.lab.paths import MacDir
from macfleet.serving.materials import read_materials, read_playbook
from macfleet.serving.provision import Provisioning
from tests.rehearsal import portrait as portraits
from tests.rehearsal.portrait import differences
from tests.rehearsal.stage import rehearsal

pytestmark = pytest.mark.rehearsal

MACS = ("studio-1", "studio-2")
THEIRS = "# rotated by somebody else\n"


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    with rehearsal(tmp_path_factory.mktemp("fleet"), "--macs", "2") as made:
        for name in MACS:
            _furnish(mac_dir(made, name).root)
        yield made


@pytest.fixture(scope="module")
def before(stage):
    return {name: portrait(stage, name) for name in MACS}


def _furnish(root):
    """What was there first, on Macs that belonged to somebody: a file of macfleet's name, and a directory with somebody's file in it."""
    theirs = root / "etc/newsyslog.d/macfleet.conf"
    theirs.parent.mkdir()
    theirs.write_text(THEIRS)
    theirs.chmod(0o600)
    os.utime(theirs, (1_700_000_000, 1_700_000_000))


def mac_dir(stage, name):
    return MacDir(stage.folder / "macs" / name)


def portrait(stage, name):
    """Every file, all that macOS keeps elsewhere, and what its kernel says."""
    return {**portraits.portrait(mac_dir(stage, name)), "kernel": _kernel(stage, name)}


def _kernel(stage, name):
    asked = ("sysctl -n iogpu.wired_limit_mb", "ifconfig -a", "networksetup -listallnetworkservices", "launchctl print-disabled system")
    return {each: stage.must("exec", "--mac", name, "--sudo", "--", *each.split()).stdout for each in asked}


def test_a_provisioned_mac_is_another_one(stage, before):
    stage.must("provision", "--yes", timeout_s=600)

    changed = differences(portrait(stage, "studio-1"), before["studio-1"])

    assert {"state: pmset", "state: formulas", "state: tailnet", "files: etc/newsyslog.d/macfleet.conf"} <= set(changed)
    assert "kernel: sysctl -n iogpu.wired_limit_mb" in changed


def test_a_dry_run_says_what_would_be_again_and_writes_nothing(stage, before):
    was = portrait(stage, "studio-1")

    shown = stage.must("unprovision", "--dry-run", "--json", exit_code=1).json

    lines = shown["macs"][0]["changes"]
    assert [mac["outcome"] for mac in shown["macs"]] == ["would change"] * 2
    assert {"pmset sleep → 1", "homebrew uv → absent", "launchd dev.macfleet.agent → absent"} <= set(lines)
    assert differences(portrait(stage, "studio-1"), was) == {}


def test_a_mac_that_macfleet_has_left_is_as_it_was_byte_for_byte(stage, before):
    stage.must("exec", "--sudo", "--", "pmset", "-a", "sleep", "7")  # somebody's hand, which provision sets right
    stage.must("provision", "--yes", timeout_s=600)

    stage.must("unprovision", "--yes")

    left = {name: differences(portrait(stage, name), before[name]) for name in MACS}
    assert left == {"studio-1": {}, "studio-2": {}}


def test_then_there_is_nothing_more_to_take_back(stage, before):
    again = stage.must("unprovision", "--yes")

    assert again.stdout.count("nothing of macfleet is there") == 2
    assert differences(portrait(stage, "studio-1"), before["studio-1"]) == {}


def test_the_journal_tells_of_it(stage):
    lines = [json.loads(line) for line in (stage.folder / ".macfleet/journal.jsonl").read_text().splitlines()]

    last = [line for line in lines if line["event"] == "unprovision"]
    assert [(line["mac"], line["error"]) for line in last] == [("studio-1", None), ("studio-2", None)]
    assert "pmset sleep → 1" in last[0]["changes"]


def test_k_changes_are_two_round_trips_more_over_one_connection(stage, before):
    first, again = changes_and_channels(stage), changes_and_channels(stage)
    stage.must("unprovision", "--yes")

    (changes, _), _ = first
    assert changes > 5
    assert first == [(changes, changes + 2)] * 2
    assert again == [(0, 1), (0, 1)]
    assert {name: differences(portrait(stage, name), before[name]) for name in MACS} == {"studio-1": {}, "studio-2": {}}


def changes_and_channels(stage):
    """Provisions some of it; for each Mac how many changes that were, and how many channels were opened for them."""
    inventory = load_inventory(stage.inventory)
    playbook = read_playbook().tagged(["power", "updates", "wired-limit"])
    with Fleet(inventory, inventory.macs) as fleet:
        provisioning = Provisioning(fleet, playbook, read_materials(inventory))
        results = provisioning.apply(provisioning.plan())
        assert all(result.error is None for result in results.values().values()), results
        return [(len(results[mac.name].value.done), fleet.connection(mac).channels_opened) for mac in inventory.macs]
