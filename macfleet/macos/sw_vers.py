"""`sw_vers`: which macOS this is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from macfleet.core.command import command
from macfleet.macos.answers import ask, unparsable


@dataclass(frozen=True)
class Version:
    """`version` "26.5", `build` "25F71". RDMA needs equal builds on all Macs, so the build is the identity."""

    product: str
    version: str
    build: str

    def is_at_least(self, minimum: str) -> bool:
        return _numbers(self.version) >= _numbers(minimum)

    def __str__(self) -> str:
        return f"{self.product} {self.version} ({self.build})"


def parse_sw_vers(text: str) -> Version:
    """Version and build from `sw_vers`. An extra line (ProductVersionExtra of a rapid response) is no trouble."""
    rows = {key.strip(): value.strip() for key, colon, value in (line.partition(":") for line in text.splitlines()) if colon}
    for row in ("ProductName", "ProductVersion", "BuildVersion"):
        if row not in rows:
            raise unparsable("sw_vers", f"no {row} line")
    for row, form in (("ProductVersion", r"[0-9]+(\.[0-9]+)*"), ("BuildVersion", r"[0-9]+[A-Z][0-9]+[a-z]?")):
        if not re.fullmatch(form, rows[row]):
            raise unparsable("sw_vers", f'{row} is "{rows[row][:40]}"')
    return Version(rows["ProductName"], rows["ProductVersion"], rows["BuildVersion"])


VERSION = ask("macos-version", command("sw_vers", timeout_s=10), parse_sw_vers)


def _numbers(version: str) -> tuple[int, ...]:
    """26.2 and 26.2.0 are the same version."""
    numbers = [int(number) for number in re.findall(r"\d+", version)]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
