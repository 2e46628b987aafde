"""Will the GPU's wired limit be in force after the next restart?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.checks.wired_limit import describe, wanted_mib
from macfleet.core.errors import Unparsable
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Mac
from macfleet.macos import files, launchctl, plist

LABEL = "dev.macfleet.wired-limit"


class WiredLimitAtBoot:
    name = "wired-limit-at-boot"
    why = "sysctl forgets the wired limit at every restart, and a power cut asks nobody; /etc/sysctl.conf is ignored on Apple silicon"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (files.file_text(mac.paths.plist(LABEL)), launchctl.job(LABEL))

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        text, job, wanted = facts[files.file_text(mac.paths.plist(LABEL))], facts[launchctl.job(LABEL)], wanted_mib(mac)
        want = "left to macOS" if wanted is None else f"a LaunchDaemon that sets {describe(wanted)}"
        if isinstance(text, Unknown):
            return [findings.unknown(self, text, want)]
        if isinstance(job, Unknown):
            return [findings.unknown(self, job, want)]
        try:
            stored = None if text is None else limit_at_boot(text)
        except Unparsable as error:
            return [findings.fail(self, str(error), want, "`macfleet provision` writes it anew")]
        return [self._compare(wanted, stored, text is not None, job is not None, want)]

    def _compare(self, wanted: int | None, stored: int | None, has_plist: bool, is_loaded: bool, want: str) -> Finding:
        provision = "`macfleet provision` installs the LaunchDaemon"
        if wanted is None:
            if not has_plist:
                return findings.ok(self, "left to macOS", want)
            return findings.warn(self, f"{LABEL} still sets {describe(stored or 0)}", want, f"remove {LABEL}, or write `wired_limit`")
        if not has_plist:
            return findings.fail(self, "nothing sets it at boot", want, provision)
        if stored != wanted:
            have = f"{LABEL} sets {describe(stored)}" if stored is not None else f"{LABEL} does not set it at load"
            return findings.fail(self, have, want, provision)
        if not is_loaded:
            return findings.fail(self, f"{LABEL} is written, but launchd does not know it", want, provision)
        return findings.ok(self, f"{LABEL} sets {describe(wanted)}", want)


def limit_at_boot(text: str) -> int | None:
    """The MiB that this LaunchDaemon sets as soon as it is loaded; None when it does not. Raises Unparsable."""
    job = plist.parse_job_description(text)
    match = re.search(r"\biogpu\.wired_limit_mb=(\d{1,9})\b", " ".join(job.arguments))
    return int(match[1]) if match and job.run_at_load else None
