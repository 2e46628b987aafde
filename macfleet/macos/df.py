"""`df -k`: room on a disk."""

from __future__ import annotations

import re
from dataclasses import dataclass

from macfleet.core.command import command
from macfleet.core.fact import Fact
from macfleet.macos.answers import ask, unparsable


@dataclass(frozen=True)
class Disk:
    total_bytes: int
    free_bytes: int


def parse_df(text: str) -> Disk:
    """The one file system in `df -k PATH`. `df -h` is refused: its rounded sizes are not what was asked."""
    if not re.match(r"\s*Filesystem\s+(1024-blocks|1K-blocks)\s", text):
        raise unparsable("df -k", "no column of 1024-byte blocks")
    rows = re.findall(r"^\S.*?\s(\d{1,18})\s+\d{1,18}\s+(\d{1,18})\s+\d+%\s", text, re.MULTILINE)
    if len(rows) != 1:
        raise unparsable("df -k", f"{len(rows)} file systems instead of one")
    total_kib, free_kib = rows[0]
    return Disk(int(total_kib) * 1024, int(free_kib) * 1024)


def volume(root: str) -> str:
    """Where the room of a Mac is counted: `/` is a sealed snapshot, the data lives beside it."""
    return "/System/Volumes/Data" if root == "/" else root


def free(path: str) -> Fact[Disk]:
    return ask(f"disk {path}", command("df", "-k", path, timeout_s=10), parse_df)
