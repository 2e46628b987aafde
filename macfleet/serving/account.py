"""The account that jobs run under: whom macfleet logs in as, with the HOME and PATH a launchd job would not have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from macfleet.core.command import command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result


@dataclass(frozen=True)
class Account:
    user: str
    group: str
    home: str
    path: str


def _understand(results: Sequence[Result]) -> Account | Unknown:
    for result in results:
        if not result.ok or not result.stdout.strip():
            return Unknown(result.failure() if not result.ok else f"`{result.command}` printed nothing")
    return Account(*(result.stdout.strip() for result in results))


# PATH is the Mac's own, already extended by its `search_path`: a job gets the same programs as a command over SSH.
ACCOUNT: Fact[Account] = Fact(
    "account",
    (
        command("id", "-un", timeout_s=10),
        command("id", "-gn", timeout_s=10),
        command("printenv", "HOME", timeout_s=10),
        command("printenv", "PATH", timeout_s=10),
    ),
    _understand,
)
