"""The sudoers rule that lets macfleet become root, and `visudo -cf`, which says whether sudo would understand it.

A file in /etc/sudoers.d that sudo does not understand locks everybody out of root, so none gets there unchecked.
"""

from __future__ import annotations

import re

from macfleet.core.command import Command, command
from macfleet.core.errors import RequestError
from macfleet.core.paths import MacPaths

# sudo skips files with a dot in their name: the neighbour counts for nothing until it has been checked and renamed.
INSTALL = """# a sudoers file, checked before it counts
umask 077
new=$1.macfleet-new
trap 'rm -f "$new"' EXIT
trap 'exit 1' HUP INT TERM
cat >"$new" && chmod 440 "$new" && chown root:wheel "$new" && visudo -cf "$new" >&2 && mv -f "$new" "$1"
"""

# A name that sudoers takes as it is: not an alias (upper case), a group (%), a number (#).
_PLAIN_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}")


def rule_path(paths: MacPaths, user: str) -> str:
    """Where the rule of this account is kept: one file each, so that two operators do not write over each other."""
    return paths.at(f"/etc/sudoers.d/macfleet-{_plain(user).replace('.', '_')}")


def render_rule(user: str) -> str:
    """What the file says. Raises RequestError for a name that would mean something else there."""
    return (
        "# Written by `macfleet enroll`, because nobody is there to type a password; `macfleet unenroll` takes it away.\n"
        f"{_plain(user)} ALL=(ALL) NOPASSWD: ALL\n"
    )


def install_rule(path: str, text: str) -> Command:
    """Puts the rule there, root:wheel 0440, if `visudo` finds it good; else nothing is changed. As root."""
    return command("sh", "-c", INSTALL, "sh", path, stdin=text.encode(), sudo=True, timeout_s=30)


def _plain(user: str) -> str:
    if _PLAIN_USER.fullmatch(user) is None or user.isupper():
        raise RequestError(f'"{user}" is no user name that a sudoers rule can hold', hint="use another account: `user:` in the inventory")
    return user
