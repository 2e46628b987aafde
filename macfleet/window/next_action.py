"""The rolling reboot, one decision at a time.

Drain, stop gently, reboot, another boot id, settled, verified, serving again, next Mac. The roll returned with an action
is written down before the action is carried out: whoever picks it up again knows what may already have happened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from macfleet.core.units import clock_time, format_duration
from macfleet.window.actions import (
    Action,
    Did,
    Drain,
    Finished,
    Look,
    Observation,
    Problem,
    Reboot,
    Seen,
    Serve,
    Stand,
    Stop,
    Verified,
    Verify,
)
from macfleet.window.roll import Halt, MacRoll, Roll, Step

Decision = tuple[Roll, Action]

_RESUME = "run `macfleet rolling-reboot --resume`"


def next_action(roll: Roll, observation: Observation | None, now: float) -> Decision:
    """The roll after `observation` (None: just started or picked up again) and what to do next."""
    mac = roll.current
    if mac is None:
        return roll, Finished()
    if roll.halt is not None:
        return roll, Stand(roll.halt)
    if isinstance(observation, Seen):
        mac = replace(mac, last_reach=observation.reach, last_seen=now if observation.is_up else mac.last_seen)
        roll = roll.with_mac(mac)
    return _DECIDE[mac.step](roll, mac, observation, now)


def resume(roll: Roll, now: float) -> Roll:
    """The same roll, not halted any more, with fresh deadlines for the Mac it stood at."""
    mac = roll.current
    if mac is None:
        return roll
    # A Mac that came back while nobody looked may have restarted more than once: any boot id but the first will do.
    fresh = replace(mac, since=now, boot_after=None if mac.step is Step.SETTLING else mac.boot_after)
    return replace(roll, halt=None).with_mac(fresh)


def _pending(roll: Roll, mac: MacRoll, observation: Observation | None, now: float) -> Decision:
    match observation:
        case Seen(boot_id=str(boot_id)):
            known = replace(mac, boot_before=boot_id)
            return _enter(roll, known, Step.DRAINING if mac.services else Step.REBOOTING, now)
        case Seen(reach=reach, detail=detail):
            what = f"{mac.name} cannot be reached ({detail or reach}), before anything was done to it"
            return _stand(roll, mac, what, now, (), f"look after it, then {_RESUME}")
    return roll, Look(mac.name, "reading its boot session")


def _draining(roll: Roll, mac: MacRoll, observation: Observation | None, now: float) -> Decision:
    match observation:
        case Did():
            return _enter(roll, mac, Step.STOPPING, now)
        case Problem(what, truths=more):
            truths = (*more, f"{mac.name} was not rebooted; its jobs were not stopped")
            return _stand(roll, mac, f"{mac.name}: its services could not be drained: {what}", now, truths, f"then {_RESUME}")
    return roll, Drain(mac.name, mac.services, roll.options.drain_s)


def _stopping(roll: Roll, mac: MacRoll, observation: Observation | None, now: float) -> Decision:
    match observation:
        case Did():
            return _enter(roll, mac, Step.REBOOTING, now)
        case Problem(what, truths=more):
            truths = (*more, f"{mac.name} was not rebooted: a job killed at shutdown may leave its wired memory behind")
            return _stand(roll, mac, f"{mac.name}: its jobs did not stop: {what}", now, truths, f"look at its logs, then {_RESUME}")
    return roll, Stop(mac.name, mac.services, roll.options.stop_s)


def _rebooting(roll: Roll, mac: MacRoll, observation: Observation | None, now: float) -> Decision:
    match observation:
        case Did():
            return _enter(roll, mac, Step.RETURNING, now)
        case Seen(boot_id=str(boot_id)) if boot_id == mac.boot_before:
            return roll, Reboot(mac.name, boot_id)  # compared: whatever was sent before has not happened
        case Seen(boot_id=str(boot_id)):
            return _enter(roll, replace(mac, boot_after=boot_id), Step.SETTLING, now)
        case Seen():
            return _enter(roll, mac, Step.RETURNING, now)
        case Problem(what, truths=more):
            truths = (*more, f"{mac.name} is still in its old boot session; its jobs are stopped")
            return _stand(roll, mac, f"{mac.name} could not be told to reboot: {what}", now, truths, _RESUME)
    return roll, Look(mac.name, "looking whether it has rebooted already")


def _returning(roll: Roll, mac: MacRoll, observation: Observation | None, now: float) -> Decision:
    if isinstance(observation, Seen) and observation.is_up and observation.boot_id != mac.boot_before:
        return _enter(roll, replace(mac, boot_after=observation.boot_id), Step.SETTLING, now)
    waited_s = now - mac.since
    if observation is not None and waited_s >= roll.options.return_s:
        return _did_not_return(roll, mac, observation, now)
    doing = "waiting for it to come back"  # short: it stands in one line of a terminal, with the time
    return roll, Look(mac.name, doing, _poll_s(waited_s, observation), mac.since + roll.options.return_s)


def _did_not_return(roll: Roll, mac: MacRoll, observation: Observation, now: float) -> Decision:
    waited = format_duration(roll.options.return_s)
    if isinstance(observation, Seen) and observation.is_up:
        what = f"{mac.name} did not reboot within {waited}: it is up, still in the boot session {mac.boot_before}"
        return _stand(roll, mac, what, now, (f"{mac.name} has its jobs stopped",), f"see why it refuses to restart, then {_RESUME}")
    reach = observation.reach if isinstance(observation, Seen) else "nothing seen"
    detail = observation.detail if isinstance(observation, Seen) and observation.detail else reach
    seen = f"last seen {clock_time(mac.last_seen)}, " if mac.last_seen else ""
    truths = (
        f"waited {waited} for another boot session than {mac.boot_before}; {seen}now: {detail}",
        *_what_it_takes_along(mac),
    )
    hint = "check its power and FileVault (a locked disk waits for a password)"
    if reach == "filevault-locked":
        hint = f"its disk is locked: `ssh` to {mac.name} with an account's password unlocks it"
    return _stand(roll, mac, f"{mac.name} did not come back after its reboot", now, truths, f"{hint}, then {_RESUME}")


def _settling(roll: Roll, mac: MacRoll, observation: Observation | None, now: float) -> Decision:
    waited_s = now - mac.since
    match observation:
        case Seen(boot_id=str(boot_id)) if mac.boot_after is None and boot_id != mac.boot_before:
            return _enter(roll, replace(mac, boot_after=boot_id), Step.SETTLING, now)
        case Seen(boot_id=str(boot_id)) if boot_id == mac.boot_after and waited_s >= roll.options.settle_s:
            return _enter(roll, mac, Step.VERIFYING, now)
        case Seen(boot_id=str(boot_id)) if boot_id != mac.boot_after:
            truths = (f"its boot session went {mac.boot_before} → {mac.boot_after} → {boot_id}", *_what_it_takes_along(mac))
            hint = f"look for a panic in /Library/Logs/DiagnosticReports on {mac.name}, then {_RESUME}"
            return _stand(roll, mac, f"{mac.name} restarted again by itself after its reboot", now, truths, hint)
        case Seen(boot_id=None) if waited_s >= roll.options.return_s:
            return _did_not_return(roll, mac, observation, now)
    return roll, Look(mac.name, "waiting for it to stay up", min(1.0, roll.options.settle_s), mac.since + roll.options.return_s)


def _verifying(roll: Roll, mac: MacRoll, observation: Observation | None, now: float) -> Decision:
    until = mac.since + roll.options.verify_s
    details: tuple[str, ...] = ()
    match observation:
        case Verified(failures):
            new = [failure for failure in failures if failure.check not in mac.known_failures]
            if not new:
                return _enter(roll, mac, Step.SERVING if mac.services else Step.DONE, now)
            problem = f"{', '.join(dict.fromkeys(failure.check for failure in new))} failed, and did not before the roll"
            details = tuple(f"{failure.check}: {failure.detail}" for failure in new if failure.detail)
        case Problem(what):
            problem = what
        case _:
            return roll, Verify(mac.name, 0.0, until, mac.known_failures)
    if now >= until:
        truths = (*details, f"{mac.name} is rebooted and up")
        hint = f"`macfleet verify --mac {mac.name}` shows it, `macfleet provision --mac {mac.name}` may mend it; then {_RESUME}"
        return _stand(roll, mac, f"{mac.name} came back, but not as it was: {problem}", now, truths, hint)
    return roll, Verify(mac.name, _poll_s(now - mac.since, observation), until, mac.known_failures)


def _serving(roll: Roll, mac: MacRoll, observation: Observation | None, now: float) -> Decision:
    until = mac.since + roll.options.serve_s
    match observation:
        case Did():
            return _enter(roll, mac, Step.DONE, now)
        case Problem(what, is_final, more) if is_final or now >= until:
            truths = (*more, f"{mac.name} is rebooted and verified")
            hint = f"`macfleet status` and `macfleet logs` show more; then {_RESUME}"
            return _stand(roll, mac, f"after the reboot of {mac.name}: {what}", now, truths, hint)
        case Problem():
            return roll, Serve(mac.name, mac.services, _poll_s(now - mac.since, observation), until)
    return roll, Serve(mac.name, mac.services, 0.0, until)


def _enter(roll: Roll, mac: MacRoll, step: Step, now: float) -> Decision:
    """`mac` goes to `step`, and the action that step begins with."""
    roll = roll.with_mac(replace(mac, step=step, since=now))
    if step is Step.REBOOTING and mac.boot_before is not None:
        return roll, Reboot(mac.name, mac.boot_before)
    return next_action(roll, None, now)


def _stand(roll: Roll, mac: MacRoll, what: str, now: float, truths: tuple[str, ...], hint: str) -> Decision:
    halt = Halt(mac.name, what, (*truths, *roll.truths(but=mac.name)), hint, now)
    return replace(roll, halt=halt), Stand(halt)


def _what_it_takes_along(mac: MacRoll) -> tuple[str, ...]:
    return (f"until it is back, {' and '.join(mac.services)} cannot answer",) if mac.services else ()


def _poll_s(waited_s: float, observation: Observation | None) -> float:
    """At once, then every second for a minute, then every five: restarts take one to three minutes."""
    if observation is None:
        return 0.0
    return 1.0 if waited_s < 60 else 5.0


_DECIDE: dict[Step, Callable[[Roll, MacRoll, Observation | None, float], Decision]] = {
    Step.PENDING: _pending,
    Step.DRAINING: _draining,
    Step.STOPPING: _stopping,
    Step.REBOOTING: _rebooting,
    Step.RETURNING: _returning,
    Step.SETTLING: _settling,
    Step.VERIFYING: _verifying,
    Step.SERVING: _serving,
}
