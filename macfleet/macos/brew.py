"""`brew`: Homebrew. It refuses root, so these run as the user; only its daemons need root."""

from __future__ import annotations

from collections.abc import Sequence

from macfleet.core.command import Command, command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result
from macfleet.macos.answers import PROGRAM_MISSING, unparsable

# The first line of a script is what an error shows of it.
_UNINSTALL = """# brew uninstall
[ -e "$(brew --prefix)/opt/$1" ] || [ -L "$(brew --prefix)/opt/$1" ] || exit 0
brew uninstall --formula "$1\""""


def parse_prefix(text: str) -> str:
    if not text.startswith("/") or len(text.strip().splitlines()) != 1:
        raise unparsable("brew --prefix", f'"{text.strip()[:80]}" is not one path')
    return text.strip()


def _understand(results: Sequence[Result]) -> str | Unknown | None:
    if results[0].exit_status == PROGRAM_MISSING:
        return None
    return parse_prefix(results[0].stdout) if results[0].ok else Unknown(results[0].failure())


# None: Homebrew is not installed.
PREFIX: Fact[str | None] = Fact("homebrew", (command("brew", "--prefix", timeout_s=20),), _understand)


def install(formula: str) -> Command:
    return command("brew", "install", formula, timeout_s=600)


def uninstall(formula: str) -> Command:
    """What it brought along stays: others may use it meanwhile. Done already is done."""
    return command("sh", "-c", _UNINSTALL, "sh", formula, timeout_s=300)


def start_service(formula: str) -> Command:
    return command("brew", "services", "start", formula, sudo=True, timeout_s=60)


def stop_service(formula: str) -> Command:
    """Also takes its plist away: it does not come back at the next boot."""
    return command("brew", "services", "stop", formula, sudo=True, timeout_s=60)
