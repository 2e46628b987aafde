"""`vm_stat`: where the memory is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from macfleet.core.command import command
from macfleet.macos.answers import ask, unparsable


@dataclass(frozen=True)
class Memory:
    """`wired_bytes` is what neither swaps nor compresses: a GPU's weights, and what a killed process leaked."""

    free_bytes: int
    wired_bytes: int
    available_bytes: int  # free, inactive, speculative and purgeable: what a new process can get
    compressed_bytes: int


def parse_vm_stat(text: str) -> Memory:
    """Memory in bytes. Page counts are multiplied by the page size in the header (16384 on Apple silicon, never assumed).

    Raises Unparsable when the header or a wanted row is missing: a new macOS may have renamed it.
    """
    header = re.search(r"page size of (\d{1,7}) bytes", text)
    if header is None:
        raise unparsable("vm_stat", "no page size in its first line")
    pages = {name: int(count) for name, count in re.findall(r'^"?([^":\n]+)"?:\s+(\d{1,18})\.\s*$', text, re.MULTILINE)}

    def size(*rows: str) -> int:
        for row in rows:
            if row not in pages:
                raise unparsable("vm_stat", f'no row "{row}"')
        return sum(pages[row] for row in rows) * int(header[1])

    return Memory(
        free_bytes=size("Pages free"),
        wired_bytes=size("Pages wired down"),
        available_bytes=size("Pages free", "Pages inactive", "Pages speculative", "Pages purgeable"),
        compressed_bytes=size("Pages occupied by compressor"),
    )


MEMORY = ask("memory", command("vm_stat", timeout_s=10), parse_vm_stat)
