"""What the journal tells of a run afterwards."""

from macfleet.fleet.history import lines_of, runs_of
from tests.serving.test_plan_file import Desk


def history(desk):
    return runs_of(desk.journal.entries())


def test_a_run_is_told_with_every_change_from_what_to_what(tmp_path):
    desk = Desk(tmp_path)
    desk.run()

    [run] = history(desk)

    told = [line for entry in run.entries for line in lines_of(entry) if entry.get("mac") == "studio-1"]
    assert (run.what, run.macs, run.errors) == ("provision", ("studio-1", "studio-2"), 0)
    assert "pmset sleep 1 → 0" in told
    assert run.changes > 20
    assert not run.was_cut_off


def test_a_mac_that_failed_is_an_error_of_its_run(tmp_path):
    desk = Desk(tmp_path)
    desk.one.jobs_that_fail.add("dev.macfleet.agent")
    desk.run()

    [run] = history(desk)

    assert run.errors == 1
    assert run.sentence().endswith("changes, 1 error")


def test_a_mac_that_could_not_be_read_is_an_error_of_its_run_too(tmp_path):
    desk = Desk(tmp_path)
    desk.one.sudo_asks = True
    desk.run()

    [run] = history(desk)

    assert [entry["error"][:28] for entry in run.entries if entry.get("error")] == ["sudo asks for a password on "]


def test_no_secret_is_written_down(tmp_path):
    desk = Desk(tmp_path)
    desk.run()

    assert desk.one.secrets_seen == ["tskey-hidden"]
    assert "tskey-hidden" not in desk.journal.path.read_text()
