"""Processes as the system lists them: by /proc on Linux, where a small Debian has no `ps`, by `ps` on macOS."""

import os
import subprocess
import sys
from pathlib import Path


def is_alive(pid):
    """Neither gone nor a zombie that waits to be counted."""
    return any(known == pid and not state.startswith("Z") for known, _, state, _ in table())


def table():
    """(process, its parent, its state, its program) of all."""
    if sys.platform == "linux":
        return [row for entry in os.listdir("/proc") if entry.isdigit() and (row := _row(entry))]
    told = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat=,comm="], capture_output=True, text=True, check=True).stdout
    rows = (line.split(None, 3) for line in told.splitlines())
    return [(int(pid), int(parent), state, program) for pid, parent, state, program in rows]


def _row(entry):
    try:
        before, _, after = Path(f"/proc/{entry}/stat").read_text().rpartition(")")
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, parent, *_ = after.split()
    return int(entry), int(parent), state, before.partition("(")[2]
