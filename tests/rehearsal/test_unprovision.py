"""A Mac that macfleet has left is the Mac it was, byte for byte. The tests share one fleet and go on from each other."""

import hashlib
import json
import os
import stat as modes

import pytest

from macfleet.fleet.fleet import Fleet
from macfleet.inventory.load import load_inventory
from macfleet.lab.ownership import owner_of
from macfleet.lab.paths import MacDir
from macfleet.lab.state import load_state
from macfleet.serving.materials import read_materials, read_playbook
from macfleet.serving.provision import Provisioning
from tests.rehearsal.stage import rehearsal

pytestmark = pytest.mark.rehearsal

MACS = ("studio-1", "studio-2")
# What a simulated Mac is doing at the moment, and who owns which inode: owners are looked at file by file.
OF_THE_MOMENT = {"owners", "power", "simulator_pid", "socket", "boot_session", "boots"}
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
    """Every file with its bytes, mode, owner and time; every directory and link; all that macOS keeps elsewhere, and in its kernel."""
    mac = mac_dir(stage, name)
    state = load_state(mac.state)
    files = {str(path.relative_to(mac.root)): _file(state, path) for path in sorted(mac.root.rglob("*"))}
    kept = {key: value for key, value in json.loads(mac.state.read_text()).items() if key not in OF_THE_MOMENT}
    return {"files": files, "state": kept, "kernel": _kernel(stage, name)}


def _file(state, path):
    status = path.lstat()
    looks = {"kind": modes.S_IFMT(status.st_mode), "mode": oct(modes.S_IMODE(status.st_mode)), "owner": owner_of(state, path)}
    if path.is_symlink():
        return {**looks, "leads to": os.readlink(path)}
    if path.is_dir():
        return looks
    looks["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    # macOS's own programs write their preferences anew; whatever else was put back has its old time.
    return looks if "Preferences" in path.parts else {**looks, "time": status.st_mtime_ns}


def _kernel(stage, name):
    asked = ("sysctl -n iogpu.wired_limit_mb", "ifconfig -a", "networksetup -listallnetworkservices", "launchctl print-disabled system")
    return {each: stage.must("exec", "--mac", name, "--sudo", "--", *each.split()).stdout for each in asked}


def differences(now, before):
    """What is other than it was, by its name."""
    return {
        f"{part}: {key}": (before[part].get(key), now[part].get(key))
        for part in before
        for key in sorted({*before[part], *now[part]})
        if before[part].get(key) != now[part].get(key)
    }


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
