"""Do the launchd jobs of macfleet run, or does launchd hold them back or start them again and again?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.checks.past import NOTHING, Past
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.core.words import count
from macfleet.inventory.mac import Mac
from macfleet.macos import launchctl, pmset
from macfleet.macos.jobs import jobs
from macfleet.macos.launchctl import Job

# Between two looks somebody may have restarted a service by hand; more than that is a loop.
_MANY_STARTS = 3
# Whether it is there and loaded is the question of `wired-limit-at-boot`.
_ASKED_ELSEWHERE = {"dev.macfleet.wired-limit"}
# Wired memory that is torn away by SIGKILL stays wired, and launchd's own patience is 5 s.
_GENTLE_EXIT_S = 60


class Jobs:
    name = "jobs"
    why = "launchd takes a job and may never start it, and a job that crashes every ten seconds looks like one that runs"
    source = "launchctl(1), and captures of `launchctl print` on macOS 26 and 27 with pended jobs; the manual's ExitTimeOut of 20 s is 5"
    want = "every job loaded, running or ended well"

    def __init__(self, past: Past = NOTHING):
        self._past = past

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (jobs(mac.paths), launchctl.DISABLED, pmset.CUSTOM)

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        all_jobs, disabled, settings = facts[jobs(mac.paths)], facts[launchctl.DISABLED], facts[pmset.CUSTOM]
        if isinstance(all_jobs, Unknown):
            return [findings.unknown(self, all_jobs, self.want)]
        if isinstance(disabled, Unknown):
            return [findings.unknown(self, disabled, self.want)]
        if not all_jobs:
            return [findings.ok(self, "macfleet has no job here", self.want)]

        is_saving = not isinstance(settings, Unknown) and settings.ac.get("lowpowermode") == "1"
        found = [
            *self._held_back(all_jobs, is_saving),
            *self._broken(mac, all_jobs),
            *self._restless(mac, all_jobs),
            *self._not_loaded(mac, all_jobs, disabled),
        ]
        return found or [findings.ok(self, findings.names(sorted(_short(label) for label in all_jobs)), self.want)]

    def _held_back(self, all_jobs: Mapping[str, Job | None], is_saving: bool) -> Iterator[Finding]:
        held = {label: job for label, job in all_jobs.items() if job is not None and job.pended and not job.is_running}
        if not held:
            return
        told = ", ".join(f"{_short(label)} ({job.pended})" for label, job in held.items())
        if is_saving:  # Low Power Mode is its cause, and `power` names it
            yield findings.ok(self, f"launchd holds back {told}, as Low Power Mode makes it do (see power)", self.want)
            return
        first = next(iter(held))
        yield findings.fail(self, f"launchd holds back {told}", self.want, f"`sudo launchctl kickstart system/{first}` starts it at once")

    def _broken(self, mac: Mac, all_jobs: Mapping[str, Job | None]) -> Iterator[Finding]:
        told: dict[str, str] = {}
        for label, job in all_jobs.items():
            if job is None or job.is_running or job.pended:
                continue
            if job.state == "spawn scheduled" and (job.runs or 0) >= _MANY_STARTS:
                told[label] = f"{_short(label)} crashes again and again ({count(job.runs or 0, 'start')}, {_end(job)})"
            elif job.state == "spawn scheduled":
                told[label] = f"{_short(label)} {_end(job)} and waits to be started again"
            elif job.last_exit or (job.keeps_alive and job.runs):
                told[label] = f"{_short(label)} does not run ({_end(job)})"
        if told:
            yield findings.fail(self, "; ".join(told.values()), self.want, f"{_log(mac, all_jobs, next(iter(told)))} says why")

    def _restless(self, mac: Mac, all_jobs: Mapping[str, Job | None]) -> Iterator[Finding]:
        """Running now, and started often since the last look."""
        look = self._past.of(mac).latest
        then: Mapping[str, int] = look.runs if look else {}
        running = {label: job for label, job in all_jobs.items() if job is not None and job.is_running}
        more = {label: (job.runs or 0) - then[label] for label, job in running.items() if label in then}
        often = {label: times for label, times in more.items() if times >= _MANY_STARTS}
        if often:
            have = "; ".join(f"{_short(label)} was started {times} times since the last look" for label, times in often.items())
            yield findings.warn(self, have, self.want, f"{_log(mac, all_jobs, next(iter(often)))} says what ends it")
        hasty = [
            label for label, job in running.items() if label.endswith(".worker") and (job.exit_timeout_s or _GENTLE_EXIT_S) < _GENTLE_EXIT_S
        ]
        if hasty:
            have = f"{findings.names([_short(label) for label in hasty])} gets less than {_GENTLE_EXIT_S} s to end before SIGKILL"
            yield findings.warn(self, have, self.want, "deploy the service again: its plist wants a longer ExitTimeOut")

    def _not_loaded(self, mac: Mac, all_jobs: Mapping[str, Job | None], disabled: Mapping[str, bool]) -> Iterator[Finding]:
        missing = [label for label, job in all_jobs.items() if job is None and label not in _ASKED_ELSEWHERE]
        off = [label for label in missing if disabled.get(label)]
        unloaded = [label for label in missing if label not in off]
        if off:
            have = f"{findings.names([_short(label) for label in off])} is disabled, which lasts over restarts"
            yield findings.warn(self, have, self.want, f"`sudo launchctl enable system/{off[0]}`, or take its plist away")
        if unloaded:
            have = f"launchd does not know {findings.names([_short(label) for label in unloaded])}, whose plist is there"
            hint = f"`sudo launchctl bootstrap system {mac.paths.plist(unloaded[0])}`; it says 5 when the plist or its owner is wrong"
            yield findings.warn(self, have, self.want, hint)


def _short(label: str) -> str:
    return label.removeprefix("dev.macfleet.")


def _log(mac: Mac, all_jobs: Mapping[str, Job | None], label: str) -> str:
    """The command that shows what a job wrote; services have one of their own."""
    service = re.fullmatch(r"dev\.macfleet\.(.+)\.(?:worker|gateway)", label)
    if service:
        return f"`macfleet logs {service[1]}`"
    job = all_jobs[label]
    log = (job and job.log) or f"{mac.paths.logs}/{_short(label)}.log"
    return f"`macfleet exec --mac {mac.name} -- tail {log}`"


def _end(job: Job) -> str:
    if job.last_signal:
        return f"ended by {job.last_signal}"
    return "never ended" if job.last_exit is None else f"ended with {job.last_exit}"
