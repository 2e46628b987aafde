import functools
import itertools
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macfleet.core.errors import RequestError
from macfleet.window.actions import Did, Drain, Finished, Look, Reboot, Seen, Serve, Stop, Verified, Verify
from macfleet.window.next_action import next_action, resume
from macfleet.window.preflight import Before, preflight
from macfleet.window.roll import Halt, MacRoll, Roll, RollOptions, Step, parse_roll, render_roll

ROLL = Roll(
    1_790_000_000.0,
    (
        MacRoll("studio-1", ("chat",), ("filevault",), Step.RETURNING, 1_790_000_001.5, "A", None, 1_790_000_000.0, "up"),
        MacRoll("studio-2"),
    ),
    RollOptions(return_s=30.0),
    Halt("studio-1", "it did not come back", ("studio-2 was not touched",), "check its power", 1_790_000_031.0),
)


def test_a_roll_is_read_back_as_it_was_written():
    assert parse_roll(render_roll(ROLL), "roll.json") == ROLL


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"schema": 99}', render_roll(ROLL)[:-40], render_roll(ROLL).replace("returning", "flying")]
)
def test_a_damaged_state_is_refused_with_its_file_and_the_way_out(text):
    with pytest.raises(RequestError, match=r"roll\.json: this is not the state of a rolling reboot") as raised:
        parse_roll(text, "roll.json")

    assert "--abandon" in raised.value.hint


