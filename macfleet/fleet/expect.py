"""Results that must be good."""

from __future__ import annotations

from collections.abc import Sequence

from macfleet.core.errors import CommandFailed
from macfleet.core.result import Result
from macfleet.inventory.mac import Mac
from macfleet.macos.sudo import how_to_allow


def expect_ok(mac: Mac, results: Sequence[Result]) -> None:
    """Raises CommandFailed for the first result that is not exit status 0, with what to do where that is known."""
    for index, result in enumerate(results):
        if not result.ok:
            raise _failed(mac, result, [f"`{before.command}` was done before it" for before in results[:index]])


def _failed(mac: Mac, result: Result, done: Sequence[str]) -> CommandFailed:
    # sudo speaks the user's language unless told otherwise; every script sets LC_ALL=C.
    if result.command.sudo and "sudo: a password is required" in result.stderr:
        return CommandFailed(
            f"sudo asks for a password on {mac.name}, and nobody is there to type it",
            mac=mac.name,
            truths=[*done, f"`{result.command}` was not run"],
            hint=how_to_allow(mac.user),
        )
    hint = "make room on the Mac's disk: `df -h /System/Volumes/Data` shows it" if "No space left on device" in result.stderr else None
    return CommandFailed(result.failure(), mac=mac.name, truths=done, hint=hint)
