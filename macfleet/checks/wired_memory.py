"""Is memory wired that no worker holds?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.core.units import GIB, format_size
from macfleet.inventory.mac import Mac
from macfleet.macos import vm_stat
from macfleet.macos.jobs import jobs
from macfleet.macos.launchctl import Job

# macOS itself: about 10 GiB, and on big Macs the tables for all that memory, which are wired as well.
_LEAST_BYTES = 10 * GIB
_SHARE = 20


class WiredMemory:
    name = "wired-memory"
    why = "a worker that was killed hard leaves its memory wired in the kernel, and only a restart of the Mac gives it back"
    source = "omlx#2184: 424 GiB stayed wired on an M3 Ultra after SIGKILL, and KeepAlive made 233 starts of it"
    measures = True

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (vm_stat.MEMORY, jobs(mac.paths))

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        most = max(_LEAST_BYTES, mac.memory_bytes // _SHARE)
        want = f"at most {format_size(most)} while no worker runs"
        memory, all_jobs = facts[vm_stat.MEMORY], facts[jobs(mac.paths)]
        if isinstance(memory, Unknown):
            return [findings.unknown(self, memory, want)]
        have = f"{format_size(memory.wired_bytes)} wired"
        if memory.wired_bytes <= most:
            return [findings.ok(self, have, want)]
        if isinstance(all_jobs, Unknown):
            return [findings.unknown(self, all_jobs, want)]
        if holders := running_workers(all_jobs):
            return [findings.ok(self, f"{have}, for {findings.names(holders)}", want)]
        hint = f"if no other program serves models there, it is lost until a restart: `macfleet rolling-reboot --mac {mac.name}`"
        return [findings.fail(self, f"{have}, and no worker of macfleet runs", want, hint)]


def running_workers(all_jobs: Mapping[str, Job | None]) -> list[str]:
    """The services whose worker runs on this Mac."""
    running = [label for label, job in all_jobs.items() if job is not None and job.is_running and label.endswith(".worker")]
    return [label.removeprefix("dev.macfleet.").removesuffix(".worker") for label in running]
