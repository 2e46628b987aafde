from dataclasses import replace

import pytest

from macfleet.window.actions import Did, Drain, Failure, Finished, Look, Problem, Reboot, Seen, Serve, Stand, Stop, Verified, Verify
from macfleet.window.next_action import next_action, resume
from macfleet.window.roll import MacRoll, Roll, RollOptions, Step

NOW = 1_790_000_000.0
UP_BEFORE = Seen("up", "BOOT-A")
UP_AFTER = Seen("up", "BOOT-B")


def roll_of(*names: str, services=("chat",)) -> Roll:
    return Roll(NOW, tuple(MacRoll(name, services) for name in names))


def at(step: Step, *, boot_before="BOOT-A", boot_after=None, since=NOW, services=("chat",)) -> Roll:
    done = MacRoll("studio-1", services, step=Step.DONE, boot_before="X", boot_after="Y")
    here = MacRoll("studio-2", services, step=step, since=since, boot_before=boot_before, boot_after=boot_after)
    return Roll(NOW, (done, here, MacRoll("studio-3", services)))


def play(roll: Roll, *observations, now=NOW):
    """The actions that these observations lead to, and the roll at the end."""
    actions = []
    for observation in observations:
        roll, action = next_action(roll, observation, now)
        actions.append(action)
    return roll, actions


def test_a_mac_is_drained_stopped_rebooted_proved_verified_and_served_before_the_next():
    roll = replace(roll_of("studio-1", "studio-2"), options=RollOptions(settle_s=0.0))

    roll, actions = play(roll, None, UP_BEFORE, Did(), Did(), Did(), UP_AFTER, UP_AFTER, Verified(()), Did())

    kinds = [type(action) for action in actions]
    assert kinds == [Look, Drain, Stop, Reboot, Look, Look, Verify, Serve, Look]
    assert actions[3] == Reboot("studio-1", "BOOT-A")
    assert actions[-1].mac == "studio-2"
    assert (roll.macs[0].step, roll.macs[1].step) == (Step.DONE, Step.PENDING)


def test_a_mac_without_a_service_is_rebooted_without_draining_anything():
    _, actions = play(roll_of("studio-1", services=()), None, UP_BEFORE)

    assert actions[-1] == Reboot("studio-1", "BOOT-A")


def test_the_roll_ends_when_every_mac_is_done():
    roll = Roll(NOW, (MacRoll("studio-1", step=Step.DONE),))

    assert next_action(roll, None, NOW) == (roll, Finished())


@pytest.mark.parametrize("seen", [Seen("up", "BOOT-A"), Seen("timeout"), Seen("refused"), Seen("filevault-locked"), Seen("up", None)])
def test_only_another_boot_id_proves_a_reboot(seen):
    roll, action = next_action(at(Step.RETURNING), seen, NOW + 5)

    assert isinstance(action, Look)
    assert roll.current.step is Step.RETURNING


def test_a_roll_stops_at_the_first_mac_that_does_not_return():
    roll, action = next_action(at(Step.RETURNING), Seen("timeout", detail="no answer at 10.0.0.2:22"), NOW + 600)

    assert isinstance(action, Stand)
    assert action.halt.mac == "studio-2"
    assert action.halt.what == "studio-2 did not come back after its reboot"
    assert "waited 10 min for another boot session than BOOT-A; now: no answer at 10.0.0.2:22" in action.halt.truths
    assert "studio-1 is done: rebooted, verified and back in service" in action.halt.truths
    assert "studio-3 was not touched" in action.halt.truths
    assert roll.macs[2].step is Step.PENDING


def test_a_halted_roll_stands_until_it_is_resumed():
    halted, _ = next_action(at(Step.RETURNING), Seen("timeout"), NOW + 600)

    assert isinstance(next_action(halted, UP_AFTER, NOW + 700)[1], Stand)
    assert isinstance(next_action(resume(halted, NOW + 700), None, NOW + 700)[1], Look)


def test_a_resumed_roll_gives_the_mac_its_whole_deadline_again():
    halted, _ = next_action(at(Step.RETURNING), Seen("timeout"), NOW + 600)

    _, action = next_action(resume(halted, NOW + 5000), Seen("refused"), NOW + 5100)

    assert isinstance(action, Look)
    assert action.until == NOW + 5600


