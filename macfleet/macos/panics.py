"""The panic reports that macOS writes at the start after a kernel panic."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from macfleet.core.command import command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.paths import MacPaths
from macfleet.core.result import Result
from macfleet.macos.answers import says, unparsable

DIRECTORY = "/Library/Logs/DiagnosticReports"


@dataclass(frozen=True)
class Panic:
    """One report. `cause` is the first line that the kernel wrote, "" when it could not be read."""

    name: str  # panic-full-2026-08-18-092125.0002.panic
    cause: str = ""

    @property
    def time(self) -> str:
        """`2026-08-18 09:21:25` out of the name; the name itself when there is none."""
        stamp = _stamp(self.name)
        return f"{stamp[:10]} {stamp[11:13]}:{stamp[13:15]}:{stamp[15:17]}" if stamp else self.name


def parse_names(text: str) -> tuple[str, ...]:
    """The names of the reports, the oldest first."""
    names = []
    for line in text.splitlines():
        if not line.startswith("/") or not line.endswith(".panic"):
            raise unparsable("find", f'"{line[:60]}" is not the path of a panic report')
        names.append(line.rpartition("/")[2])
    return tuple(sorted(names, key=lambda name: (_stamp(name), name)))


def parse_causes(text: str) -> dict[str, str]:
    """Name → cause, from `grep -H -o`: `/…/x.panic:panic(cpu 9 caller 0xfffffe00): Kernel data abort.\\nDebugger …`."""
    causes: dict[str, str] = {}
    for line in text.splitlines():
        found = re.match(r"(/.*?\.panic):panic\(cpu \d+[^)]*\):? ?(.*)", line)
        if found is None:
            raise unparsable("grep", f'"{line[:60]}" is not the path of a panic report and a panic')
        causes.setdefault(found[1].rpartition("/")[2], _first_line(found[2]))
    return causes


def panics(paths: MacPaths) -> Fact[tuple[Panic, ...]]:
    """The reports that are kept, the oldest first. Admins may read the directory; for others the answer is Unknown."""

    def understand(results: Sequence[Result]) -> tuple[Panic, ...] | Unknown:
        listed, read = results
        if not listed.ok:
            return () if says(listed, "No such file or directory") else Unknown(listed.failure())
        # Ends with 1 where there is no recent report, or one without such a line: what was printed is the answer.
        causes = parse_causes(read.stdout)
        return tuple(Panic(name, causes.get(name, "")) for name in parse_names(listed.stdout))

    where = ("find", paths.at(DIRECTORY), "-maxdepth", "1", "-name", "*.panic")
    grep = ("grep", "-H", "-o", "-m", "1", "-E", "-e", r"panic\(cpu [0-9]+[^)]*\):.{0,160}")
    recent = command(*where, "-mtime", "-30", "-exec", *grep, "{}", "+", timeout_s=15)
    return Fact("panics", (command(*where, timeout_s=10), recent), understand)


def _first_line(said: str) -> str:
    """JSON's text up to its first line end or its last quote, as the kernel wrote it."""
    whole = re.match(r'(?:[^"\\]|\\[^n])*', said)
    return (whole[0] if whole else "").replace('\\"', "").replace("\\/", "/").strip()


def _stamp(name: str) -> str:
    match = re.search(r"\d{4}-\d{2}-\d{2}-\d{6}", name)
    return match[0] if match else ""
