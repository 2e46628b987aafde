"""`dseditgroup -o checkmember`: whether an account is an administrator, whom alone macOS's own sudoers lets use sudo."""

from __future__ import annotations

from collections.abc import Sequence

from macfleet.core.command import command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result

# "no agent is NOT a member of admin"; the exit statuses of releases differ, the first word does not.
_PROGRAM = "dseditgroup"


def is_admin(user: str) -> Fact[bool]:
    """Whether `user` is in the group admin, also by way of another group."""

    def understand(results: Sequence[Result]) -> bool | Unknown:
        said = results[0].stdout.split()
        if said[:1] not in (["yes"], ["no"]) or said[-1] != "admin":
            return Unknown(results[0].failure() if not results[0].ok else f"`{_PROGRAM}` said neither yes nor no")
        return said[0] == "yes"

    return Fact(f"{user} is an administrator", (command(_PROGRAM, "-o", "checkmember", "-m", user, "admin", timeout_s=20),), understand)
