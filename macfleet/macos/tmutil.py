"""`tmutil`: whether Time Machine copies the weights, which it says to anybody, and whether SSH logins have full disk access."""

from __future__ import annotations

import re
from collections.abc import Sequence

from macfleet.core.command import command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.paths import MacPaths
from macfleet.core.result import Result
from macfleet.macos.answers import says, unparsable

_NOWHERE = "No destinations configured"
_REFUSED = 80


def parse_destinations(text: str) -> tuple[str, ...]:
    """The names of the disks that Time Machine copies to; empty when it copies nowhere."""
    if _NOWHERE in text:
        return ()
    names = [name.strip() for name in re.findall(r"^Name +: (.+)$", text, re.MULTILINE)]
    if not all(names) or not names:
        raise unparsable("tmutil destinationinfo", "no name of a destination")
    return tuple(names)


def parse_excluded(text: str) -> bool:
    match = re.match(r"\[(Excluded|Included|Unknown)\]\s", text)
    if match is None:
        raise unparsable("tmutil isexcluded", f'"{text.strip()[:60]}" begins with neither [Excluded] nor [Included]')
    return match[1] == "Excluded"


def _understand_destinations(results: Sequence[Result]) -> tuple[str, ...] | Unknown:
    if results[0].ok or says(results[0], _NOWHERE):
        return parse_destinations(f"{results[0].stdout}\n{results[0].stderr}")
    return Unknown(results[0].failure())


DESTINATIONS: Fact[tuple[str, ...]] = Fact("time-machine", (command("tmutil", "destinationinfo", timeout_s=20),), _understand_destinations)


def excludes_models(paths: MacPaths) -> Fact[bool]:
    """Whether the models are left out of every backup. A directory that is not there yet is not excluded."""

    def understand(results: Sequence[Result]) -> bool | Unknown:
        if results[0].ok and results[0].stdout.strip():
            return parse_excluded(results[0].stdout)
        return False if says(results[0], "No such file") or results[0].ok else Unknown(results[0].failure())

    return Fact("time-machine-exclusion", (command("tmutil", "isexcluded", paths.models, timeout_s=20),), understand)


def _understand_access(results: Sequence[Result]) -> bool | Unknown:
    """Some releases exit 0 with the refusal on stdout; see tests/fixtures/ops/tmutil_latestbackup.no_fda.txt."""
    asked = results[0]
    if asked.exit_status == _REFUSED or says(asked, "requires Full Disk Access"):
        return False
    if asked.ok or says(asked, "No machine directory found"):
        return True
    return Unknown(asked.failure())


# Whether SSH logins have full disk access: macOS gives it to its SSH server (System Settings > General > Sharing > Remote Login (i)),
# and `tmutil` refuses without it. Where no backup was ever made it fails too, but in other words.
FULL_DISK_ACCESS: Fact[bool] = Fact("full disk access", (command("tmutil", "latestbackup", timeout_s=20),), _understand_access)
