"""Taking back: a Mac is as it was before macfleet came."""

import copy
from dataclasses import fields

import pytest

from macfleet.core.clock import HandClock
from macfleet.core.errors import Interrupted, RequestError
from macfleet.fleet.fleet import Fleet
from macfleet.fleet.journal import Journal
from macfleet.inventory.mac import Inventory
from macfleet.macos.ledger import Entry
from macfleet.serving.unprovision import Wishes, apply, plan
from macfleet.serving.unprovision_mac import made_for
from tests.serving.ledger_mac import STATE
from tests.serving.test_provision import ONE, PLAYBOOK, TWO, Lines, pair, run

# What a Mac is, as opposed to what a test writes down about it.
OF_THE_TEST = {"ctrl_c_at", "trips", "log", "heard", "secrets_seen"}


def looks(mac):
    return {field.name: copy.deepcopy(getattr(mac, field.name)) for field in fields(mac) if field.name not in OF_THE_TEST}


class Desk:
    def __init__(self, folder):
        self.folder = folder
        self.one, self.two = pair()
        for mac in (self.one, self.two):
            mac.files.pop(STATE)
        self.lines = Lines(studio_1=self.one, studio_2=self.two)
        self.journal = Journal(folder / "journal.jsonl")
        self.before = looks(self.one), looks(self.two)

    def fleet(self):
        return Fleet(Inventory(self.folder / "inventory.yaml", "x", (ONE, TWO)), (ONE, TWO), connect=self.lines, clock=HandClock())

    def provision(self):
        report = run(self.lines)
        assert [mac.outcome for mac in report.macs] == ["changed", "changed"], [mac.error for mac in report.macs]

    def take_back(self, **wishes):
        with self.fleet() as fleet:
            return apply(fleet, plan(fleet, Wishes(**wishes)), Wishes(**wishes), self.journal)


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def test_a_provisioned_mac_is_as_it_was(desk):
    desk.provision()

    report = desk.take_back()

    assert {name: undone.failed for name, undone in report.values().items()} == {"studio-1": (), "studio-2": ()}
    assert (looks(desk.one), looks(desk.two)) == desk.before


def test_what_macfleet_changed_twice_goes_back_to_what_it_was_at_first(desk):
    desk.provision()
    desk.one.pmset["sleep"] = "5"
    run(desk.lines)

    desk.take_back()

    assert desk.one.pmset["sleep"] == "1"


def test_a_plan_says_what_it_would_be_again_and_writes_nothing(desk):
    desk.provision()
    before = looks(desk.one)

    with desk.fleet() as fleet:
        undo = plan(fleet, Wishes()).values()["studio-1"]

    assert "pmset sleep → 1" in undo.lines()
    assert "sysctl iogpu.wired_limit_mb → 0" in undo.lines()
    assert undo.lines()[-1] == f"{STATE} → absent"
    assert looks(desk.one) == before


def test_a_mac_that_macfleet_never_touched_is_left_alone(desk):
    report = desk.take_back()

    assert [undone.done for undone in report.values().values()] == [(), ()]
    assert (looks(desk.one), looks(desk.two)) == desk.before
    assert desk.one.heard == []


def test_what_cannot_be_taken_back_stays_in_the_ledger_and_keeps_nothing_else(desk):
    desk.provision()
    desk.one.broken.add("sysctl")

    report = desk.take_back().values()
    desk.one.broken.clear()
    again = desk.take_back().values()

    assert [what for what, _ in report["studio-1"].failed] == ["sysctl iogpu.wired_limit_mb"]
    assert report["studio-2"].failed == ()
    assert desk.journal.entries()[1]["error"].startswith("sysctl iogpu.wired_limit_mb: ")
    assert "sysctl iogpu.wired_limit_mb → 0" in again["studio-1"].done
    assert not any(line.startswith("pmset") for line in again["studio-1"].done)
    assert looks(desk.one) == desk.before[0]


