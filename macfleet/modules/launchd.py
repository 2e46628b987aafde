"""`launchd`: a job of the system domain: its plist in place, loaded from exactly that plist, running if wanted.

launchd reads a plist once, at bootstrap; `kickstart -k` restarts the job as it was read. So the file is replaced only while
the job is out: whatever interrupts this, no loaded job ever differs from the file beside it, and looking at the file is enough.
"""

from __future__ import annotations

import plistlib
from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from macfleet.core.change import Change, Diff
from macfleet.core.command import Command, command
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.template import render
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict
from macfleet.macos.files import FileState, file_state, remove_file, write_file
from macfleet.macos.launchctl import DISABLED, Job, enable, job
from macfleet.macos.plutil import check
from macfleet.modules.base import Surroundings
from macfleet.modules.files import file_differs
from macfleet.modules.template import template_values

_MODE, _OWNER = "644", "root:wheel"  # anything else and launchd refuses the plist with "5: Input/output error"

# The first line of a script is what an error shows of it.
# bootout returns before the job has ended; until `print` says 113, a bootstrap of the same label fails.
# 3 and 113: it was not loaded. 36: it is on its way out.
_LEAVE = """# launchctl bootout, and wait until the job is gone
launchctl bootout "system/$1"
case $? in 0|3|36|113) ;; *) exit 1;; esac
tries=$2
while :; do
	launchctl print "system/$1" >/dev/null 2>&1
	[ $? -eq 113 ] && exit 0
	tries=$((tries - 1))
	[ $tries -gt 0 ] || { echo "launchd still has $1 after bootout" >&2; exit 1; }
	sleep 0.25
done"""

# 5, 36, 37, 125: the domain may still be busy with the job's predecessor. 5 is also a bad plist: tried for 5 s, no longer.
_ENTER = """# launchctl bootstrap, again while launchd is busy
tries=20
while :; do
	launchctl bootstrap system "$1"
	status=$?
	case $status in 0) exit 0;; 5|36|37|125) ;; *) exit $status;; esac
	tries=$((tries - 1))
	[ $tries -gt 0 ] || exit $status
	sleep 0.25
done"""

# launchd may accept a job and never start it ("pended nondemand spawn"), or start it again and again: so it is kicked and then
# must be seen running four times in a row. One tab: the job's own state, nested blocks have another.
_RUN = """# launchctl kickstart, and see the job stay up
launchctl kickstart "system/$1"
tab=$(printf '\\t')
tries=$2
seen=0
while [ $tries -gt 0 ]; do
	if launchctl print "system/$1" | grep -q "^${tab}state = running"; then seen=$((seen + 1)); else seen=0; fi
	[ $seen -ge 4 ] && exit 0
	tries=$((tries - 1))
	sleep 0.25
done
state=$(launchctl print "system/$1" | grep -E "^${tab}(state|runs|last exit code|last terminating signal) = " | tr -s '\\t\\n' ' ')
echo "$1 does not stay up:$state(its log says why: $3)" >&2
exit 1"""


def leave(label: str, deadline_s: float = 60.0) -> Command:
    """Boot the job out and wait until launchd has forgotten it. Gives it its whole ExitTimeOut: nothing is killed here."""
    return command("sh", "-c", _LEAVE, "sh", label, str(round(deadline_s * 4)), sudo=True, timeout_s=deadline_s + 30)


def enter(plist: str) -> Command:
    """Bootstrap the job, again while launchd is still busy with its predecessor."""
    return command("sh", "-c", _ENTER, "sh", plist, sudo=True, timeout_s=60)


def run(label: str, log: str, deadline_s: float = 15.0) -> Command:
    """Start the loaded job and wait until launchd says it stays up; else fail with what launchd says of it."""
    return command("sh", "-c", _RUN, "sh", label, str(round(deadline_s * 4)), log, sudo=True, timeout_s=deadline_s + 30)


class LaunchdArgs(Strict):
    """`loaded` suits a job that runs once and ends; `running` one that must be alive."""

    label: str
    template: str | None = None
    state: Literal["running", "loaded", "absent"] = "running"
    vars: dict[str, Any] = Field({})

    @model_validator(mode="after")
    def _has_template(self) -> Self:
        if self.state != "absent" and self.template is None:
            raise ValueError(f'a job that is {self.state} needs a "template" for its plist')
        return self


class Launchd:
    name = "launchd"
    Args = LaunchdArgs
    looks_around: tuple[Fact[Any], ...] = ()
    example = """
launchd:
  label: dev.macfleet.agent
  template: agent.plist.j2
  vars: {runtime_id: 0123456789ab}
"""

    def facts(self, args: LaunchdArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return (file_state(mac.paths.plist(args.label)), job(args.label), DISABLED)

    def diff(self, args: LaunchdArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        plist = mac.paths.plist(args.label)
        file, loaded, disabled = facts[file_state(plist)], facts[job(args.label)], facts[DISABLED]
        if isinstance(file, Unknown) or isinstance(loaded, Unknown) or isinstance(disabled, Unknown):
            return [item for item in (file, loaded, disabled) if isinstance(item, Unknown)]
        if args.state == "absent":
            return _away(args.label, plist, file, loaded)
        assert args.template is not None  # LaunchdArgs says so
        values = {**template_values(mac, args.vars), "label": args.label}
        content = render(args.template, around.templates, values).encode()
        return _there(args, plist, content, file, loaded, disabled.get(args.label, False))


def _away(label: str, plist: str, file: FileState | None, loaded: Job | None) -> Diff:
    if file is None and loaded is None:
        return ()
    out = (leave(label),) if loaded else ()
    return (Change(f"launchd {label}", _state(loaded), "absent", (*out, *remove_file(plist, sudo=True))),)


def _there(args: LaunchdArgs, plist: str, content: bytes, file: FileState | None, loaded: Job | None, disabled: bool) -> Diff:
    differs = file_differs(content, _MODE, _OWNER, file)
    start = (run(args.label, _log_of(content)),) if args.state == "running" else ()
    load = (enable(args.label), enter(plist), *start)
    if differs:
        before = "absent" if file is None and loaded is None else f"{_state(loaded)}, plist {differs}"
        commands = (*_replace(args.label, plist, content, loaded), *load)
    elif loaded is None:
        before, commands = "disabled" if disabled else "not loaded", load
    elif args.state == "running" and not loaded.is_running:
        before, commands = _state(loaded), start
    elif disabled:
        before, commands = "disabled from the next boot on", (enable(args.label),)
    else:
        return ()
    return (Change(f"launchd {args.label}", before, args.state, commands),)


def _replace(label: str, plist: str, content: bytes, loaded: Job | None) -> tuple[Command, ...]:
    """Write beside, look at it, take the job out, and only then put the file in its place."""
    write, *settle = write_file(plist, content, mode=int(_MODE, 8), owner=_OWNER, sudo=True)
    *prepare, rename = settle
    out = (leave(label),) if loaded else ()
    directory = command("mkdir", "-p", plist.rsplit("/", 1)[0], sudo=True, timeout_s=10)
    return (directory, write, check(rename.argv[2]).as_root(), *prepare, *out, rename)


def _log_of(plist: bytes) -> str:
    return str(plistlib.loads(plist).get("StandardErrorPath", "none"))


def _state(loaded: Job | None) -> str:
    return "not loaded" if loaded is None else loaded.state
