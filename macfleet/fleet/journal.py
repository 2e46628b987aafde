"""What was done to a fleet from here, line by line, beside the inventory."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from macfleet.core.clock import Clock
from macfleet.core.errors import MacfleetError
from macfleet.fleet.clock import SystemClock

_LATEST_BYTES = 4 << 20  # a year of journals is not read to number a line; no run writes so much while another begins
_ID = re.compile(rb'"id": (\d+), "who"')


class Journal:
    """Append-only JSON lines; one object for one run. A whole line is one write, so that two runs at once do not mix theirs.

    Every line of a run carries the same `id`, a number that grows from run to run, and `who` typed the command and where.
    """

    def __init__(self, path: Path, clock: Clock | None = None, who: str | None = None):
        self.path = path
        self._clock = clock or SystemClock()
        self._who = who
        self._id: int | None = None

    @property
    def id(self) -> int | None:
        """The number of this run; None before its first line."""
        return self._id

    def write(self, event: str, **details: Any) -> None:
        """One line: the time, the event, the run, who, and the details. A Secret among them shows as its dots."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                self._append(file, event, details)
            finally:
                os.close(file)
        except OSError as error:
            raise MacfleetError(
                f"the journal {self.path} cannot be written: {error.strerror}", hint="make the inventory's directory writable"
            ) from error

    def entries(self) -> list[dict[str, Any]]:
        """Every line that is whole; a last one cut by a full disk is left out."""
        if not self.path.exists():
            return []
        return [entry for line in self.path.read_text(errors="replace").split("\n") if (entry := _parse(line)) is not None]

    def _append(self, file: int, event: str, details: dict[str, Any]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed: a number is taken and written in one step
        if self._id is None:
            self._id = _last_id(file) + 1
        self._who = self._who or _whoever_runs_this()
        time = datetime.fromtimestamp(self._clock.now(), UTC).isoformat(timespec="seconds")
        entry = {"time": time, "event": event, "id": self._id, "who": self._who, **details}
        line = json.dumps(entry, ensure_ascii=False, default=str).encode() + b"\n"
        os.write(file, line if _ends_a_line(file) else b"\n" + line)


def _ends_a_line(file: int) -> bool:
    """Whether a new line may begin here; a full disk may have cut the last one, which must not take the next one with it."""
    size = os.fstat(file).st_size
    return size == 0 or os.pread(file, 1, size - 1) == b"\n"


def _last_id(file: int) -> int:
    """The highest number among the latest lines. Not the last line's: an older run that is still going on may have written that."""
    size = os.fstat(file).st_size
    latest = os.pread(file, _LATEST_BYTES, max(0, size - _LATEST_BYTES))
    return max((int(found) for found in _ID.findall(latest)), default=0)


def _whoever_runs_this() -> str:
    return f"{getpass.getuser()}@{platform.node()}"


def _parse(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError:
        return None
    return entry if isinstance(entry, dict) else None
