"""`sudo -n true`: whether root is to be had without a password."""

from __future__ import annotations

from collections.abc import Sequence

from macfleet.core.command import command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result
from macfleet.macos.answers import PROGRAM_MISSING


def _understand(results: Sequence[Result]) -> bool | Unknown:
    if results[0].exit_status == PROGRAM_MISSING:
        return Unknown(results[0].failure())
    return results[0].ok


def how_to_allow(user: str | None) -> str:
    """The line to type on the Mac, once. In double quotes: without a name it is whoever types it."""
    return f'on the Mac, once: echo "{user or "$USER"} ALL=(ALL) NOPASSWD: ALL" | sudo tee /etc/sudoers.d/macfleet'


PASSWORDLESS: Fact[bool] = Fact("sudo", (command("sudo", "-n", "true", timeout_s=10),), _understand)
