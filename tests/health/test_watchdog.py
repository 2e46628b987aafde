from dataclasses import replace

import pytest

from macfleet.core.clock import HandClock
from macfleet.health.heartbeat import Beat, parse_beat
from macfleet.health.watchdog import Action, Patience, Watch, begin, decide, observe, suspicion

PATIENCE = Patience(silent_s=5, starting_s=120, step_s=300, grace_s=20, grace_busy_s=60, again_s=30)
PID = 4711


class Worker:
    """A worker and its watchdog on one clock: `after` lets time pass and tells what the watchdog does."""

    def __init__(self, pid=PID):
        self.clock = HandClock(1000.0)
        self.pid = pid
        self.watch = begin(self.clock.monotonic())
        self.beats()
        self.after(0)

    def beats(self, busy_s=None, pid=None):
        wall = 5_000_000 + self.clock.now()
        busy_since = None if busy_s is None else wall - busy_s
        self.watch = observe(self.watch, Beat(pid or self.pid, wall, busy_since, 1), self.clock.monotonic())

    def after(self, seconds):
        self.clock.sleep(seconds)
        decision = decide(self.watch, self.pid, self.clock.monotonic(), PATIENCE)
        self.watch = decision.watch
        return decision.action


@pytest.mark.parametrize(("silent_s", "action"), [(0.5, Action.NOTHING), (5, Action.NOTHING), (5.1, Action.TERMINATE)])
def test_a_worker_that_is_silent_for_too_long_is_ended(silent_s, action):
    assert Worker().after(silent_s) is action


def test_it_is_asked_once_and_killed_only_after_the_grace():
    worker = Worker()

    actions = [worker.after(seconds) for seconds in (6, 1, 19, 1.1, 1, 28, 2)]

    nothing = Action.NOTHING
    assert actions == [Action.TERMINATE, nothing, nothing, Action.KILL, nothing, nothing, Action.KILL]


def test_a_worker_that_beats_while_it_ends_has_more_time():
    worker = Worker()
    worker.beats(busy_s=301)
    asked = worker.after(0)

    actions = []
    for _ in range(12):
        worker.clock.sleep(5)
        worker.beats(busy_s=301)
        actions.append(worker.after(0))

    assert asked is Action.TERMINATE
    assert set(actions) == {Action.NOTHING}
    worker.clock.sleep(1)
    worker.beats(busy_s=301)
    assert worker.after(0) is Action.KILL


@pytest.mark.parametrize(("busy_s", "action"), [(None, Action.NOTHING), (299, Action.NOTHING), (301, Action.TERMINATE)])
def test_a_step_that_never_ends_is_as_bad_as_silence(busy_s, action):
    worker = Worker()

    worker.beats(busy_s=busy_s)

    assert worker.after(0) is action


def test_a_worker_that_launchd_does_not_run_is_launchds_business():
    worker = Worker()
    worker.pid = None

    assert worker.after(100) is Action.NOTHING


def test_a_new_process_has_time_to_start_though_the_file_is_of_the_old_one():
    worker = Worker()
    worker.after(6)
    worker.pid = 4712

    assert [worker.after(seconds) for seconds in (1, 119, 2)] == [Action.NOTHING, Action.NOTHING, Action.TERMINATE]


def test_a_new_process_that_beats_is_well():
    worker = Worker()
    worker.after(6)
    worker.pid = 4712

    worker.beats()

    assert worker.after(1) is Action.NOTHING
    assert suspicion(worker.watch, worker.clock.monotonic(), PATIENCE) == ""


def test_a_worker_that_recovered_is_asked_gently_again_next_time():
    worker = Worker()
    worker.after(6)
    worker.beats()
    worker.after(1)

    assert worker.after(30) is Action.TERMINATE


def test_a_clock_that_was_set_back_changes_nothing():
    worker = Worker()

    worker.watch = observe(worker.watch, replace(worker.watch.beat, time=1.0), worker.clock.monotonic())

    assert worker.after(4) is Action.NOTHING


def test_after_the_agent_itself_was_stopped_everybody_has_all_the_time_again():
    worker = Worker()
    worker.clock.sleep(3600)

    worker.watch = observe(worker.watch, worker.watch.beat, worker.clock.monotonic(), was_away=True)

    assert [worker.after(seconds) for seconds in (4, 2)] == [Action.NOTHING, Action.TERMINATE]


def test_a_file_that_cannot_be_read_is_not_a_sign_of_life():
    worker = Worker()
    worker.clock.sleep(6)

    worker.watch = observe(worker.watch, None, worker.clock.monotonic())

    assert worker.after(0) is Action.TERMINATE


def test_the_reason_is_said():
    watch = Watch(beat=Beat(PID, 10, None, 1), changed_at=100, pid=PID, pid_since=0)

    terminate = decide(watch, PID, 107, PATIENCE)
    kill = decide(terminate.watch, PID, 130, PATIENCE)
    again = decide(kill.watch, PID, 170, PATIENCE)

    assert terminate.reason == "no sign of life for 7 s"
    assert kill.reason == "no sign of life for 30 s, and SIGTERM did not end it in 23 s"
    assert again.reason.endswith("it survives SIGKILL: only a reboot will end it")


def test_a_heartbeat_is_read():
    assert parse_beat('{"pid": 7, "time": 12.5, "busy_since": 10.0, "epoch": 3}') == Beat(7, 12.5, 10.0, 3)
    assert parse_beat('{"pid": 7, "time": 12.5, "busy_since": null, "epoch": 3}').busy_s == 0


WHOLE = '{"pid": 7, "time": 12.5, "busy_since": null, "epoch": 3}'


@pytest.mark.parametrize(
    "text",
    [*(WHOLE[:length] for length in range(len(WHOLE))), "[]", "7", '{"pid": "x", "time": 1, "busy_since": null, "epoch": 1}', "[" * 9999],
)
def test_half_a_heartbeat_is_none(text):
    assert parse_beat(text) is None