@pytest.mark.parametrize(
    ("place", "value", "complaint"),
    [
        (("options", "drain_s"), "120", 'options/drain_s: "120" is not a number of seconds'),
        (("options", "stop_s"), -1, "options/stop_s: -1 is not a number of seconds"),
        (("options", "return_s"), float("nan"), "options/return_s: NaN is not a number of seconds"),
        (("options", "settle_s"), 10**400, f"options/settle_s: 1{'0' * 39} is not a number of seconds"),
        (("options", "serve_s"), True, "options/serve_s: true is not a number of seconds"),
        (("options",), [], "options is [], not an object"),
        (("started",), None, "null is not a number of seconds"),
        (("macs", 0), "studio-1", 'macs/0 is "studio-1", not an object'),
        (("macs", 0, "name"), 1, "macs/0/name: 1 is not a text"),
        (("macs", 0, "services"), "chat", 'macs/0/services: "chat" is not a list of texts'),
        (("macs", 1, "known_failures"), [None], "macs/1/known_failures: null is not a text"),
        (("macs", 1, "boot_before"), 7, "macs/1/boot_before: 7 is not a text"),
        (("macs", 1, "step"), "flying", "macs/1/step: 'flying' is not a valid Step"),
        (("halt", "truths"), {}, "halt/truths: {} is not a list of texts"),
        (("halt", "at"), "now", 'halt/at: "now" is not a number of seconds'),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_with_its_place(place, value, complaint):
    written = json.loads(render_roll(ROLL))
    inner = functools.reduce(lambda part, key: part[key], place[:-1], written)
    inner[place[-1]] = value

    with pytest.raises(RequestError) as raised:
        parse_roll(json.dumps(written), "roll.json")

    assert str(raised.value) == f"roll.json: this is not the state of a rolling reboot: {complaint}"


@pytest.mark.parametrize(
    ("place", "complaint"),
    [(("options", "drain_s"), 'options has no "drain_s"'), (("macs", 0, "step"), 'macs/0 has no "step"'), (("halt",), "it has no 'halt'")],
)
def test_a_value_that_is_missing_is_not_made_up(place, complaint):
    written = json.loads(render_roll(ROLL))
    inner = functools.reduce(lambda part, key: part[key], place[:-1], written)
    del inner[place[-1]]

    with pytest.raises(RequestError, match=re.escape(complaint)):
        parse_roll(json.dumps(written), "roll.json")


@pytest.mark.parametrize("step", [step for step in Step if step not in (Step.PENDING, Step.DONE)])
def test_wherever_a_roll_is_left_there_is_a_sentence_for_every_mac(step):
    roll = Roll(0.0, (MacRoll("studio-1", step=Step.DONE), MacRoll("studio-2", step=step), MacRoll("studio-3")))

    here, done, untouched = roll.standing()

    assert here.startswith("studio-2 ")
    assert ("not rebooted" in here) == (step in (Step.DRAINING, Step.STOPPING))
    assert (done, untouched) == ("studio-1 is done: rebooted, verified and back in service", "studio-3 was not touched")


def test_between_two_macs_nobody_is_left_half_done():
    roll = Roll(0.0, (MacRoll("studio-1", step=Step.DONE), MacRoll("studio-2"), MacRoll("studio-3")))

    assert roll.standing() == ("studio-1 is done: rebooted, verified and back in service", "studio-2 and studio-3 were not touched")


class Macs:
    """Macs that really restart, and a controller that dies wherever the test wants it to."""

    def __init__(self):
        self.boots = {"studio-1": 0, "studio-2": 0}
        self.reboots_sent = 0

    def carry_out(self, action):
        match action:
            case Look(mac=mac):
                return Seen("up", f"{mac}-{self.boots[mac]}")
            case Reboot(mac, boot_id):
                assert boot_id == f"{mac}-{self.boots[mac]}"
                self.boots[mac] += 1
                return Did()
            case Verify():
                return Verified(())
            case Drain() | Stop() | Serve():
                return Did()


@given(st.lists(st.booleans(), max_size=30))
def test_a_controller_that_dies_anywhere_reboots_every_mac_exactly_once(deaths):
    macs, roll = Macs(), Roll(0.0, (MacRoll("studio-1", ("chat",)), MacRoll("studio-2", ("chat",))), RollOptions(settle_s=0.0))
    observation, written = None, render_roll(roll)

    for dies in itertools.chain(deaths, itertools.repeat(False)):
        roll, action = next_action(roll, observation, 0.0)
        written = render_roll(roll)
        if isinstance(action, Finished):
            break
        observation = macs.carry_out(action)
        if dies:  # behind the action, before what it saw was written down
            roll, observation = resume(parse_roll(written, "roll.json"), 0.0), None

    assert macs.boots == {"studio-1": 1, "studio-2": 1}


FINE = Before("studio-1", may_sudo=True, filevault_is_on=False)


def test_a_fleet_in_order_may_be_rolled():
    assert preflight([FINE], {}, (), 0.0) is None


@pytest.mark.parametrize(
    ("before", "sentence"),
    [
        (Before("studio-2", unreachable="no answer at 10.0.0.2:22"), "studio-2 cannot be reached: no answer at 10.0.0.2:22"),
        (Before("studio-2", may_sudo=False, filevault_is_on=False), "studio-2: sudo asks for a password, so it cannot be told to reboot"),
        (
            Before("studio-2", may_sudo=True, filevault_is_on=True),
            "studio-2: FileVault is on, it would wait for a password before its boot",
        ),
        (Before("studio-2", may_sudo=True), "studio-2: nobody knows whether FileVault would lock it"),
    ],
)
def test_a_mac_that_would_not_come_back_keeps_the_roll_from_beginning(before, sentence):
    halt = preflight([FINE, before], {}, (), 0.0)

    assert halt.what == f"the roll did not begin: {sentence}"
    assert "no Mac was rebooted by this run" in halt.truths
    assert "--resume" in halt.hint


def test_every_reason_is_said_at_once():
    halt = preflight([Before("studio-1", unreachable="gone"), Before("studio-2", unreachable="gone")], {"chat": "503"}, (), 0.0)

    assert halt.what == "the roll did not begin: 3 things stand in its way"
    assert len(halt.truths) == 4


def test_filevault_is_a_danger_that_may_be_accepted_by_its_name():
    locked = Before("studio-2", may_sudo=True, filevault_is_on=True)

    assert "--accept-risk filevault" in preflight([locked], {}, (), 0.0).hint
    assert preflight([locked], {}, ("filevault",), 0.0) is None


def test_accepting_is_not_offered_where_it_would_not_be_enough():
    halt = preflight([FINE, Before("studio-2", unreachable="gone")], {"chat": "waiting"}, (), 0.0)

    assert "--accept-risk" not in halt.hint
