"""Plans in files, and runs that are gone on with."""

import json
import stat
from dataclasses import replace

import pytest

from macfleet.core.errors import ConnectionDropped, RequestError
from macfleet.fleet.journal import Journal
from macfleet.inventory.mac import Inventory
from macfleet.playbook.load import load_playbook
from macfleet.serving.plan_file import hold_to, parse_plan, read_plan, saved, write_plan
from macfleet.serving.provision import run
from macfleet.serving.provision_report import applied, planned
from macfleet.serving.run_file import RunFile, parse_run
from tests.serving.test_provision import ONE, PLAYBOOK, TWO, Lines, batches, pair, provisioning


class Desk:
    """An operator beside an inventory, who plans, applies and resumes."""

    def __init__(self, folder, playbook=PLAYBOOK):
        inventory = Inventory(folder / "inventory.yaml", "x", (ONE, TWO))
        self.one, self.two = pair()
        self.playbook = playbook
        self.file = RunFile(inventory)
        self.journal = Journal(inventory.state_dir / "journal.jsonl")

    def provisioning(self, **options):
        return provisioning(Lines(studio_1=self.one, studio_2=self.two), playbook=self.playbook, **options)

    def run(self, **options):
        made = self.provisioning(unfinished=self.file.standing(), **options)
        plans = made.plan()
        return applied(run(made, made._fleet, plans, self.journal, self.file, saved(plans, "provision", time="then")))

    def resume(self):
        unfinished = self.file.load()
        macs = [mac for mac in (ONE, TWO) if mac.name in unfinished.left]
        made = self.provisioning(macs=macs, unfinished=unfinished, is_resumed=True)
        return applied(run(made, made._fleet, made.plan(), self.journal, self.file))


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def test_a_plan_comes_back_from_its_file_as_it_was(desk, tmp_path):
    plan = saved(desk.provisioning().plan(), "provision", only=("power",), variables={"release": "1"}, time="2026-11-20T03:12:40+00:00")

    write_plan(plan, tmp_path / "plan.json")

    assert read_plan(tmp_path / "plan.json") == plan
    assert stat.S_IMODE((tmp_path / "plan.json").stat().st_mode) == 0o600


def test_no_secret_is_in_a_plan(desk, tmp_path):
    plan = saved(desk.provisioning().plan(), "provision")

    assert "tskey" not in json.dumps(plan.as_json())


def test_macs_that_have_not_moved_are_held_to_the_plan(desk):
    plan = saved(desk.provisioning().plan(), "provision")

    report = planned(hold_to(plan, desk.provisioning().plan()))

    assert [mac.outcome for mac in report.macs] == ["would change", "would change"]


def test_a_mac_that_has_moved_since_is_refused_and_the_error_says_how(desk):
    plan = saved(desk.provisioning().plan(), "provision", time="2026-11-20T03:12:40+00:00")
    desk.two.pmset["sleep"] = "5"

    one, two = planned(hold_to(plan, desk.provisioning().plan())).macs

    assert (one.outcome, two.outcome) == ("would change", "failed")
    assert two.error.what == "studio-2 has moved since the plan was made (2026-11-20T03:12:40+00:00)"
    assert two.error.truths == (
        "in the plan, and not wanted any more: pmset sleep 1 → 0",
        "not in the plan, and wanted now: pmset sleep 5 → 0",
        "nothing was changed there",
    )


def test_the_same_words_about_another_content_are_not_the_same_plan(desk):
    plan = saved(desk.provisioning().plan(), "provision")
    (changes,) = {plan.macs["studio-1"]}
    other = replace(plan, macs={**plan.macs, "studio-1": (replace(changes[0], sha256="0" * 64), *changes[1:])})

    report = planned(hold_to(other, desk.provisioning().plan()))

    assert report.macs[0].outcome == "failed"


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 2}', '{"schema": 1, "plan": {}, "macs": []}', '{"schema": 1, "plan": 3}'])
def test_another_file_than_a_plan_is_refused(text):
    with pytest.raises(RequestError, match=r"x\.json holds no plan"):
        parse_plan(text, "x.json")


def test_a_run_that_ends_well_leaves_nothing_to_resume(desk):
    desk.run()

    assert desk.file.load() is None
    assert not desk.file.path.exists()


def test_a_lost_mac_is_gone_on_with_where_it_stood_and_the_others_are_left_alone(desk):
    desk.two.drops_at = "tailscale up"
    first = desk.run()
    desk.two.drops_at = ""
    desk.one.trips.clear()

    second = desk.resume()

    assert isinstance(first.macs[1].error, ConnectionDropped)
    assert [mac.mac for mac in second.macs] == ["studio-2"]
    assert second.macs[0].outcome == "changed"
    assert not {change.what for _, change in first.macs[1].changes} & {change.what for _, change in second.macs[0].changes}
    assert desk.one.trips == ["read"]  # looked at, as the other end of a cable
    assert desk.file.load() is None


