"""A launchd job of the system domain as it should be: its plist in place, loaded from exactly that plist, running if wanted.

launchd reads a plist once, at bootstrap; `kickstart -k` restarts the job as it was read. So the file is replaced only while
the job is out: whatever interrupts this, no loaded job ever differs from the file beside it, and looking at the file is enough.
"""

from __future__ import annotations

import plistlib
from dataclasses import dataclass
from typing import Any, Literal

from macfleet.core.change import Change, Diff
from macfleet.core.command import Command, command
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.inventory.mac import Mac
from macfleet.macos.files import FileState, file_state, remove_file, text_to_compare, write_file
from macfleet.macos.launchctl import DISABLED, Job, disable, enable, job, kickstart
from macfleet.macos.plutil import check
from macfleet.modules.files import file_differs, keep, shown_difference, undo_file

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
rows="state|runs|last exit code|last terminating signal|pended nondemand spawn"
state=$(launchctl print "system/$1" | grep -E "^${tab}($rows) = " | tr -s '\\t\\n' ' ')
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


@dataclass(frozen=True)
class Standing:
    """What there is of a job: its file, what launchd has loaded, and whether it is disabled."""

    file: FileState | None
    loaded: Job | None
    is_disabled: bool


@dataclass(frozen=True)
class WantedJob:
    """`loaded` suits a job that runs once and ends; `running` one that must be alive."""

    mac: Mac
    label: str
    state: Literal["running", "loaded"] = "loaded"

    @property
    def plist(self) -> str:
        return self.mac.paths.plist(self.label)

    @property
    def facts(self) -> tuple[Fact[Any], ...]:
        return (file_state(self.plist), job(self.label), DISABLED, text_to_compare(self.plist))

    def difference(self, facts: Facts, content: bytes) -> Diff:
        """What brings the job there, from `content` as its plist."""
        have = self._standing(facts)
        if not isinstance(have, Standing):
            return have
        differs = file_differs(content, _MODE, _OWNER, have.file)
        start = (run(self.label, _log_of(content)),) if self.state == "running" else ()
        # Only what is disabled is enabled: launchd keeps a line about it for ever, and nothing takes that line back.
        load = (*((enable(self.label),) if have.is_disabled else ()), enter(self.plist), *start)
        if differs:
            before = "absent" if have.file is None and have.loaded is None else f"{_state(have.loaded)}, plist {differs}"
            text = facts[text_to_compare(self.plist)]
            shown = shown_difference(self.mac, self.plist, _MODE, content, have.file, text)
            return (self._change(before, (*self._replace(content, have), *load), self._undo(have), shown),)
        if have.loaded is None:
            return (self._change("disabled" if have.is_disabled else "not loaded", load, self._undo_load(have)),)
        if self.state == "running" and not have.loaded.is_running:
            return (self._change(_state(have.loaded), start, ()),)
        if have.is_disabled:
            return (self._change("disabled from the next boot on", (enable(self.label),), (disable(self.label),)),)
        return ()

    def restart(self, content: bytes) -> Change:
        """The job that stands there with `content` as its plist, once more from its beginning, after all of its ExitTimeOut."""
        start = (run(self.label, _log_of(content)),) if self.state == "running" else ()
        return self._change(f"{self.state} since before the change", (leave(self.label), enter(self.plist), *start), ())

    def absence(self, facts: Facts) -> Diff:
        """What takes the job and its plist away."""
        have = self._standing(facts)
        if not isinstance(have, Standing):
            return have
        if have.file is None and have.loaded is None:
            return ()
        out = (leave(self.label),) if have.loaded else ()
        commands = (*keep(self.mac, self.plist, have.file), *out, *remove_file(self.plist, sudo=True))
        return (Change(f"launchd {self.label}", _state(have.loaded), "absent", commands, undo=self._undo(have)),)

    def _standing(self, facts: Facts) -> Standing | tuple[Unknown, ...]:
        file, loaded, disabled = facts[file_state(self.plist)], facts[job(self.label)], facts[DISABLED]
        if isinstance(file, Unknown) or isinstance(loaded, Unknown) or isinstance(disabled, Unknown):
            return tuple(item for item in (file, loaded, disabled) if isinstance(item, Unknown))
        return Standing(file, loaded, disabled.get(self.label, False))

    def _change(self, before: str, commands: tuple[Command, ...], undo: tuple[Command, ...], detail: str = "") -> Change:
        return Change(f"launchd {self.label}", before, self.state, commands, undo, detail)

    def _replace(self, content: bytes, have: Standing) -> tuple[Command, ...]:
        """Write beside, look at it, take the job out, and only then put the file in its place."""
        write, *settle = write_file(self.plist, content, mode=int(_MODE, 8), owner=_OWNER, sudo=True)
        *prepare, rename = settle
        out = (leave(self.label),) if have.loaded else ()
        directory = command("mkdir", "-p", self.plist.rsplit("/", 1)[0], sudo=True, timeout_s=10)
        kept = keep(self.mac, self.plist, have.file)
        return (*kept, directory, write, check(rename.argv[2]).as_root(), *prepare, *out, rename)

    def _undo(self, have: Standing) -> tuple[Command, ...]:
        """The job out, the file as it was, and what launchd had loaded from it back again."""
        back = (enter(self.plist),) if have.file and have.loaded else ()
        started = (kickstart(self.label),) if back and have.loaded and have.loaded.is_running else ()
        again = (disable(self.label),) if have.is_disabled else ()
        return (leave(self.label), *undo_file(self.mac, self.plist, have.file), *back, *started, *again)

    def _undo_load(self, have: Standing) -> tuple[Command, ...]:
        return (leave(self.label), *((disable(self.label),) if have.is_disabled else ()))


def _log_of(plist: bytes) -> str:
    return str(plistlib.loads(plist).get("StandardErrorPath", "none"))


def _state(loaded: Job | None) -> str:
    if loaded is None:
        return "not loaded"
    return f"{loaded.state}, pended as {loaded.pended}" if loaded.pended else loaded.state
