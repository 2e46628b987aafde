"""Where the time of a measurement went: CPU seconds of the servers and of the measuring client, as shares of its duration. Linux only."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def cpu_s(group: int) -> float:
    """CPU seconds of all processes of this group so far; 0.0 where there is no /proc."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended while we looked
        if int(fields[2]) == group:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS_PER_S


class CpuShares:
    """From its making on. `groups`: process groups by name."""

    def __init__(self, groups: Mapping[str, int]):
        self._groups = groups
        self._began, self._before = time.monotonic(), self._spent()

    def so_far(self) -> dict[str, float]:
        """Of the wall time, what each group and the client have computed."""
        wall = time.monotonic() - self._began
        return {name: round((spent - self._before[name]) / wall, 3) for name, spent in self._spent().items()}

    def _spent(self) -> dict[str, float]:
        return {name: cpu_s(group) for name, group in self._groups.items()} | {"client": time.process_time()}
