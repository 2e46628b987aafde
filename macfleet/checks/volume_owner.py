"""Does the user who logs in own the volume, so that macOS can be updated over SSH?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Mac
from macfleet.macos import diskutil, dscl
from macfleet.macos import id as id_


class VolumeOwner:
    name = "volume-owner"
    why = "on Apple silicon only a volume owner's password installs updates of macOS and restarts past FileVault; root alone does neither"
    source = "Apple Platform Security on volume ownership; super and erase-install ask the same of `diskutil apfs listcryptousers /`"
    want = "whoever logs in is a volume owner"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (id_.USER, dscl.USERS, diskutil.CRYPTO_USERS)

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        user, accounts, owners = facts[id_.USER], facts[dscl.USERS], facts[diskutil.CRYPTO_USERS]
        if isinstance(user, Unknown):
            return [findings.unknown(self, user, self.want)]
        if isinstance(accounts, Unknown):
            return [findings.unknown(self, accounts, self.want)]
        if isinstance(owners, Unknown):
            return [findings.unknown(self, owners, self.want)]
        if user not in accounts:
            return [findings.unknown(self, f"the Mac lists no account {user} with a UUID", self.want)]
        owns = diskutil.owns_volume(user, accounts, owners)
        if owns is None:
            return [findings.unknown(self, f"macOS does not say whether {user} is one", self.want)]
        if owns:
            return [findings.ok(self, f"{user} is one", self.want)]
        hint = (
            f"log in once at the screen of the Mac as {user}, or as an owner there: `sysadminctl -secureTokenOn {user} -password - "
            "-adminUser OWNER -adminPassword -`; over SSH macOS gives nobody a token"
        )
        return [findings.warn(self, f"{user} is none", self.want, hint)]
