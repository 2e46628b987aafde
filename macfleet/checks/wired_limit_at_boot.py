"""Will the GPU's wired limit be in force after the next restart?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.checks.wired_limit import describe, wanted_mib
from macfleet.core.change import Unsupported
from macfleet.core.errors import Unparsable
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Mac
from macfleet.macos import files, launchctl, plist, sysctl

LABEL = "dev.macfleet.wired-limit"


class WiredLimitAtBoot:
    name = "wired-limit-at-boot"
    why = "sysctl forgets the wired limit at every restart, and a power cut asks nobody; /etc/sysctl.conf is ignored on Apple silicon"
    source = "watchman#880: /etc/sysctl.conf measured to be ignored on Apple silicon; launchd.plist(5) for RunAtLoad"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        path = mac.paths.plist(LABEL)
        return (sysctl.WIRED_LIMIT, files.file_text(path), files.file_state(path), launchctl.job(LABEL), launchctl.DISABLED)

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        path, wanted = mac.paths.plist(LABEL), wanted_mib(mac)
        want = "left to macOS" if wanted is None else f"a LaunchDaemon that sets {describe(wanted)}"
        text, state, job, disabled = (
            facts[files.file_text(path)],
            facts[files.file_state(path)],
            facts[launchctl.job(LABEL)],
            facts[launchctl.DISABLED],
        )
        if isinstance(text, Unknown):
            return [findings.unknown(self, text, want)]
        if isinstance(state, Unknown):
            return [findings.unknown(self, state, want)]
        if isinstance(job, Unknown):
            return [findings.unknown(self, job, want)]
        if isinstance(disabled, Unknown):
            return [findings.unknown(self, disabled, want)]
        if wanted is None:
            return [self._unwanted(text, want)]
        if text is None and isinstance(limit := facts[sysctl.WIRED_LIMIT], Unsupported):
            return [findings.ok(self, f"not looked at: {limit.reason}", want)]
        broken = _what_is_broken(wanted, text, state, job, disabled.get(LABEL, False))
        if broken:
            return [findings.fail(self, broken, want, "`macfleet provision` installs the LaunchDaemon")]
        return [findings.ok(self, f"{LABEL} sets {describe(wanted)}", want)]

    def _unwanted(self, text: str | None, want: str) -> Finding:
        if text is None:
            return findings.ok(self, "left to macOS", want)
        return findings.warn(
            self, f"{LABEL} still sets a limit at boot", want, f"remove {LABEL}, or write `wired_limit` into the inventory"
        )


def _what_is_broken(wanted: int, text: str | None, state: files.FileState | None, job: launchctl.Job | None, is_disabled: bool) -> str:
    """Why launchd would not set the limit at the next boot; "" when it would."""
    if text is None or state is None:
        return "nothing sets it at boot"
    try:
        stored = limit_at_boot(text)
    except Unparsable as error:
        return str(error)
    if stored != wanted:
        return f"{LABEL} does not set it at load" if stored is None else f"{LABEL} sets {describe(stored)}"
    if state.owner != "root" or state.mode & 0o022:
        return f"launchd refuses {LABEL}: its file belongs to {state.owner} with mode {state.mode:o}"
    if is_disabled:
        return f"{LABEL} is disabled in launchd, which lasts over restarts"
    return "" if job is not None else f"{LABEL} is written, but launchd does not know it"


def limit_at_boot(text: str) -> int | None:
    """The MiB that this LaunchDaemon sets as soon as it is loaded; None when it does not. Raises Unparsable."""
    job = plist.parse_job_description(text)
    match = re.search(r"\biogpu\.wired_limit_mb=(\d{1,9})\b", " ".join(job.arguments))
    return int(match[1]) if match and job.run_at_load else None
