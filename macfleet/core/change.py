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

    `undo` puts back what was there before, in this order; empty when there is nothing to take back. It is plain argv without
    stdin, because it is written down on the Mac and may be run months later: old contents are kept as copies by `commands`.
    Each of them may find its work already done.
    `detail` is a unified diff of the content of a text file, shown by a dry run; never of anything with a secret in it.
    """

    what: str
    before: str
    after: str
    commands: tuple[Command, ...]
    undo: tuple[Command, ...] = ()
    detail: str = ""

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
