"""The story of an operator's own playbook. The tests share one fleet and go on from each other, in the order of the file."""

import json

import pytest

from tests.rehearsal.stage import rehearsal

pytestmark = pytest.mark.rehearsal

PLAYBOOK = """\
# A job of our own, which reads a file when it starts.
vars:
  pace: slow
serial: [1, 100%]
tasks:
  - name: The job finds its settings
    notify: [The job starts anew]
    file:
      path: "{{ mac.paths.at('/etc/ours.conf') }}"
      content: "pace {{ vars.pace }}\\n"
  - name: The job runs
    launchd:
      label: com.example.ours
      template: ours.plist.j2
handlers:
  - name: The job starts anew
    launchd:
      label: com.example.ours
      template: ours.plist.j2
"""

PLIST = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
<key>Label</key><string>{{ label }}</string>
<key>ProgramArguments</key><array><string>/bin/sleep</string><string>3600</string></array>
<key>KeepAlive</key><true/>
</dict></plist>
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own") / "lab"
    with rehearsal(folder, "--macs", "2") as stage:
        (folder / "ours.yaml").write_text(PLAYBOOK)
        (folder / "templates").mkdir()
        (folder / "templates/ours.plist.j2").write_text(PLIST)
        yield stage


def ours(stage):
    return str(stage.folder / "ours.yaml")


def pid(stage, mac):
    said = stage.must("exec", "--mac", mac, "--", "launchctl", "print", "system/com.example.ours").stdout
    return next(line for line in said.splitlines() if "pid = " in line)


def test_it_is_checked_without_asking_a_mac(stage):
    assert stage.must("playbook", "check", ours(stage)).stdout.endswith(
        "2 tasks, 1 handler, no mistakes, nor for 2 Macs of the inventory\n"
    )


def test_a_mistake_is_refused_with_its_line_before_any_mac_is_asked(stage):
    broken = stage.folder / "broken.yaml"
    broken.write_text(PLAYBOOK.replace("vars.pace", "vars.pcae"))

    refused = stage.must("run", str(broken), "--yes", "-v", exit_code=2)

    assert 'broken.yaml:10: tasks/0/file/content: there is no "pcae"; did you mean "pace"?' in refused.stderr
    assert "exit 0" not in refused.stderr  # -v shows every command on a Mac


def test_a_dry_run_shows_the_file_and_writes_nothing(stage):
    shown = stage.must("run", ours(stage), "--dry-run", exit_code=1)

    assert "+pace slow" in shown.stdout
    assert not (stage.root("studio-1") / "etc/ours.conf").exists()


def test_it_is_run_and_a_second_run_changes_nothing(stage):
    stage.must("run", ours(stage), "--yes")
    before = pid(stage, "studio-2")

    again = stage.must("run", ours(stage), "--yes")

    assert "2 Macs as wanted" in again.stdout
    assert pid(stage, "studio-2") == before


def test_a_change_wakes_the_handler_where_it_was_made(stage):
    stage.must("run", ours(stage), "--yes", "--var", "pace=quick", "--mac", "studio-1")
    first, second = pid(stage, "studio-1"), pid(stage, "studio-2")

    stage.must("run", ours(stage), "--yes", "--var", "pace=quick")

    assert pid(stage, "studio-1") == first
    assert pid(stage, "studio-2") != second
    assert (stage.root("studio-2") / "etc/ours.conf").read_text() == "pace quick\n"


def test_a_batch_that_fails_keeps_the_mistake_small(stage):
    settings = stage.root("studio-1") / "etc/ours.conf"
    settings.unlink()
    settings.mkdir()

    failed = stage.must("run", ours(stage), "--yes", "--var", "pace=odd", "--json", exit_code=3)

    assert failed.json["macs"][0]["outcome"] == "failed"
    assert (stage.root("studio-2") / "etc/ours.conf").read_text() == "pace quick\n"
    assert "was not begun: 1 Mac before it failed" in json.dumps(failed.json["macs"][1])


def test_history_tells_who_changed_what_from_what_to_what(stage):
    runs = stage.must("history", "--event", "run", "--json").json["runs"]

    woken = stage.must("history", "show", str(runs[1]["id"])).stdout
    assert [len(run["macs"]) for run in runs] == [2, 1, 1, 2]
    assert f"by {runs[1]['who']}" in woken
    assert "file /etc/ours.conf other content → 11 bytes" in woken
    assert "launchd com.example.ours running since before the change → running" in woken
    assert [run["errors"] for run in runs] == [0, 0, 0, 2]
    assert "launchctl, studio-" in stage.must("history", "--event", "exec").stdout
