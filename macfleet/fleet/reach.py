"""Whether a Mac answers: the states that a reboot passes through."""

from __future__ import annotations

from enum import StrEnum

from macfleet.core.errors import AuthenticationFailed, ConnectionRefused, FileVaultLocked, HostKeyMismatch, HostKeyUnknown, Unreachable


class Reach(StrEnum):
    """In the order in which a Mac that restarts shows them; `auth` is not one of them and needs a person."""

    TIMEOUT = "timeout"  # nobody there: off, asleep, between two systems
    REFUSED = "refused"  # a system there, SSH not yet
    FILEVAULT_LOCKED = "filevault-locked"
    AUTH = "auth"
    UP = "up"

    @classmethod
    def of(cls, error: Unreachable) -> Reach:
        """A wrong host key is raised again: never an answer that a loop could wait through."""
        match error:
            case HostKeyMismatch() | HostKeyUnknown():
                raise error
            case FileVaultLocked():
                return cls.FILEVAULT_LOCKED
            case AuthenticationFailed():
                return cls.AUTH
            case ConnectionRefused():
                return cls.REFUSED
        return cls.TIMEOUT
