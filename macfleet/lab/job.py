"""One job of launchd: what its plist asks for and what has become of it."""

from __future__ import annotations

import os
import plistlib
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Defaults that `launchctl print` shows on real Macs; the manual's 20 s of ExitTimeOut are 5.
# See tests/fixtures/ops/launchctl_print_system.running.txt.
EXIT_TIMEOUT_S = 5.0
THROTTLE_S = 10.0

# sysexits.h, as launchd spells them behind `last exit code`.
EXIT_NAMES = {64: "EX_USAGE", 66: "EX_NOINPUT", 69: "EX_UNAVAILABLE", 70: "EX_SOFTWARE", 71: "EX_OSERR", 75: "EX_TEMPFAIL", 78: "EX_CONFIG"}


class BadPlist(Exception):
    """launchd says only `5: Input/output error`; this says why, for the simulator's log."""


@dataclass
class Job:
    """`exit_code` is launchd's: negative for a signal, None before the first end."""

    label: str
    path: Path
    arguments: tuple[str, ...]
    plist: dict[str, Any]
    state: str = "not running"  # running | spawn scheduled | not running | SIGTERMed
    pid: int | None = None
    runs: int = 0
    exit_code: int | None = None
    started_at: float = 0.0
    pended: str = ""  # why launchd does not start it until somebody asks for it
    is_leaving: bool = False  # booted out, not gone yet
    is_stopping: bool = False  # ended on request, to be started again

    @property
    def exit_timeout_s(self) -> float:
        return float(self.plist.get("ExitTimeOut", EXIT_TIMEOUT_S))

    @property
    def throttle_s(self) -> float:
        return float(self.plist.get("ThrottleInterval", THROTTLE_S))

    @property
    def is_kept_alive(self) -> bool:
        return bool(self.plist.get("KeepAlive", False))

    @property
    def environment(self) -> dict[str, str]:
        return {str(key): str(value) for key, value in self.plist.get("EnvironmentVariables", {}).items()}

    @property
    def runs_as_root(self) -> bool:
        return bool(self.plist.get("UserName", "root") == "root")

    @property
    def starts_by_itself(self) -> bool:
        """RunAtLoad, and KeepAlive in its unconditional and SuccessfulExit forms, which imply it."""
        keep = self.plist.get("KeepAlive", False)
        return bool(self.plist.get("RunAtLoad", False)) or keep is True or (isinstance(keep, dict) and "SuccessfulExit" in keep)

    def wants_restart(self) -> bool:
        """What KeepAlive says about the end the job just came to."""
        keep = self.plist.get("KeepAlive", False)
        if not isinstance(keep, dict):
            return bool(keep)
        code = self.exit_code or 0
        crashed = code < 0 and -code not in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT)
        return bool(keep.get("SuccessfulExit") is (code == 0) or keep.get("Crashed") is crashed)

    def last_end(self) -> tuple[str, str]:
        """What `launchctl print` says about the last end, as key and value."""
        if self.exit_code is None:
            return "last exit code", "(never exited)"
        if self.exit_code < 0:
            return "last terminating signal", f"{(signal.strsignal(-self.exit_code) or 'Unknown').split(':')[0]}: {-self.exit_code}"
        name = EXIT_NAMES.get(self.exit_code)
        return "last exit code", f"{self.exit_code}: {name}" if name else str(self.exit_code)


def read_job(path: Path) -> Job:
    """The job that a plist describes. Raises BadPlist where launchd refuses it."""
    try:
        plist = plistlib.loads(path.read_bytes())
    except FileNotFoundError:
        raise BadPlist("no such file") from None
    except Exception as error:  # plistlib raises whatever its XML parser does
        raise BadPlist(f"not a property list: {error}") from None
    if not isinstance(plist, dict) or not isinstance(plist.get("Label"), str):
        raise BadPlist("no Label")
    arguments = plist.get("ProgramArguments") or [plist.get("Program")]
    if not arguments or not all(isinstance(word, str) for word in arguments):
        raise BadPlist("neither Program nor ProgramArguments")
    if path.stat().st_mode & 0o022:
        raise BadPlist(f"group or world may write it (mode {path.stat().st_mode & 0o777:o})")
    return Job(label=plist["Label"], path=path, arguments=tuple(arguments), plist=plist)


def may_run(program: str) -> bool:
    return os.access(program, os.X_OK) and not os.path.isdir(program)
