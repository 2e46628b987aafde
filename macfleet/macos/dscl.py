"""`dscl . -list /Users GeneratedUID`: the accounts of a Mac, and the UUID by which disks and tokens know each."""

from __future__ import annotations

import re
from collections.abc import Mapping

from macfleet.core.command import command
from macfleet.macos.answers import ask, unparsable

_PROGRAM = "dscl . -list /Users GeneratedUID"
_UUID = r"[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}"


def parse_users(text: str) -> Mapping[str, str]:
    """Account → UUID. An account without one (macOS lists some system accounts so) is left out."""
    rows = [re.fullmatch(rf"(\S+)\s+({_UUID})\s*", line) for line in text.splitlines()]
    users = {row[1]: row[2] for row in rows if row}
    if not users:
        raise unparsable(_PROGRAM, "no account with a UUID")
    return users


USERS = ask("users", command("dscl", ".", "-list", "/Users", "GeneratedUID", timeout_s=20), parse_users)
