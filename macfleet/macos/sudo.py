"""`sudo`: whether root is to be had without a password, and root by password, for the one login before that."""

from __future__ import annotations

from collections.abc import Sequence

from macfleet.core.command import Command, command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result
from macfleet.core.secret import Secret
from macfleet.macos.answers import PROGRAM_MISSING


def _understand(results: Sequence[Result]) -> bool | Unknown:
    if results[0].exit_status == PROGRAM_MISSING:
        return Unknown(results[0].failure())
    return results[0].ok


def how_to_allow(user: str | None) -> str:
    """What to do, once. In double quotes: without a name it is whoever types it."""
    by_hand = f'on the Mac: echo "{user or "$USER"} ALL=(ALL) NOPASSWD: ALL" | sudo tee /etc/sudoers.d/macfleet'
    return f"`macfleet enroll` writes a checked rule, with the account's password; or by hand {by_hand}"


# `sh`, because a rule that names programs names `true` sooner than a shell, and everything that macfleet writes is written by one.
PASSWORDLESS: Fact[bool] = Fact("sudo", (command("sudo", "-n", "sh", "-c", ":", timeout_s=10),), _understand)
# Whether it is to be had for harmless programs at least: then there is a rule, but one that names programs.
PASSWORDLESS_FOR_SOME: Fact[bool] = Fact("sudo-for-some", (command("sudo", "-n", "true", timeout_s=10),), _understand)


def check_password(password: Secret) -> Command:
    """Exit status 0: sudo takes this password. It is tried once: what else stood on stdin would be tried as well."""
    return Command((*_ASKING, "true"), stdin=Secret(f"{password.reveal()}\n"), timeout_s=30)


def by_password(wanted: Command, password: Secret) -> Command:
    """The same as root, for a sudo that asks: the password goes ahead on stdin, where sudo reads it and not one byte more.

    Where a rule lets this command pass, sudo leaves the password on stdin: it is thrown away there, up to the mark.
    """
    match wanted.stdin:
        case Secret() as secret:
            text = secret.reveal()
        case bytes() as data:
            text = data.decode()
        case None:
            text = ""
    words = (*_ASKING, "sh", "-c", _BEHIND_THE_MARK, _MARK, *wanted.argv)
    return Command(words, stdin=Secret(f"{password.reveal()}\n{_MARK}\n{text}"), timeout_s=wanted.timeout_s)


# -k: a login of a minute ago does not count. -p '': no prompt among the command's own words.
_ASKING = ("sudo", "-S", "-k", "-p", "")
_MARK = "-- macfleet: what follows is the command's own input"
_BEHIND_THE_MARK = """# the command, with its own input
while IFS= read -r line; do
	if [ "$line" = "$0" ]; then exec "$@"; fi
done
exit 1"""
