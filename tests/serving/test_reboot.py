import json
import plistlib

import pytest

from macfleet.core.errors import MacfleetError, RequestError
from macfleet.engines.base import gateway_label, worker_label
from macfleet.fleet.journal import Journal
from macfleet.serving.reboot import Roller, abandon, interrupted, read_for_roll
from macfleet.serving.roll_file import RollFile, refuse_unfinished
from macfleet.serving.services import render_deployed
from macfleet.window.roll import RollOptions, StateDamaged
from tests.serving.small_mac import SmallFleet, SmallMac, StubGateway, boot_id
from tests.serving.test_services import deployed

NAMES = ("studio-1", "studio-2", "studio-3")
OPTIONS = RollOptions(return_s=60.0)


class RollableMac(SmallMac):
    """Answers what preflight asks; fails every check that it does not understand, before as after."""

    filevault = "Off"
    builds = ("25F71", "25F71")  # before its reboot and after

    def _sw_vers(self, words, stdin):
        build = self.builds[min(self.boot, 2) - 1]
        return f"ProductName:\t\tmacOS\nProductVersion:\t\t26.5\nBuildVersion:\t\t{build}\n"

    def _sudo(self, words, stdin):
        return ""

    def _fdesetup(self, words, stdin):
        return f"FileVault is {self.filevault}.\n"

    def _stat(self, words, stdin):
        return 1, "No such file or directory"


@pytest.fixture
def stub():
    stub = StubGateway()
    yield stub
    stub.close()


@pytest.fixture
def fleet(tmp_path, stub):
    fleet = SmallFleet(tmp_path, *NAMES)
    fleet.small.update({name: RollableMac(name, port=stub.port) for name in NAMES})
    for mac in fleet.small.values():
        labels = [worker_label("chat"), *([gateway_label("chat")] if mac.name == "studio-1" else [])]
        for label in labels if mac.name != "studio-3" else []:
            mac.files[f"/Library/LaunchDaemons/{label}.plist"] = plistlib.dumps({"Label": label})
            mac._load(label)
    fleet.small["studio-1"].files["/opt/macfleet/services/chat/service.json"] = render_deployed(deployed()).encode()
    return fleet


def roller(fleet):
    services = read_for_roll(fleet, {})
    return Roller(fleet, RollFile(fleet.inventory), Journal(fleet.inventory.state_dir / "journal.jsonl"), services)


def roll(fleet, accepted=()):
    rolling = roller(fleet)
    return rolling.run(rolling.begin(fleet.macs, OPTIONS, accepted))


def resume(fleet):
    found, remembered = RollFile(fleet.inventory).load()
    services = read_for_roll(fleet, remembered)
    rolling = Roller(fleet, RollFile(fleet.inventory), Journal(fleet.inventory.state_dir / "journal.jsonl"), services)
    return rolling.run(rolling.go_on(found, ()))


def boots(fleet):
    return [fleet.small[name].boot for name in NAMES]


def test_every_mac_is_restarted_once_and_the_service_answers_behind_each(fleet, stub):
    done = roll(fleet)

    assert done.is_finished
    assert boots(fleet) == [2, 2, 2]
    assert stub.asked.count("/admin/drain") == stub.asked.count("/admin/resume") == 2  # two of the Macs serve
    assert stub.state == "ready"
    assert not RollFile(fleet.inventory).path.exists()


def test_jobs_are_booted_out_before_the_restart_and_their_plists_stay(fleet):
    roll(fleet)

    log = fleet.small["studio-2"].log
    bootout = next(n for n, line in enumerate(log) if "bootout" in line)
    restart = next(n for n, line in enumerate(log) if "shutdown -r" in line)
    assert bootout < restart
    assert worker_label("chat") in fleet.small["studio-2"].jobs  # launchd started it at boot


def test_a_roll_stops_at_the_first_mac_that_does_not_return_and_resume_goes_on(fleet):
    fleet.small["studio-2"].returns = False

    with pytest.raises(MacfleetError, match="studio-2 did not come back after its reboot") as stopped:
        roll(fleet)

    assert boots(fleet) == [2, 2, 1]
    assert "studio-1 is done: rebooted, verified and back in service" in stopped.value.truths
    assert "studio-3 was not touched" in stopped.value.truths
    assert "--resume" in stopped.value.hint

    fleet.small["studio-2"].is_up = True
    assert resume(fleet).is_finished
    assert boots(fleet) == [2, 2, 2]


