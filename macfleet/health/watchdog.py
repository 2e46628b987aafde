"""When a worker that launchd calls running is to be ended, so that launchd starts it anew. Pure.

Time is the agent's own monotonic clock: a heartbeat is stale when it has not *changed* for a while, whatever the wall
clock says, which may have been set in between.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from macfleet.health.heartbeat import Beat


@dataclass(frozen=True)
class Patience:
    """How long is too long, in seconds."""

    silent_s: float = 5.0  # ten heartbeats
    starting_s: float = 120.0  # until the first heartbeat of a new process: Python's imports from a cold disk
    step_s: float = 300.0  # one step through the layers; a wedged GPU never ends one (mlx#3142)
    grace_s: float = 20.0  # from SIGTERM to SIGKILL
    grace_busy_s: float = 60.0  # the same for one that beats: it is freeing its memory, or its GPU is wedged
    again_s: float = 30.0  # a process that survives SIGKILL hangs in the kernel; say so now and then


class Action(StrEnum):
    """What to ask of launchd. `wake-and-terminate`: a stopped process cannot take SIGTERM before SIGCONT."""

    NOTHING = "nothing"
    TERMINATE = "wake-and-terminate"
    KILL = "kill"


@dataclass(frozen=True)
class Watch:
    """What the watchdog remembers of one worker between two looks."""

    beat: Beat | None = None
    changed_at: float = 0.0  # when the heartbeat last changed
    pid: int | None = None  # the process that launchd named last
    pid_since: float = 0.0
    asked: Action = Action.NOTHING  # what was asked of that process, and when
    asked_at: float = 0.0


@dataclass(frozen=True)
class Decision:
    """What to remember, what to do, and why."""

    watch: Watch
    action: Action = Action.NOTHING
    reason: str = ""


def begin(now: float) -> Watch:
    """A worker seen for the first time has all the time that a silent one has."""
    return Watch(changed_at=now)


def observe(watch: Watch, beat: Beat | None, now: float, was_away: bool = False) -> Watch:
    """The heartbeat as it is now; None if it cannot be read, which is no change.

    `was_away`: the agent itself was stopped or asleep, and so perhaps was everybody: count from now.
    """
    if beat is None or beat == watch.beat:
        return replace(watch, changed_at=now, asked_at=now) if was_away else watch
    return replace(watch, beat=beat, changed_at=now)


def suspicion(watch: Watch, now: float, patience: Patience) -> str:
    """Why to ask launchd about this worker; empty when it is well."""
    silent_s = now - watch.changed_at
    if silent_s > patience.silent_s:
        return f"no sign of life for {silent_s:.0f} s"
    if watch.beat is not None and watch.beat.busy_s > patience.step_s:
        return f"one step has been running for {watch.beat.busy_s:.0f} s"
    return ""


def calm(watch: Watch) -> Watch:
    """It is well: what was asked of it before does not count any more."""
    return replace(watch, asked=Action.NOTHING)


def decide(watch: Watch, running_pid: int | None, now: float, patience: Patience) -> Decision:
    """What to do about a suspicious worker. `running_pid` None: launchd does not run it, or nobody knows; not our turn."""
    if running_pid is None:
        return Decision(replace(watch, pid=None, asked=Action.NOTHING))
    if running_pid != watch.pid:
        watch = replace(watch, pid=running_pid, pid_since=now, asked=Action.NOTHING)
    reason = suspicion(watch, now, patience)
    if not reason:
        return Decision(calm(watch))
    if _is_starting(watch, now, patience):
        return Decision(watch)
    waited_s = now - watch.asked_at
    match watch.asked:
        case Action.NOTHING:
            return _ask(watch, Action.TERMINATE, reason, now)
        case Action.TERMINATE if waited_s > _grace_s(watch, now, patience):
            return _ask(watch, Action.KILL, f"{reason}, and SIGTERM did not end it in {waited_s:.0f} s", now)
        case Action.KILL if waited_s > patience.again_s:
            return _ask(watch, Action.KILL, f"{reason}, and it survives SIGKILL: only a reboot will end it", now)
    return Decision(watch)


def _is_starting(watch: Watch, now: float, patience: Patience) -> bool:
    """The file may still be that of the process before."""
    has_beaten = watch.beat is not None and watch.beat.pid == watch.pid
    return not has_beaten and now - watch.pid_since <= patience.starting_s


def _grace_s(watch: Watch, now: float, patience: Patience) -> float:
    is_silent = now - watch.changed_at > patience.silent_s
    return patience.grace_s if is_silent else patience.grace_busy_s


def _ask(watch: Watch, action: Action, reason: str, now: float) -> Decision:
    return Decision(replace(watch, asked=action, asked_at=now), action, reason)
