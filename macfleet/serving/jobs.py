"""launchd jobs of a service on one Mac: put in place, started, watched until they run, and stopped so that nothing is leaked.

launchd's exit statuses promise nothing: bootout returns before the job has ended, bootstrap says 5 for five different
things, and a job may be accepted and never spawned. So every step is followed by a look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from posixpath import dirname
from typing import TypeVar

from macfleet.core.clock import Clock
from macfleet.core.command import Command
from macfleet.core.errors import CommandFailed, ServiceFailed
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result
from macfleet.core.units import format_duration
from macfleet.engines.base import Job
from macfleet.fleet.connection import Connection
from macfleet.fleet.expect import expect_ok
from macfleet.inventory.mac import Mac
from macfleet.macos import files, launchctl

T = TypeVar("T")

_POLL_S = 0.25
_BOOTSTRAP_TRIES = 8
_RETRY = {5, launchctl.IN_PROGRESS, launchctl.BUSY, 125}  # the domain is busy, or the old job is still on its way out
_START_DEADLINE_S = 30.0


@dataclass(frozen=True)
class Stopped:
    """What became of one job. `was_loaded` False: there was nothing to stop."""

    label: str
    was_loaded: bool
    took_s: float = 0.0


def read_job(connection: Connection, label: str) -> launchctl.Job | None:
    """What launchd says of the job now; None when it has not loaded it. Raises ServiceFailed when that cannot be known."""
    fact = launchctl.job(label)
    value = understand(connection, fact)
    if isinstance(value, Unknown):
        raise ServiceFailed(f"nobody knows whether {label} runs: {value.reason}")
    return value


def install(mac: Mac, connection: Connection, job: Job) -> None:
    """The job's files and its plist, each written whole. The secret ones go to a directory of their account."""
    owner = f"{job.user}:{job.group}"
    directories = sorted({dirname(file.path) for file in job.files})
    commands: list[Command] = []
    for directory in directories:
        commands += files.make_directory(directory, 0o755, owner, sudo=True)
    for file in job.files:
        content = file.content.encode() if isinstance(file.content, str) else file.content
        commands += files.write_file(file.path, content, file.mode, owner, sudo=True)
    # launchd takes a plist only from root, and only when nobody else may write it.
    commands += files.write_file(job.plist_path, job.plist.encode(), 0o644, "root:wheel", sudo=True)
    must(mac, connection, commands)


def start(mac: Mac, connection: Connection, job: Job, clock: Clock) -> launchctl.Job:
    """Bootstrap the job and see it run. An older one of the same label is booted out first, because a plist is read only once."""
    stop(connection, job.label, clock)
    _enable(mac, connection, job.label)
    _bootstrap(connection, job.label, job.plist_path, clock)
    must(mac, connection, [launchctl.kickstart(job.label)])
    return _until_running(connection, job, clock)


def load_again(connection: Connection, label: str, plist_path: str, clock: Clock) -> bool:
    """Bootstrap a job that was booted out and whose plist stayed. False: launchd has it, there was nothing to do."""
    if read_job(connection, label) is not None:
        return False
    _bootstrap(connection, label, plist_path, clock)
    return True


def stop(connection: Connection, label: str, clock: Clock, deadline_s: float = 300.0) -> Stopped:
    """Boot the job out and wait until launchd has forgotten it. Never SIGKILL by us: that would leak its wired memory."""
    began = clock.monotonic()
    if read_job(connection, label) is None:
        return Stopped(label, was_loaded=False)
    result = connection.run([launchctl.bootout(label, timeout_s=deadline_s)])[0]
    if result.exit_status not in (0, launchctl.NOT_FOUND, launchctl.IN_PROGRESS, None):
        raise CommandFailed(result.failure(), truths=(f"{label} is still loaded",))
    while read_job(connection, label) is not None:
        waited_s = clock.monotonic() - began
        if waited_s > deadline_s:
            raise ServiceFailed(
                f"{label} did not end within {format_duration(deadline_s)} of being asked to",
                truths=("launchd still has it; it was sent SIGTERM and nothing worse by macfleet",),
                hint=f"look at its log; `sudo launchctl print system/{label}` on that Mac shows its state",
            )
        clock.sleep(_POLL_S)
    return Stopped(label, was_loaded=True, took_s=clock.monotonic() - began)


def remove(mac: Mac, connection: Connection, paths: Sequence[str]) -> None:
    """Plists and secrets of a stopped job."""
    must(mac, connection, [command for path in paths for command in files.remove_file(path, sudo=True)])


def must(mac: Mac, connection: Connection, commands: Sequence[Command]) -> list[Result]:
    """Run the commands in order; each must exit 0, and the first that does not is the last that runs."""
    results = connection.apply(commands)
    expect_ok(mac, results)
    return results


def understand(connection: Connection, fact: Fact[T]) -> T | Unknown:
    """One fact, asked on its own."""
    return fact.understand(connection.read(fact.commands))


def _enable(mac: Mac, connection: Connection, label: str) -> None:
    """Only where it is not: launchd never forgets that a label was enabled, and nothing of ours should stay on a Mac."""
    disabled = understand(connection, launchctl.DISABLED)
    if isinstance(disabled, Unknown) or disabled.get(label, False):
        must(mac, connection, [launchctl.enable(label)])


def _bootstrap(connection: Connection, label: str, plist_path: str, clock: Clock) -> None:
    for attempt in range(1, _BOOTSTRAP_TRIES + 1):
        result = connection.run([launchctl.bootstrap(plist_path)])[0]
        if result.ok or read_job(connection, label) is not None:
            return
        if result.exit_status not in _RETRY or attempt == _BOOTSTRAP_TRIES:
            raise CommandFailed(
                result.failure(),
                truths=(f"{plist_path} is written, launchd has not loaded {label}",),
                hint="launchd wants the plist owned by root:wheel with mode 644, and an executable at an absolute path",
            )
        clock.sleep(_POLL_S * attempt)


def _until_running(connection: Connection, job: Job, clock: Clock) -> launchctl.Job:
    began = clock.monotonic()
    while True:
        seen = read_job(connection, job.label)
        if seen is not None and seen.is_running:
            return seen
        if clock.monotonic() - began > _START_DEADLINE_S:
            state = "is not loaded any more" if seen is None else f"is `{seen.state}` after {seen.runs or 0} runs"
            ending = f", last exit status {seen.last_exit}" if seen is not None and seen.last_exit is not None else ""
            raise ServiceFailed(
                f"launchd accepted {job.label} and does not run it: it {state}{ending}",
                hint=f"its log {job.log} says why; with no run at all, Low Power Mode may hold it back (`macfleet verify`)",
            )
        clock.sleep(_POLL_S)