def test_ctrl_c_leaves_a_mac_that_the_same_command_goes_on_with(desk):
    desk.provision()
    desk.one.ctrl_c_at = "sysctl iogpu.wired_limit_mb=0"

    with pytest.raises(Interrupted) as raised:
        desk.take_back()
    desk.one.ctrl_c_at = ""
    done = desk.take_back().values()["studio-1"].done

    assert raised.value.truths == ("each Mac's ledger says what is left to take back there",)
    assert "sysctl iogpu.wired_limit_mb → 0" in done
    assert "launchd dev.macfleet.agent → absent" not in done
    assert looks(desk.one) == desk.before[0]


def test_a_thing_that_is_left_is_forgotten(desk):
    desk.provision()
    desk.one.broken.add("sysctl")

    report = desk.take_back(leave=("sysctl iogpu.wired_limit_mb",)).values()

    assert report["studio-1"].failed == ()
    assert "sysctl iogpu.wired_limit_mb → as it is now" in report["studio-1"].done
    assert desk.one.sysctls["iogpu.wired_limit_mb"] == "57344"
    assert desk.one.ledger == b""


def test_a_misspelt_thing_to_leave_is_refused_with_the_near_one(desk):
    desk.provision()

    with pytest.raises(RequestError) as raised:
        desk.take_back(leave=("sysctl iogpu.wired_limit",))

    assert raised.value.hint == 'did you mean "sysctl iogpu.wired_limit_mb"?'


def test_a_dead_mac_stops_no_neighbour(desk):
    desk.provision()
    del desk.lines.macs["studio-2"]

    report = desk.take_back()

    assert list(report.errors()) == ["studio-2"]
    assert looks(desk.one) == desk.before[0]


def test_sudo_that_asks_is_said_before_anything_is_done(desk):
    desk.provision()
    desk.one.sudo_asks = True
    before = looks(desk.one)

    report = desk.take_back()

    assert "sudo asks for a password" in report["studio-1"].error.what
    assert "macfleet enroll studio-1" in report["studio-1"].error.hint
    assert looks(desk.one) == before


def test_a_job_that_nobody_wrote_down_ends_and_goes(desk):
    run(desk.lines, playbook=PLAYBOOK.tagged(["wired-limit"]))
    desk.one.ledger = b""

    with desk.fleet() as fleet:
        undo = plan(fleet, Wishes()).values()["studio-1"]
    desk.take_back()

    assert undo.jobs == ("dev.macfleet.wired-limit",)
    assert undo.note.startswith("its ledger tells of no change")
    assert desk.one.jobs == {}
    assert "/Library/LaunchDaemons/dev.macfleet.wired-limit.plist" not in desk.one.files


def test_the_access_is_the_last_thing_to_go_and_stays_when_it_is_wanted(desk):
    rule = Entry("sudoers", (("sudo", "-n", "rm", "-f", "/etc/sudoers.d/macfleet"),), "absent", "enroll", "then")
    desk.one.enrol(rule)
    desk.provision()

    kept = desk.take_back(keep_access=True).values()["studio-1"]
    has_rule, left = "/etc/sudoers.d/macfleet" in desk.one.files, desk.one.entries()
    gone = desk.take_back().values()["studio-1"]

    assert not any("sudoers" in line for line in kept.done)
    assert (has_rule, left) == (True, (rule,))
    assert gone.done[-1] == "sudoers → absent, last of all"
    assert looks(desk.one) == desk.before[0]


def test_directories_made_for_others_go_from_the_inside():
    inner = Entry("file", (("sudo", "-n", "rm", "-f", "/a/b/c/file"), *removals("/a/b/c", "/a/b")), "absent", "provision", "then")
    outer = Entry("other", removals("/a"), "absent", "provision", "then")

    assert made_for([outer, inner]) == ["/a/b/c", "/a/b", "/a"]


def removals(*paths):
    from macfleet.macos.files import remove_if_empty

    return tuple(("sudo", "-n", *remove_if_empty(path).argv) for path in paths)
