"""Every process of one simulated Mac, so that a reboot can end them all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Stands in the environment of everything that runs on a simulated Mac, so that what left its process group is found too.
MARKER = "MACFLEET_LAB_MAC"


@dataclass
class Child:
    """A process we started; it leads its own group. `ended` gives its exit status, negative for a signal."""

    popen: subprocess.Popen[bytes]
    ended: asyncio.Future[int] = field(repr=False)

    @property
    def pid(self) -> int:
        return self.popen.pid


class Processes:
    """Starts, reaps and ends the processes of one Mac. Needs the main thread's event loop: it listens for SIGCHLD."""

    def __init__(self, marker: Path):
        self._marker = str(marker)
        self._children: dict[int, Child] = {}
        self._groups: set[int] = set()

    def listen(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)

    def spawn(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: str, **files: Any) -> Child:
        """Start a program in a session of its own. Raises OSError as the system does when it cannot."""
        popen = subprocess.Popen(argv, env={**env, MARKER: self._marker}, cwd=cwd, start_new_session=True, **files)
        child = Child(popen, asyncio.get_running_loop().create_future())
        self._children[popen.pid] = child
        self._groups.add(popen.pid)
        return child

    def _reap(self) -> None:
        for pid, child in list(self._children.items()):
            status = child.popen.poll()
            if status is not None:
                del self._children[pid]
                child.ended.set_result(status)
        self.forget_empty_groups()

    def forget_empty_groups(self) -> None:
        """A group lives as long as one member; forgotten before its number can be given to somebody else."""
        self._groups = {group for group in self._groups if group in self._children or _is_alive(group)}

    def signal_group(self, group: int, number: int) -> None:
        if group in self._groups:
            _signal_group(group, number)

    def signal_all(self, number: int) -> None:
        for group in self._groups:
            _signal_group(group, number)

    async def end_all(self) -> None:
        """SIGKILL to every process of this Mac, and wait until they are gone."""
        self.signal_all(signal.SIGKILL)
        for pid in find_marked(self._marker):
            _signal(pid, signal.SIGKILL)
        if self._children:
            await asyncio.wait([child.ended for child in self._children.values()], timeout=2.0)
        self.forget_empty_groups()

    def list_all(self) -> list[tuple[int, str]]:
        """Process numbers and their command lines."""
        return [(pid, line) for pid, line in _command_lines() if pid in self._groups or _group_of(pid) in self._groups]


def find_marked(marker: str) -> list[int]:
    """Processes of this user that carry the marker in their environment.

    On macOS the environment of Apple's own programs is hidden from `ps`; those are found by their process group instead.
    """
    wanted = f"{MARKER}={marker}"
    if sys.platform == "linux":
        return [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and _has_variable(entry, wanted)]
    told = subprocess.run(["ps", "-axEww", "-o", "pid=,command="], capture_output=True, text=True, errors="replace", check=False)
    return [int(line.split(None, 1)[0]) for line in told.stdout.splitlines() if f" {wanted} " in line + " "]


def _has_variable(pid: str, wanted: str) -> bool:
    try:
        return wanted.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def command_line(pid: int) -> str:
    """The program and its arguments; empty when there is no such process, or only its exit status is left of it.

    A small Debian has no `ps`; macOS has no /proc.
    """
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    return "".join(line for _, line in _ps("-p", str(pid)))


def _command_lines() -> list[tuple[int, str]]:
    if sys.platform != "linux":
        return _ps("-ax")
    lines = ((int(entry), command_line(int(entry))) for entry in os.listdir("/proc") if entry.isdigit())
    return [(pid, line) for pid, line in lines if line]


def _ps(*which: str) -> list[tuple[int, str]]:
    told = subprocess.run(["ps", *which, "-ww", "-o", "pid=,command="], capture_output=True, text=True, errors="replace", check=False)
    rows = (line.split(None, 1) for line in told.stdout.splitlines())
    return [(int(row[0]), row[1]) for row in rows if len(row) == 2]


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def _is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says so of a group of zombies
        return False
    return True


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(pid, number)


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(group, number)
