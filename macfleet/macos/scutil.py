"""`scutil`: the three names of a Mac."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from macfleet.core.command import Command, command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result
from macfleet.macos.answers import says, unparsable

# What Finder shows, what Bonjour answers to (NAME.local), and what `hostname` prints.
KINDS = ("ComputerName", "LocalHostName", "HostName")


def _understand(results: Sequence[Result]) -> Mapping[str, str | None] | Unknown:
    names: dict[str, str | None] = {}
    for kind, result in zip(KINDS, results, strict=True):
        if not result.ok and not says(result, f"{kind}: not set"):
            return Unknown(result.failure())
        if result.ok and not result.stdout.strip():
            raise unparsable(f"scutil --get {kind}", "no name, and not that it is not set")
        names[kind] = result.stdout.strip() if result.ok else None
    return names


# Kind → name; None: not set, which is how a new Mac has its HostName.
NAMES: Fact[Mapping[str, str | None]] = Fact("names", tuple(command("scutil", "--get", kind, timeout_s=10) for kind in KINDS), _understand)


def set_name(kind: str, name: str | None) -> Command:
    """An empty name takes it away (configd, SCPreferencesSetHostName)."""
    return command("scutil", "--set", kind, name or "", sudo=True, timeout_s=15)
