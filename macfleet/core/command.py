"""One program to run on a Mac."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace

from macfleet.core.secret import Secret


@dataclass(frozen=True)
class Command:
    """A program as argv. Quoted once, by `shell()`; a secret is `stdin`, never an argument.

    `sudo` runs it as root by `sudo -n` (a password prompt is an error, not a wait).
    `timeout_s` is the command's own deadline; every command has one.
    """

    argv: tuple[str, ...]
    stdin: bytes | Secret | None = None
    sudo: bool = False
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        if not self.argv or not all(isinstance(word, str) for word in self.argv):
            raise TypeError(f"argv must be a non-empty tuple of str, not {self.argv!r}")

    def shell(self) -> str:
        """The command as one line of `sh`, each word quoted."""
        words = ("sudo", "-n", *self.argv) if self.sudo else self.argv
        return shlex.join(words)

    def as_root(self) -> Command:
        return replace(self, sudo=True)

    def __str__(self) -> str:
        """For people: a script among the words only by its first line."""
        return replace(self, argv=tuple(_first_line(word) for word in self.argv)).shell()


def _first_line(word: str) -> str:
    line, _, rest = word.partition("\n")
    return f"{line} …" if rest else word


def command(*argv: str, stdin: bytes | Secret | None = None, sudo: bool = False, timeout_s: float = 30.0) -> Command:
    """`command("pmset", "-g", "custom")` reads better than the tuple."""
    return Command(argv=argv, stdin=stdin, sudo=sudo, timeout_s=timeout_s)
