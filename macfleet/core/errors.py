"""Every error that reaches a user: what happened, on which Mac, what is true now, what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence


class MacfleetError(Exception):
    """Something could not be done. `cli/app.py` is the one place that turns it into text and an exit code."""

    exit_code = 3

    def __init__(self, what: str, *, mac: str | None = None, truths: Sequence[str] = (), hint: str | None = None):
        super().__init__(what)
        self.what = what
        self.mac = mac
        self.truths = tuple(truths)  # what is true now, one sentence each
        self.hint = hint

    def __str__(self) -> str:
        where = f"{self.mac}: " if self.mac and not _names(self.what, self.mac) else ""
        return where + self.what


class RequestError(MacfleetError):
    """The request is wrong: arguments, inventory, playbook. Nothing was done."""

    exit_code = 2


class InventoryError(RequestError):
    """The inventory does not say something macfleet understands; `what` starts with file:line."""


class PlaybookError(RequestError):
    """The playbook does not say something macfleet understands; `what` starts with file:line."""


class SecretMissing(RequestError):
    """A secret's source (environment, file, command) gave nothing."""


class Interrupted(MacfleetError):
    """The operator pressed Ctrl-C; `truths` say how far the command had come."""

    exit_code = 130


class Unparsable(MacfleetError):
    """A program of the Mac answered in a form this version does not understand."""


class Unreachable(MacfleetError):
    """The Mac could not be talked to: nobody knows what is true there."""


class ConnectionRefused(Unreachable):
    """The Mac is there but takes no SSH connection, or not yet."""


class HostKeyMismatch(Unreachable):
    """The Mac shows another host key than the pinned one: nothing was sent to it."""


class HostKeyUnknown(Unreachable):
    """No host key is pinned for this Mac: nothing was sent to it."""


class AuthenticationFailed(Unreachable):
    """The Mac answers but does not accept this user and key."""


class FileVaultLocked(Unreachable):
    """The Mac waits before its boot for the password that unlocks its disk."""


class ConnectionDropped(Unreachable):
    """The connection ended before a command finished: its effect is unknown."""


class CommandFailed(MacfleetError):
    """A command ended with another exit status than it had to."""


class LockHeld(MacfleetError):
    """Somebody else is changing this fleet."""


class PlacementRefused(MacfleetError):
    """The model does not fit these Macs; `truths` says why, Mac by Mac."""

    exit_code = 1


class WeightsBroken(MacfleetError):
    """A model directory is incomplete, truncated or not what its hash says."""


class ServiceFailed(MacfleetError):
    """A service did not become, or did not stay, what it should be."""


def _names(text: str, mac: str) -> bool:
    """Whether the sentence says it already: as a word of its own, not as a part of a path or of another Mac's name."""
    return re.search(rf"(?<![\w./-]){re.escape(mac)}(?![\w/-]|\.\w)", text) is not None
