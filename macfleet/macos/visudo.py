"""`visudo -cf`: whether sudo would understand a file. One it does not understand locks everybody out of root."""

from __future__ import annotations

import re

from macfleet.core.command import Command, command
from macfleet.core.errors import RequestError

# A name that sudoers takes as it is; macOS makes no other short names by itself.
_PLAIN_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}")


def check_file(path: str) -> Command:
    """Exit status 0: sudo understands the file. It needs root where only root may read the file."""
    return command("visudo", "-cf", path, sudo=True, timeout_s=20)


def sudoers_user(user: str) -> str:
    """The name as it may stand in a rule. Raises RequestError for one that would mean something else there ("ALL", "%group")."""
    if _PLAIN_USER.fullmatch(user) is None or user.isupper():  # upper case is an alias
        raise RequestError(
            f'"{user}" is no user name that a sudoers rule can hold', hint="enroll with another account: `user:` in the inventory"
        )
    return user
