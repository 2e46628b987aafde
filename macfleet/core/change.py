"""One difference between what is wanted and what is, with the commands that close it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from macfleet.core.command import Command
from macfleet.core.fact import Unknown


@dataclass(frozen=True)
class Change:
    """`what` in the words of the Mac ("sysctl iogpu.wired_limit_mb"), `before` and `after` for the one line a user reads.

    Commands run in order and each must exit 0. Applied, the module's own diff must be empty: that is the proof.
    """

    what: str
    before: str
    after: str
    commands: tuple[Command, ...]

    def line(self) -> str:
        return f"{self.what} {self.before} → {self.after}"

    def as_json(self) -> dict[str, str]:
        return {"what": self.what, "before": self.before, "after": self.after}


@dataclass(frozen=True)
class Unsupported:
    """This Mac has no such setting (a VM, an older macOS): said, never failed and never silently skipped."""

    reason: str


# What a module's diff is made of: things to do, settings this Mac has not, things nobody could look at. Empty: it agrees.
Difference = Change | Unsupported | Unknown
Diff = Sequence[Difference]
