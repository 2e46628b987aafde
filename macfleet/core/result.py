"""What came back from one command."""

from __future__ import annotations

from dataclasses import dataclass

from macfleet.core.command import Command


@dataclass(frozen=True)
class Result:
    """Exit status and output of one command, decoded as UTF-8 with replacement.

    `exit_status` None: nobody knows how it ended (timed out, connection lost), which is a failure; `reason` says which.
    """

    command: Command
    exit_status: int | None
    stdout: str = ""
    stderr: str = ""
    duration_s: float = 0.0
    reason: str = ""

    @property
    def ok(self) -> bool:
        return self.exit_status == 0

    def failure(self) -> str:
        """One line that says how it failed, for errors and findings."""
        if self.exit_status is None:
            return f"`{self.command}` {self.reason or 'ended without an exit status'}"
        said = (self.stderr.strip() or self.stdout.strip()).splitlines()
        tail = f": {said[-1].strip()}" if said else ""
        return f"`{self.command}` ended with {self.exit_status}{tail}"
