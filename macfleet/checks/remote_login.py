"""Will the Mac answer by SSH after its next start?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Mac
from macfleet.macos import launchctl

_LABEL = "com.openssh.sshd"
_AGAIN = "`sudo launchctl enable system/com.openssh.sshd && sudo launchctl bootstrap system /System/Library/LaunchDaemons/ssh.plist`"


class RemoteLogin:
    name = "remote-login"
    why = "the connection that stands says nothing of the next one: a Mac whose Remote Login is off is gone after its restart"
    source = "launchctl(1): disabled jobs stay so over restarts; enable and bootstrap work on macOS 15 and 26 without full disk access"
    want = "on, now and after a restart"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (launchctl.job(_LABEL), launchctl.DISABLED)

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        job, disabled = facts[launchctl.job(_LABEL)], facts[launchctl.DISABLED]
        if isinstance(job, Unknown):
            return [findings.unknown(self, job, self.want)]
        if isinstance(disabled, Unknown):
            return [findings.unknown(self, disabled, self.want)]
        if disabled.get(_LABEL):
            return [findings.fail(self, "off from the next start on: launchd has it disabled", self.want, _AGAIN)]
        if job is None:
            return [findings.fail(self, "launchd does not know it: another server answers here", self.want, _AGAIN)]
        return [findings.ok(self, "on", self.want)]
