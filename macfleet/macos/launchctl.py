"""`launchctl`: the jobs of the system domain. Bootstrapping only asks: look at the job afterwards, never trust exit 0."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from macfleet.core.command import Command, command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result
from macfleet.macos.answers import ask, unparsable

# Exit codes are the numbers launchctl prints.
NOT_LOADED = 113  # print, kickstart: no such job in the domain
NOT_FOUND = 3  # bootout: it was not loaded; nothing to do
IN_PROGRESS = 36  # bootout is asynchronous: wait, then look
BUSY = 37  # bootstrap: a bootout of the same label has not finished


@dataclass(frozen=True)
class Job:
    """What launchd says of a job it has loaded. `last_exit` None: it never exited. A rising `runs` is a crash loop."""

    label: str
    state: str  # "running", "not running", "spawn scheduled", …
    pid: int | None = None
    runs: int | None = None
    last_exit: int | None = None
    last_signal: str | None = None
    exit_timeout_s: int | None = None
    path: str | None = None
    program: str | None = None
    pended: str | None = None  # why launchd does not start it by itself: "inefficient", "speculative"; see Low Power Mode
    keeps_alive: bool = False
    log: str | None = None  # where its stdout goes

    @property
    def is_running(self) -> bool:
        return self.state == "running" and self.pid is not None


def parse_print(text: str) -> Job:
    """A job from `launchctl print`.

    Only keys indented by exactly one tab are the job's own, and of those the first: nested blocks (endpoints,
    coalitions) have a `state = active` of theirs.
    """
    start = re.search(r"^(?:system|gui/\d+|user/\d+)/(\S+) = \{$", text, re.MULTILINE)
    if start is None:
        raise unparsable("launchctl print", "no line `system/LABEL = {`")
    if not re.search(r"^\}", text[start.end() :], re.MULTILINE):
        raise unparsable("launchctl print", "no closing brace: cut short?")
    rows: dict[str, str] = {}
    for key, value in re.findall(r"^\t([^\t=][^=\n]*?) = (.*?)[ \t]*$", text[start.end() :], re.MULTILINE):
        rows.setdefault(key, value)
    if "state" not in rows:
        raise unparsable("launchctl print", f"{start[1]} has no state")
    if rows["state"] == "running" and "pid" not in rows:
        raise unparsable("launchctl print", f"{start[1]} is running, and without a pid")
    return Job(
        label=start[1],
        state=rows["state"],
        pid=_leading_number(rows.get("pid")),
        runs=_leading_number(rows.get("runs")),
        last_exit=_leading_number(rows.get("last exit code")),
        last_signal=rows.get("last terminating signal"),
        exit_timeout_s=_leading_number(rows.get("exit timeout")),
        path=rows.get("path"),
        program=rows.get("program"),
        pended=_reason(rows.get("pended nondemand spawn")),
        log=rows.get("stdout path"),
        keeps_alive="keepalive" in re.split(r"[ |]+", rows.get("properties", "")),
    )


def parse_disabled(text: str) -> dict[str, bool]:
    """Label → whether it is disabled, from `launchctl print-disabled system`; older systems print true and false."""
    if "disabled services = {" not in text:
        raise unparsable("launchctl print-disabled", "no block `disabled services = {`")
    rows = re.findall(r'^[ \t]*"([^"\n]+)" => (disabled|enabled|true|false)[ \t\r]*$', text, re.MULTILINE)
    return {label: value in ("disabled", "true") for label, value in rows}


def job(label: str) -> Fact[Job | None]:
    """The job, or None when launchd has not loaded it."""

    def understand(results: Sequence[Result]) -> Job | Unknown | None:
        if results[0].exit_status == NOT_LOADED:
            return None
        return parse_print(results[0].stdout) if results[0].ok else Unknown(results[0].failure())

    return Fact(f"job {label}", (print_job(label),), understand)


DISABLED = ask("disabled-jobs", command("launchctl", "print-disabled", "system", timeout_s=10), parse_disabled)


def print_job(label: str) -> Command:
    return command("launchctl", "print", f"system/{label}", timeout_s=10)


def bootstrap(plist: str) -> Command:
    return command("launchctl", "bootstrap", "system", plist, sudo=True)


def bootout(label: str, timeout_s: float = 30.0) -> Command:
    """Stops the job, by SIGTERM first, and forgets it. Returns before the job has ended."""
    return command("launchctl", "bootout", f"system/{label}", sudo=True, timeout_s=timeout_s)


def kickstart(label: str, *, kill: bool = False) -> Command:
    """Starts the job now; with `kill` restarts a running one, without reading a changed plist."""
    return command("launchctl", "kickstart", *(["-k"] if kill else []), f"system/{label}", sudo=True)


def enable(label: str) -> Command:
    return command("launchctl", "enable", f"system/{label}", sudo=True)


def disable(label: str) -> Command:
    """Kept over a reboot, and even when the plist is gone."""
    return command("launchctl", "disable", f"system/{label}", sudo=True)


def kill(signal: str, label: str) -> Command:
    return command("launchctl", "kill", signal, f"system/{label}", sudo=True)


def _reason(value: str | None) -> str | None:
    """Some versions of macOS print the row for every job, with `false` or `none` when nothing is held back."""
    return None if value in ("false", "none", "0", "") else value


def _leading_number(value: str | None) -> int | None:
    """78 from `78: EX_CONFIG`, None from `(never exited)`."""
    match = re.match(r"-?\d{1,18}", value or "")
    return int(match[0]) if match else None
