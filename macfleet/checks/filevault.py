"""Does a restart stop at the disk's password?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Mac
from macfleet.macos import fdesetup


class FileVault:
    name = "filevault"
    why = "with FileVault on, every plain restart waits for a password before the disk, and macOS 26.4 turns it on by itself at set-up"
    source = "Apple's man page apple_ssh_and_filevault(7) and Platform Security; reports that Setup Assistant of 26.4 turns FileVault on"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (fdesetup.STATUS,)

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        is_on, wanted = facts[fdesetup.STATUS], mac.settings.filevault
        if isinstance(is_on, Unknown):
            return [findings.unknown(self, is_on, wanted)]
        have = "on" if is_on else "off"
        if wanted in (have, "any"):
            return [findings.ok(self, have, wanted)]
        hint = f"`sudo fdesetup {'enable' if wanted == 'on' else 'disable'}` on the Mac; it asks for an owner's password"
        return [findings.fail(self, have, wanted, hint)]