def test_a_roll_that_is_interrupted_says_where_every_mac_stands_and_resume_goes_on(fleet):
    begun = interrupted(RollFile(fleet.inventory))

    def press_ctrl_c(text):
        if text == "studio-2: verifying":
            raise KeyboardInterrupt

    rolling = Roller(fleet, RollFile(fleet.inventory), Journal(fleet.inventory.state_dir / "j"), read_for_roll(fleet, {}), press_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        rolling.run(rolling.begin(fleet.macs, OPTIONS, ()))
    error = interrupted(RollFile(fleet.inventory))

    assert begun.what == "interrupted before any Mac was restarted"
    assert error.exit_code == 130
    assert error.truths == (
        "studio-2 has restarted and is not verified yet",
        "studio-1 is done: rebooted, verified and back in service",
        "studio-3 was not touched",
    )
    assert "--resume" in error.hint
    assert resume(fleet).is_finished
    assert boots(fleet) == [2, 2, 2]


def test_an_unfinished_roll_is_never_silently_replaced(fleet):
    fleet.small["studio-2"].returns = False
    with pytest.raises(MacfleetError):
        roll(fleet)

    with pytest.raises(RequestError, match=r"a rolling reboot is under way: it stands at studio-2 \(returning\)"):
        refuse_unfinished(RollFile(fleet.inventory).load())


def test_an_abandoned_roll_lets_the_service_take_requests_again(fleet, stub):
    fleet.small["studio-2"].returns = False
    with pytest.raises(MacfleetError):
        roll(fleet)
    assert stub.state == "draining"
    file = RollFile(fleet.inventory)

    left = abandon(fleet, file, *file.load())

    assert left[0] == "studio-2 stood at returning"
    assert "nobody knows whether its jobs run" in left[1]
    assert left[-1] == "chat takes requests again"
    assert stub.state == "ready"
    assert file.load() is None


def test_an_abandoned_roll_starts_again_what_was_stopped_for_a_reboot_that_did_not_come(fleet, stub):
    def press_ctrl_c(text):
        if "restarting" in text:
            raise KeyboardInterrupt

    rolling = Roller(fleet, RollFile(fleet.inventory), Journal(fleet.inventory.state_dir / "j"), read_for_roll(fleet, {}), press_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        rolling.run(rolling.begin(fleet.macs, OPTIONS, ()))
    assert fleet.small["studio-1"].jobs == {}
    file = RollFile(fleet.inventory)

    left = abandon(fleet, file, *file.load())

    assert sorted(fleet.small["studio-1"].jobs) == [gateway_label("chat"), worker_label("chat")]
    assert f"studio-1: {worker_label('chat')} is started again" in left


def test_a_damaged_state_is_forgotten_and_drained_services_take_requests_again(fleet, stub):
    file, stub.state = RollFile(fleet.inventory), "draining"
    file.path.parent.mkdir(exist_ok=True)
    file.path.write_text("{")

    with pytest.raises(StateDamaged, match=r"roll\.json"):
        file.load()
    assert abandon(fleet, file, None, read_for_roll(fleet, {})) == ("chat takes requests again",)

    assert stub.state == "ready"
    assert file.load() is None


def test_a_mac_that_is_away_before_the_roll_keeps_it_from_beginning_and_resume_begins_it(fleet):
    fleet.small["studio-3"].is_up = False

    with pytest.raises(MacfleetError, match="the roll did not begin: studio-3 cannot be reached"):
        roll(fleet)
    assert boots(fleet) == [1, 1, 1]

    fleet.small["studio-3"].is_up = True
    fleet.forget(fleet.inventory.mac("studio-3"))
    refuse_unfinished(RollFile(fleet.inventory).load())  # nothing was touched: a new one would be accepted too
    assert resume(fleet).is_finished


def test_filevault_keeps_the_roll_from_beginning_until_it_is_accepted_by_name(fleet):
    fleet.small["studio-2"].filevault = "On"

    with pytest.raises(MacfleetError, match="studio-2: FileVault is on") as refused:
        roll(fleet)

    assert "--accept-risk filevault" in refused.value.hint
    assert roll(fleet, ("filevault",)).is_finished


def test_a_service_that_is_not_healthy_before_the_roll_is_said(fleet, stub):
    stub.state = "assembling"

    with pytest.raises(MacfleetError, match="the service chat is not healthy: assembling"):
        roll(fleet)


def test_a_service_is_asked_again_what_it_was_asked_when_it_was_deployed(fleet, stub):
    fleet.small["studio-1"].files["/opt/macfleet/services/chat/service.json"] = render_deployed(
        deployed(canary_prompt="Say what an older macfleet asked.", canary_max_tokens=8, canary_answer="four five six")
    ).encode()

    assert roll(fleet).is_finished

    assert stub.prompts == ["Say what an older macfleet asked."] * 2


def test_a_service_whose_answer_changed_stops_the_roll(fleet, stub):
    answers = iter(["a", *"bcdefghij" * 200])
    stub.text = lambda: next(answers)
    fleet.small["studio-1"].files["/opt/macfleet/services/chat/service.json"] = render_deployed(
        deployed(canary_prompt="Say a.", canary_max_tokens=8, canary_answer="a")
    ).encode()

    with pytest.raises(MacfleetError, match="the service does not say any more what it said") as stopped:
        roll(fleet)

    assert 'then "a"' in stopped.value.truths
    assert "studio-2 is rebooted and verified" in stopped.value.truths
    assert fleet.small["studio-3"].boot == 1


def test_a_mac_that_comes_back_with_another_build_stops_the_roll_and_says_how_the_service_is(fleet, stub):
    fleet.small["studio-2"].builds = ("25F71", "25E253")

    with pytest.raises(MacfleetError, match="studio-2 came back, but not as it was: same-build failed") as stopped:
        roll(fleet)

    assert any("25E253 on studio-2" in truth for truth in stopped.value.truths)
    assert "chat is draining" in stopped.value.truths
    assert boots(fleet) == [2, 2, 1]


def test_what_fails_behind_a_reboot_is_said_at_once_and_not_when_nobody_waits_any_more(fleet):
    fleet.small["studio-2"].builds, said = ("25F71", "25E253"), []
    rolling = Roller(fleet, RollFile(fleet.inventory), Journal(fleet.inventory.state_dir / "j"), read_for_roll(fleet, {}), said.append)

    with pytest.raises(MacfleetError):
        rolling.run(rolling.begin(fleet.macs, OPTIONS, ()))

    assert len([line for line in said if line.startswith("studio-2: same-build: 25F71 on studio-1 and studio-3; 25E253 on studio-2")]) == 1


def test_every_step_is_in_the_journal(fleet):
    roll(fleet)

    lines = (fleet.inventory.state_dir / "journal.jsonl").read_text().splitlines()
    steps = [entry["step"] for entry in map(json.loads, lines) if entry.get("mac") == "studio-2"]
    assert steps == ["draining", "stopping", "rebooting", "returning", "settling", "verifying", "serving", "done"]
    assert json.loads(lines[-1])["boot_after"] == boot_id(2)


def test_a_service_whose_head_is_away_is_known_from_its_other_macs_and_keeps_the_roll_from_beginning(fleet):
    fleet.small["studio-2"].files["/opt/macfleet/services/chat/service.json"] = render_deployed(deployed()).encode()
    fleet.small["studio-1"].is_up = False
    rolling = roller(fleet)

    with pytest.raises(MacfleetError, match="the service chat is not healthy: unknown: studio-1"):
        rolling.begin(fleet.macs[1:], OPTIONS, ())


def test_a_mac_that_is_away_and_has_no_part_in_the_roll_stands_in_nobodys_way(fleet):
    fleet.small["studio-3"].is_up = False
    rolling = roller(fleet)

    assert rolling.run(rolling.begin(fleet.macs[:2], OPTIONS, ())).is_finished


def test_a_service_that_was_stopped_while_the_roll_stood_is_forgotten(fleet):
    assert read_for_roll(fleet, {"code": deployed("code", ("studio-3",))}).keys() == {"chat"}
