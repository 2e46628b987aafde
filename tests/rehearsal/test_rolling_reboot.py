"""Every Mac of a serving fleet restarted, one after another. The stories share one fleet and follow each other."""

import json
import signal

import pytest

from tests.rehearsal.served import SERVICE, answers, base_url, served, status_of

pytestmark = pytest.mark.rehearsal


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    with served(tmp_path_factory.mktemp("served")) as made:
        yield made


def boots_of(stage):
    """Mac → its boot session, as each Mac says it."""
    ended = stage.must("exec", "--json", "--", "sysctl", "kern.bootsessionuuid")
    return {mac["mac"]: mac["stdout"].split()[-1] for mac in ended.json["macs"]}


def changed(before, after):
    return [mac for mac in before if before[mac] != after[mac]]


def journal_of(stage):
    return [json.loads(line) for line in (stage.folder / ".macfleet/journal.jsonl").read_text().splitlines()]


def test_a_dry_run_restarts_nothing(stage):
    before = boots_of(stage)

    ended = stage.must("rolling-reboot", "--dry-run")

    assert "4 Macs would be restarted" in ended.stdout
    assert changed(before, boots_of(stage)) == []


def test_four_macs_are_restarted_and_the_service_answers_before_and_after(stage):
    before = boots_of(stage)
    assert answers(base_url(stage))

    ended = stage.must("rolling-reboot", "--yes", timeout_s=600)

    assert changed(before, boots_of(stage)) == list(before)
    assert ended.stderr.count(f"{SERVICE}: answers again") == 3  # one for each Mac it runs on
    assert answers(base_url(stage))
    assert stage.must("chat", SERVICE, "What is the capital of France?", "--temperature", "0").stdout.count("Paris") >= 1


def test_a_mac_that_does_not_return_stops_the_roll_which_says_what_is_true(stage):
    before = boots_of(stage)
    first, second, third, fourth = before
    stage.must("lab", "fault", "mac-down", third, "--on-reboot")

    ended = stage.must("rolling-reboot", "--yes", "--deadline", "15 s", exit_code=3, timeout_s=600)

    assert f"{third} did not come back after its reboot" in ended.stderr
    assert f"{first} and {second} are done: rebooted, verified and back in service" in ended.stderr
    assert f"{fourth} was not touched" in ended.stderr
    assert "--resume" in ended.stderr
    assert stage.must("rolling-reboot", "--yes", exit_code=2).stderr.count(f"it stands at {third} (returning)") == 1


def test_resume_finishes_after_the_mac_is_mended_and_restarts_nobody_twice(stage):
    stage.must("lab", "heal", "mac-down")
    before = boots_of(stage)
    third, fourth = list(before)[2:]

    stage.must("rolling-reboot", "--resume", "--yes", timeout_s=600)

    assert changed(before, boots_of(stage)) == [fourth]  # the third restarted before it was mended
    assert third in before
    assert status_of(stage)["state"] == "ready"
    assert not (stage.folder / ".macfleet/roll.json").exists()


def test_a_killed_controller_is_picked_up_and_every_mac_has_restarted_exactly_once(stage):
    before = boots_of(stage)
    third, fourth = list(before)[2:]
    rolling = stage.start("rolling-reboot", "--mac", third, "--mac", fourth, "--yes")
    said = iter(rolling.stderr.readline, "")
    assert any(f"{third}: restarting" in line for line in said)

    rolling.send_signal(signal.SIGKILL)
    rolling.communicate(timeout=60)
    stage.must("rolling-reboot", "--resume", "--yes", timeout_s=600)

    assert changed(before, boots_of(stage)) == [third, fourth]
    assert [entry["mac"] for entry in journal_of(stage) if entry.get("step") == "done"][-2:] == [third, fourth]
    assert answers(base_url(stage))


def test_a_locked_disk_keeps_a_roll_from_beginning(stage):
    before = boots_of(stage)
    stage.must("lab", "fault", "filevault-on", next(iter(before)))

    ended = stage.must("rolling-reboot", "--yes", exit_code=3)

    stage.must("lab", "heal", "filevault-on")
    assert "FileVault is on" in ended.stderr
    assert "--accept-risk filevault" in ended.stderr
    assert changed(before, boots_of(stage)) == []
