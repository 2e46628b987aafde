"""The story of provisioning. The tests share one fleet and go on from each other, in the order of the file."""

import json
import plistlib

import pytest

pytestmark = pytest.mark.rehearsal


def roots(stage):
    return [stage.folder / "macs" / f"studio-{number}" / "root" for number in (1, 2, 3, 4)]


def test_a_dry_run_shows_the_plan_and_writes_nothing(stage):
    before = sorted(str(path) for root in roots(stage) for path in root.rglob("*"))

    shown = stage.must("provision", "--dry-run", "--json", exit_code=1)

    assert [mac["outcome"] for mac in shown.json["macs"]] == ["would change"] * 4
    assert {change["what"] for change in shown.json["macs"][0]["changes"]} >= {"pmset sleep", "sysctl iogpu.wired_limit_mb", "runtime"}
    assert sorted(str(path) for root in roots(stage) for path in root.rglob("*")) == before


def test_without_a_terminal_and_without_yes_nothing_is_done(stage):
    refused = stage.must("provision", exit_code=2)

    assert "add --yes" in refused.stderr
    assert not (roots(stage)[0] / "opt/macfleet").exists()


def test_a_fresh_fleet_is_provisioned(stage):
    done = stage.must("provision", "--yes", "--json", timeout_s=600)

    assert [mac["outcome"] for mac in done.json["macs"]] == ["changed"] * 4
    assert all(mac["error"] is None for mac in done.json["macs"])


def test_verify_then_finds_everything_as_wanted(stage):
    verified = stage.must("verify", "--json")

    findings = [finding for mac in verified.json["macs"] for finding in mac["findings"]] + verified.json["fleet"]
    assert [finding for finding in findings if finding["verdict"] not in ("ok", "warn")] == []


def test_a_second_run_changes_nothing_and_says_so(stage):
    again = stage.must("provision", "--yes")

    assert "4 Macs as wanted" in again.stdout
    assert "nothing to change" in again.stdout


def test_a_dry_run_says_that_nothing_would_change(stage):
    shown = stage.must("provision", "--dry-run", "--json")

    assert [mac["changes"] for mac in shown.json["macs"]] == [[], [], [], []]
    assert shown.json["summary"]["changes"] == 0


def test_the_runtime_can_run_a_worker(stage):
    ran = stage.must("exec", "--mac", "studio-1", "--", "sh", "-c", f"{roots(stage)[0]}/opt/macfleet/runtime/bin/python -c 'import mlx_lm'")

    assert "Error" not in ran.stdout


def test_no_key_stays_on_a_mac(stage):
    key = (stage.folder / "tailscale.key").read_text().strip()

    leaked = [
        path for root in roots(stage) for path in (root / "var").rglob("*") if path.is_file() and key in path.read_text(errors="replace")
    ]

    assert leaked == []


def test_a_wired_limit_by_hand_is_drift_and_is_set_right(stage):
    stage.must("exec", "--mac", "studio-2", "--sudo", "--", "sysctl", "iogpu.wired_limit_mb=1000")

    done = stage.must("provision", "--yes", "--json")

    assert [len(mac["changes"]) for mac in done.json["macs"]] == [0, 1, 0, 0]
    assert done.json["macs"][1]["changes"][0]["before"] == "1000"


def test_a_saved_plan_is_applied_once_and_refused_when_the_mac_has_moved(stage):
    stage.must("exec", "--mac", "studio-2", "--sudo", "--", "pmset", "-a", "sleep", "5")
    plan = str(stage.folder / "plan.json")

    stage.must("provision", "--mac", "studio-2", "--only", "power", "--plan", plan, exit_code=1)
    stage.must("provision", "--apply", plan, "--yes")
    refused = stage.must("provision", "--apply", plan, "--yes", exit_code=3)

    assert "error: studio-2 has moved since the plan was made" in refused.stderr
    assert "in the plan, and not wanted any more: pmset sleep 5 → 0" in refused.stderr


def test_a_dry_run_shows_the_lines_of_a_file_that_would_change(stage):
    conf = roots(stage)[0] / "etc/newsyslog.d/macfleet.conf"
    whole = conf.read_text()
    conf.write_text(whole + "# somebody's\n")

    shown = stage.must("provision", "--mac", "studio-1", "--dry-run", exit_code=1)
    stage.must("provision", "--mac", "studio-1", "--yes")

    assert "      -# somebody's" in shown.stdout.splitlines()
    assert conf.read_text() == whole


def test_a_changed_plist_is_read_anew_by_launchd(stage):
    plist = roots(stage)[2] / "Library/LaunchDaemons/dev.macfleet.agent.plist"
    job = plistlib.loads(plist.read_bytes())
    old_pid = _pid(stage, "studio-3")
    plist.write_bytes(plistlib.dumps({**job, "ThrottleInterval": 11}))

    stage.must("provision", "--yes")

    assert _pid(stage, "studio-3") != old_pid
    assert plistlib.loads(plist.read_bytes())["ThrottleInterval"] == job["ThrottleInterval"]


def test_the_journal_says_what_was_done(stage):
    lines = [json.loads(line) for line in (stage.folder / ".macfleet/journal.jsonl").read_text().splitlines()]

    assert [line["mac"] for line in lines if line["event"] == "provision"][:4] == ["studio-1", "studio-2", "studio-3", "studio-4"]


def test_a_misspelt_tag_is_refused_with_the_near_one(stage):
    refused = stage.must("provision", "--only", "wired-limt", exit_code=2)

    assert 'did you mean "wired-limit"' in refused.stderr


def _pid(stage, mac):
    said = stage.must("exec", "--mac", mac, "--", "launchctl", "print", "system/dev.macfleet.agent").stdout
    return next(line for line in said.splitlines() if "pid = " in line)
