"""What launchd says of every job of macfleet that has a plist on the Mac, in one question."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from macfleet.core.command import command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.paths import MacPaths
from macfleet.core.result import Result
from macfleet.macos.answers import says, unparsable
from macfleet.macos.launchctl import Job, parse_print

_MISSING = re.compile(r'^Could not find service "(\S+)" in domain for system', re.MULTILINE)
# The labels are the names of the files. `launchctl` ends with 113 for one that it does not know, which is an answer too.
_SCRIPT = 'for plist; do label=${plist##*/}; launchctl print "system/${label%.plist}"; done; :'


def parse_jobs(text: str) -> dict[str, Job]:
    """The jobs of `launchctl print` blocks one after another, by label."""
    before, *blocks = re.split(r"^(?=system/\S+ = \{$)", text, flags=re.MULTILINE)
    if before.strip():
        raise unparsable("launchctl print", f'"{before.strip()[:60]}" is not the beginning of a job')
    return {job.label: job for job in map(parse_print, blocks)}


def jobs(paths: MacPaths) -> Fact[Mapping[str, Job | None]]:
    """Label → what launchd says of it; None for a plist that launchd has not loaded."""

    def understand(results: Sequence[Result]) -> Mapping[str, Job | None] | Unknown:
        result = results[0]
        if not result.ok:
            return {} if says(result, "No such file or directory") else Unknown(result.failure())
        missing = dict.fromkeys(_MISSING.findall(f"{result.stdout}\n{result.stderr}"))
        return {**missing, **parse_jobs(result.stdout)}

    folder, _, name = paths.plist("dev.macfleet.*").rpartition("/")
    question = command("find", folder, "-name", name, "-exec", "sh", "-c", _SCRIPT, "sh", "{}", "+", timeout_s=30)
    return Fact("jobs", (question,), understand)
