"""launchd's jobs: killed, frozen, in a crash loop, refused."""

from __future__ import annotations

import signal

from macfleet.core.errors import RequestError
from macfleet.lab.fault import WORKERS, Fault, FaultOptions, forget, marked, remember
from macfleet.lab.paths import MacDir
from macfleet.lab.remote import ask


def _inject_worker_killed(mac: MacDir, options: FaultOptions) -> str:
    return f"killed {_signal_jobs(mac, options.jobs, signal.SIGKILL)}"


def _inject_worker_frozen(mac: MacDir, options: FaultOptions) -> str:
    return f"froze {_signal_jobs(mac, options.jobs, signal.SIGSTOP)}"


def _signal_jobs(mac: MacDir, jobs: str, number: int) -> str:
    hit = ask(mac, "signal", jobs=jobs, number=number)
    if not hit:
        raise RequestError(f"{mac.name} runs no job like {jobs}", hint="`macfleet lab status` lists the jobs that run")
    return ", ".join(hit)


def _heal_worker_frozen(mac: MacDir) -> None:
    ask(mac, "signal", jobs=WORKERS, number=signal.SIGCONT)


def _nothing_to_heal(mac: MacDir) -> None:
    """launchd has brought it back, or has not: both are true."""


def _inject_crash_loop(mac: MacDir, options: FaultOptions) -> str:
    """launchd starts `false` in its place, again and again; the loop is some minutes old at once."""
    jobs = options.jobs if options.jobs != WORKERS else "dev.macfleet.agent"
    remember(mac, "crash-loop", jobs)
    hit = ask(mac, "crash", jobs=jobs)
    if not hit:
        forget(mac, "crash-loop")
        raise RequestError(f"{mac.name} runs no job like {jobs}", hint="`macfleet lab status` lists the jobs that run")
    return f"{', '.join(hit)} ends as soon as it is started"


def _heal_crash_loop(mac: MacDir) -> None:
    """Started again, and counted anew, as after a bootout and a bootstrap."""
    jobs = forget(mac, "crash-loop")
    if jobs is not None:
        ask(mac, "restart_jobs", jobs=jobs)


JOBS: tuple[Fault, ...] = (
    Fault("worker-killed", "SIGKILL to the Mac's stage workers (--job)", _inject_worker_killed, _nothing_to_heal),
    Fault("worker-frozen", "SIGSTOP to the Mac's stage workers (--job)", _inject_worker_frozen, _heal_worker_frozen),
    Fault("crash-loop", "The Mac's agent (--job) ends as soon as launchd starts it", _inject_crash_loop, _heal_crash_loop),
    marked("plist-refused", "launchd takes no new job", "launchd refuses every plist with 5: Input/output error"),
)