def test_what_was_never_in_the_plan_is_not_done_by_resuming(desk):
    desk.playbook = batches(serial=1)
    desk.two.drops_at = "pmset -a"
    desk.run()
    desk.two.drops_at = ""
    desk.playbook = PLAYBOOK

    report = desk.resume()

    assert "differs in other things than when its plan was shown" in report.macs[0].error.what
    assert report.macs[0].error.truths[0] == "was not in that plan: pmset disksleep 10 → 0"
    assert desk.two.pmset["sleep"] == "1"


def test_a_handler_that_was_not_reached_runs_when_its_run_is_gone_on_with(desk):
    desk.playbook = batches(serial=2)
    desk.two.drops_at = "motd.macfleet-new"
    desk.run()
    desk.two.drops_at = ""

    report = desk.resume()

    assert [change.what for _, change in report.macs[0].changes] == ["file /etc/motd"]
    assert desk.two.files["/etc/motd"].content == b"awake"


def test_a_handler_runs_even_when_nobody_wrote_down_that_its_task_was_done(desk):
    desk.playbook = batches(serial=2)
    desk.two.drops_at = "motd.macfleet-new"
    desk.run()
    desk.two.drops_at = ""
    kept = [line for line in desk.file.path.read_text().splitlines(keepends=True) if '"made"' not in line]
    desk.file.path.write_text("".join(kept))

    report = desk.resume()

    assert [change.what for _, change in report.macs[0].changes] == ["file /etc/motd"]


def test_a_handler_that_was_not_reached_also_runs_when_the_same_command_is_given_again(desk):
    desk.playbook = batches(serial=2)
    desk.two.drops_at = "motd.macfleet-new"
    desk.run()
    desk.two.drops_at = ""

    again, once_more = desk.run(), desk.run()

    assert [(mac.outcome, [change.what for _, change in mac.changes]) for mac in again.macs] == [
        ("ok", []),
        ("changed", ["file /etc/motd"]),
    ]
    assert [mac.outcome for mac in once_more.macs] == ["ok", "ok"]
    assert not desk.file.path.exists()


def test_a_run_on_other_macs_does_not_forget_the_one_that_was_lost(desk):
    desk.playbook = batches(serial=2)
    desk.two.drops_at = "motd.macfleet-new"
    desk.run()
    desk.two.drops_at = ""
    desk.one.pmset["sleep"] = "5"

    desk.run(macs=(ONE,))
    report = desk.resume()

    assert [(mac.mac, [change.what for _, change in mac.changes]) for mac in report.macs] == [("studio-2", ["file /etc/motd"])]


TAGGED = """
tasks:
  - name: It stays awake
    tags: [power]
    notify: [The motd tells of it]
    pmset: {sleep: 0}
  - name: Its disks stay awake
    tags: [disks]
    pmset: {disksleep: 0}
handlers:
  - name: The motd tells of it
    file: {path: /etc/motd, content: awake}
"""


def test_a_task_that_is_left_out_by_its_tag_is_not_taken_for_done(desk):
    whole = load_playbook(TAGGED, "tagged.yaml")
    desk.playbook = whole
    desk.two.drops_at = "pmset -a"
    desk.run()
    desk.two.drops_at = ""
    desk.playbook = whole.tagged(["disks"])

    report = desk.run()

    assert [change.what for _, change in report.macs[1].changes] == ["pmset disksleep"]


def test_a_batch_that_was_not_begun_is_begun_by_resuming(desk):
    desk.playbook = batches(serial=1)
    desk.one.forgets_pmset = True
    first = desk.run()
    desk.one.forgets_pmset = False

    second = desk.resume()

    assert [mac.outcome for mac in first.macs] == ["failed", "not begun"]
    assert [mac.outcome for mac in second.macs] == ["changed", "changed"]


def test_a_last_line_that_a_kill_cut_short_does_not_count(desk, tmp_path):
    desk.two.drops_at = "tailscale up"
    desk.run()
    text = desk.file.path.read_text() + '{"finished": "studio-2'

    assert parse_run(text, tmp_path).left == ("studio-2",)


@pytest.mark.parametrize("text", ["", "x\n", "{}\n", "[1]\n"])
def test_another_file_than_a_run_is_refused(text, tmp_path):
    with pytest.raises(RequestError, match="holds no run"):
        parse_run(text, tmp_path / "run.jsonl")


def test_the_journal_tells_of_the_run(desk):
    desk.run()

    events = [(entry["event"], entry.get("mac")) for entry in desk.journal.entries()]
    assert events == [("provision-begun", None), ("provision", "studio-1"), ("provision", "studio-2")]
