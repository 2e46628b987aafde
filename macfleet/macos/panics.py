"""The panic reports that macOS writes at the start after a kernel panic."""

from __future__ import annotations

import re
from collections.abc import Sequence

from macfleet.core.command import command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.paths import MacPaths
from macfleet.core.result import Result
from macfleet.macos.answers import says, unparsable

DIRECTORY = "/Library/Logs/DiagnosticReports"


def parse_panics(text: str) -> tuple[str, ...]:
    """The names of the reports, such as panic-full-2026-08-18-092125.0002.panic, the oldest first."""
    names = []
    for line in text.splitlines():
        if not line.startswith("/") or not line.endswith(".panic"):
            raise unparsable("find", f'"{line[:60]}" is not the path of a panic report')
        names.append(line.rpartition("/")[2])
    return tuple(sorted(names, key=lambda name: (_time(name), name)))


def panics(paths: MacPaths) -> Fact[tuple[str, ...]]:
    """The reports that are kept. Admins may read the directory; somebody else's answer is Unknown."""

    def understand(results: Sequence[Result]) -> tuple[str, ...] | Unknown:
        if results[0].ok:
            return parse_panics(results[0].stdout)
        return () if says(results[0], "No such file or directory") else Unknown(results[0].failure())

    question = command("find", paths.at(DIRECTORY), "-maxdepth", "1", "-name", "*.panic", timeout_s=10)
    return Fact("panics", (question,), understand)


def time_of(name: str) -> str:
    """`2026-08-18 09:21:25` out of the name; the name itself when there is none."""
    time = _time(name)
    return f"{time[:10]} {time[11:13]}:{time[13:15]}:{time[15:17]}" if time else name


def _time(name: str) -> str:
    match = re.search(r"\d{4}-\d{2}-\d{2}-\d{6}", name)
    return match[0] if match else ""
