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
    """The line to type on the Mac, once. In double quotes: without a name it is whoever types it."""
    return f'on the Mac, once: echo "{user or "$USER"} ALL=(ALL) NOPASSWD: ALL" | sudo tee /etc/sudoers.d/macfleet'


# `sh`, because a rule that names programs names `true` sooner than a shell, and everything that macfleet writes is written by one.
PASSWORDLESS: Fact[bool] = Fact("sudo", (command("sudo", "-n", "sh", "-c", ":", timeout_s=10),), _understand)
# Whether it is to be had for harmless programs at least: then there is a rule, but one that names programs.
PASSWORDLESS_FOR_SOME: Fact[bool] = Fact("sudo-for-some", (command("sudo", "-n", "true", timeout_s=10),), _understand)


def by_password(wanted: Command, password: Secret) -> Command:
    """The same as root, for a sudo that asks: the password goes ahead on stdin, where sudo reads it and not one byte more.

    Only where sudo does ask, see PASSWORDLESS: else the command would find the password in its own stdin.
    """
    match wanted.stdin:
        case Secret() as secret:
            text = secret.reveal()
        case bytes() as data:
            text = data.decode()
        case None:
            text = ""
    # -k: a login of a minute ago does not count, or it would not ask. -p '': no prompt among the command's own words.
    words = ("sudo", "-S", "-k", "-p", "", *wanted.argv)
    return Command(words, stdin=Secret(f"{password.reveal()}\n{text}"), timeout_s=wanted.timeout_s)
