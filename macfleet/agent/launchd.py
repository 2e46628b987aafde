"""What the agent asks of launchd on its own Mac. It is a daemon without UserName, so it is root and needs no sudo."""

from __future__ import annotations

import logging
import subprocess

from macfleet.core.command import Command
from macfleet.core.fact import Unknown
from macfleet.core.result import Result
from macfleet.health.watchdog import Action
from macfleet.macos import launchctl

log = logging.getLogger(__name__)

_SIGNALS = {
    # In this order: a stopped process takes the SIGTERM that waits for it when it is continued, and ends in an orderly way.
    Action.TERMINATE: ("SIGTERM", "SIGCONT"),
    # The last resort: macOS may keep the wired memory of a killed process until the next boot (omlx#2184).
    Action.KILL: ("SIGKILL",),
}


def running_pid(label: str) -> int | None:
    """The process that launchd runs for this job; None when there is none, or launchd cannot be asked."""
    fact = launchctl.job(label)
    job = fact.understand([run(command) for command in fact.commands])
    if isinstance(job, Unknown):
        log.warning("launchd cannot be asked", extra={"label": label, "error": job.reason})
        return None
    return job.pid if job is not None and job.is_running else None


def signal(action: Action, label: str) -> None:
    """Sends what the action means. A signal that cannot be sent is logged; the next look decides again."""
    for name in _SIGNALS[action]:
        result = run(launchctl.kill(name, label))
        if not result.ok:
            log.error("signal not sent", extra={"label": label, "signal": name, "error": result.failure()})


def run(command: Command) -> Result:
    """The command on this Mac, by its own PATH."""
    try:
        done = subprocess.run(command.argv, capture_output=True, text=True, errors="replace", timeout=command.timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return Result(command, None, reason=f"did not end in {command.timeout_s:g} s")
    except OSError as error:
        return Result(command, None, reason=f"cannot be started: {error.strerror}")
    return Result(command, done.returncode, done.stdout, done.stderr)
