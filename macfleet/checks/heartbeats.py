"""Do the workers and gateways that launchd says are running do anything?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.core.units import format_duration
from macfleet.inventory.mac import Mac
from macfleet.macos.heartbeats import Heartbeat, heartbeats
from macfleet.macos.jobs import jobs
from macfleet.macos.launchctl import Job

# They beat twice a second, and macfleet's agent ends one that does not after five: this long, and the agent is not there either.
_SILENT_S = 10


class Heartbeats:
    name = "heartbeats"
    why = "a process that hangs keeps its memory and its place in the gang, and launchd, which sees that it lives, never replaces it"
    source = "macfleet's own workers and gateways: they write the time into a file twice a second"
    want = f"a sign of life of every running worker and gateway within {_SILENT_S} s"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (heartbeats(mac.paths), jobs(mac.paths))

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        beats, all_jobs = facts[heartbeats(mac.paths)], facts[jobs(mac.paths)]
        if isinstance(beats, Unknown):
            return [findings.unknown(self, beats, self.want)]
        if isinstance(all_jobs, Unknown):
            return [findings.unknown(self, all_jobs, self.want)]
        watched = [beat for beat in beats if _is_of_this_process(beat, all_jobs)]
        silent = [beat for beat in watched if beat.age_s > _SILENT_S]
        if silent:
            told = "; ".join(f"{_short(beat.label)} has been silent for {format_duration(beat.age_s)}" for beat in silent)
            return [findings.fail(self, f"{told}, though launchd says it runs", self.want, _hint(mac, all_jobs))]
        alive = [_short(beat.label) for beat in watched]
        return [findings.ok(self, f"{findings.names(sorted(alive))} alive" if alive else "no worker and no gateway runs here", self.want)]


def _is_of_this_process(beat: Heartbeat, all_jobs: Mapping[str, Job | None]) -> bool:
    """A file outlives its process; and a process that has just been started has not beaten yet."""
    job = all_jobs.get(beat.label)
    return job is not None and job.is_running and job.pid == beat.pid


def _hint(mac: Mac, all_jobs: Mapping[str, Job | None]) -> str:
    agent = all_jobs.get("dev.macfleet.agent")
    if agent is not None and agent.is_running:
        return "macfleet's agent ends it and launchd starts it again, which `macfleet status` shows; look again in a minute"
    return f"macfleet's agent, which would end it, does not run: `macfleet provision --mac {mac.name}`"


def _short(label: str) -> str:
    return label.removeprefix("dev.macfleet.")
