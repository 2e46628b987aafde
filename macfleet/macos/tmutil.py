"""`tmutil`: Time Machine, and by what it refuses, whether an SSH login has full disk access.

macOS gives that access to its SSH server, not to an account: System Settings > General > Sharing > Remote Login (i).
"""

from __future__ import annotations

from collections.abc import Sequence

from macfleet.core.command import command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result
from macfleet.macos.answers import says

_REFUSED = 80


def _understand(results: Sequence[Result]) -> bool | Unknown:
    """Some releases exit 0 with the refusal on stdout; see tests/fixtures/ops/tmutil_latestbackup.no_fda.txt."""
    asked = results[0]
    if asked.exit_status == _REFUSED or says(asked, "requires Full Disk Access"):
        return False
    if asked.ok or says(asked, "No machine directory found"):
        return True
    return Unknown(asked.failure())


# Where no backup was ever made it fails too, but in other words.
FULL_DISK_ACCESS: Fact[bool] = Fact("full disk access", (command("tmutil", "latestbackup", timeout_s=20),), _understand)
