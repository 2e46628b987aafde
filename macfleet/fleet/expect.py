"""Results that must be good."""

from __future__ import annotations

from collections.abc import Sequence

from macfleet.core.errors import CommandFailed
from macfleet.core.result import Result
from macfleet.inventory.mac import Mac


def expect_ok(mac: Mac, results: Sequence[Result]) -> None:
    """Raises CommandFailed for the first result that is not exit status 0, with what to do where that is known."""
    for index, result in enumerate(results):
        if not result.ok:
            done = [f"`{before.command}` was done before it" for before in results[:index]]
            raise CommandFailed(result.failure(), mac=mac.name, truths=done, hint=_hint(mac, result))


def _hint(mac: Mac, result: Result) -> str | None:
    # sudo speaks the user's language unless told otherwise; every script sets LC_ALL=C.
    if result.command.sudo and "sudo: a password is required" in result.stderr:
        return f"on the Mac: `sudo visudo -f /etc/sudoers.d/macfleet`, and write `{mac.user or 'USER'} ALL=(ALL) NOPASSWD: ALL`"
    if "No space left on device" in result.stderr:
        return "make room on the Mac's disk: `df -h /System/Volumes/Data` shows it"
    return None
