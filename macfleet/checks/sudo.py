"""Can macfleet become root without a password?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Mac
from macfleet.macos import sudo


class Sudo:
    name = "sudo"
    why = "power settings, launchd jobs and network services can only be changed as root, and nobody is there to type a password"
    source = "sudo(8): `sudo -n` ends with 1 where a password is required; mlx's distributed_config asks for the same set-up"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (sudo.PASSWORDLESS, sudo.PASSWORDLESS_FOR_SOME)

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        want = "sudo without a password"
        passwordless = facts[sudo.PASSWORDLESS]
        if isinstance(passwordless, Unknown):
            return [findings.unknown(self, passwordless, want)]
        if passwordless:
            return [findings.ok(self, want, want)]
        if facts[sudo.PASSWORDLESS_FOR_SOME] is True:
            have = "sudo asks for a password for most commands: its rule names only some programs"
            return [findings.fail(self, have, want, sudo.how_to_allow(mac.user))]
        return [findings.fail(self, "sudo asks for a password", want, sudo.how_to_allow(mac.user))]
