"""`fdesetup status`: whether a restart stops at a password."""

from __future__ import annotations

import re

from macfleet.core.command import command
from macfleet.macos.answers import ask, unparsable


def parse_fdesetup(text: str) -> bool:
    """True for `FileVault is On.`; lines about a conversion in progress may follow."""
    match = re.match(r"\s*FileVault is (On|Off)\b", text)
    if match is None:
        raise unparsable("fdesetup status", f'"{text.strip()[:80]}"')
    return match[1] == "On"


STATUS = ask("filevault", command("fdesetup", "status", timeout_s=15), parse_fdesetup)
