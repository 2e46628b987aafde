"""`lab down`: end every process of a rehearsal, also those that lost their Mac. Safe to repeat."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

from macfleet.lab.paths import LabDir, MacDir
from macfleet.lab.processes import command_line, find_marked
from macfleet.lab.remote import LabError, ask
from macfleet.lab.state import load_state

# Longer than a Mac takes to give its jobs their last chance.
PATIENCE_S = 10.0


def down(directory: Path, *, delete: bool = False) -> tuple[str, ...]:
    """Stop all Macs; the names of those that ran. With `delete` their disks and keys go too."""
    lab = LabDir(directory.absolute())
    running = [mac for mac in lab.macs() if is_simulator(load_state(mac.state).simulator_pid, mac)]
    for mac in running:
        with contextlib.suppress(LabError):
            ask(mac, "quit")
    deadline = time.monotonic() + PATIENCE_S
    for mac in running:
        _wait_or_kill(mac, deadline)
    for mac in lab.macs():
        _end_orphans(mac)
        _remove_socket(mac)
    if delete and lab.macs():
        shutil.rmtree(lab.path)
    return tuple(mac.name for mac in running)


def is_simulator(pid: int, mac: MacDir) -> bool:
    """Whether this process is the one of this Mac: a number alone may have been given to somebody else since."""
    return pid > 0 and command_line(pid).rstrip().endswith(f"macfleet.lab.mac {mac.path}")


def _wait_or_kill(mac: MacDir, deadline: float) -> None:
    pid = load_state(mac.state).simulator_pid
    while is_simulator(pid, mac):
        if time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.03)


def _end_orphans(mac: MacDir) -> None:
    for pid in find_marked(str(mac.path)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _remove_socket(mac: MacDir) -> None:
    path = Path(load_state(mac.state).socket or "/nonexistent")
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        path.parent.rmdir()