def test_a_locked_disk_is_named_with_the_way_to_unlock_it():
    _, action = next_action(at(Step.RETURNING), Seen("filevault-locked"), NOW + 600)

    assert "its disk is locked" in action.halt.hint


def test_a_mac_that_stays_up_in_its_old_session_did_not_reboot():
    _, action = next_action(at(Step.RETURNING), UP_BEFORE, NOW + 600)

    assert action.halt.what == "studio-2 did not reboot within 10 min: it is up, still in the boot session BOOT-A"


def test_a_controller_that_died_around_the_reboot_compares_the_boot_id_first():
    _, action = next_action(at(Step.REBOOTING), None, NOW)

    assert action == Look("studio-2", "looking whether it has rebooted already")


def test_a_mac_that_rebooted_meanwhile_is_not_rebooted_again():
    roll, action = next_action(at(Step.REBOOTING), UP_AFTER, NOW)

    assert roll.current.step is Step.SETTLING
    assert not isinstance(action, Reboot)


def test_a_mac_that_has_not_rebooted_is_told_again():
    assert next_action(at(Step.REBOOTING), UP_BEFORE, NOW)[1] == Reboot("studio-2", "BOOT-A")


def test_a_mac_that_is_away_after_an_uncertain_reboot_is_waited_for():
    assert next_action(at(Step.REBOOTING), Seen("refused"), NOW)[0].current.step is Step.RETURNING


def test_a_mac_that_restarts_again_by_itself_stops_the_roll():
    _, action = next_action(at(Step.SETTLING, boot_after="BOOT-B"), Seen("up", "BOOT-C"), NOW + 1)

    assert "restarted again by itself" in action.halt.what
    assert "panic" in action.halt.hint


def test_a_restart_while_nobody_looked_is_accepted_on_resume():
    roll, _ = next_action(resume(at(Step.SETTLING, boot_after="BOOT-B"), NOW), Seen("up", "BOOT-C"), NOW)

    assert roll.halt is None
    assert roll.current.boot_after == "BOOT-C"


def test_a_check_that_failed_before_the_roll_does_not_stop_it():
    roll = at(Step.VERIFYING)
    roll = roll.with_mac(replace(roll.current, known_failures=("filevault",)))

    assert isinstance(next_action(roll, Verified((Failure("filevault"),)), NOW)[1], Serve)


def test_a_new_failure_is_looked_at_again_and_then_stops_the_roll():
    roll = at(Step.VERIFYING)

    failed = Verified((Failure("wired-limit", "0; `macfleet provision` sets it"),))

    assert isinstance(next_action(roll, failed, NOW + 10)[1], Verify)
    halt = next_action(roll, failed, NOW + 180)[1].halt
    assert halt.what == "studio-2 came back, but not as it was: wired-limit failed, and did not before the roll"
    assert "wired-limit: 0; `macfleet provision` sets it" in halt.truths


def test_a_service_that_does_not_answer_again_stops_the_roll():
    roll = at(Step.SERVING)

    assert isinstance(next_action(roll, Problem("chat is assembling"), NOW + 10)[1], Serve)
    assert next_action(roll, Problem("chat is assembling"), NOW + 600)[1].halt.what == "after the reboot of studio-2: chat is assembling"


def test_a_wrong_answer_is_not_waited_through():
    assert isinstance(next_action(at(Step.SERVING), Problem("chat says something else", is_final=True), NOW + 1)[1], Stand)


@pytest.mark.parametrize("step", [Step.DRAINING, Step.STOPPING])
def test_a_mac_whose_jobs_do_not_end_is_not_rebooted(step):
    _, action = next_action(at(step), Problem("the gateway does not answer"), NOW)

    assert isinstance(action, Stand)
    assert any("was not rebooted" in truth for truth in action.halt.truths)


def test_a_mac_that_is_away_before_its_turn_is_not_touched():
    _, action = next_action(roll_of("studio-1"), Seen("timeout"), NOW)

    assert action.halt.what == "studio-1 cannot be reached (timeout), before anything was done to it"
