"""What was done to a fleet from here, line by line, beside the inventory."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from macfleet.core.clock import Clock
from macfleet.core.errors import MacfleetError
from macfleet.fleet.clock import SystemClock

MOST_BYTES = 32 << 20  # years of a few Macs; some weeks of 256 that are looked at every five minutes
_LATEST_BYTES = 4 << 20  # a year of journals is not read to number a line; no run writes so much while another begins
_ID = re.compile(rb'"id": (\d+), "who"')


class Journal:
    """Append-only JSON lines; one object for one run. A whole line is one write, so that two runs at once do not mix theirs.

    Every line of a run carries the same `id`, a number that grows from run to run, and `who` typed the command and where.
    With the line that fills it a journal of `most_bytes` becomes the older one, in place of the one before: what it tells goes
    back at least that far, and takes at most twice as much.
    """

    def __init__(self, path: Path, clock: Clock | None = None, who: str | None = None, most_bytes: int = MOST_BYTES):
        self.path = path
        self.older = path.with_suffix(f".old{path.suffix}")
        self._most_bytes = most_bytes
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
            with self._locked() as file:
                self._append(file, event, details)
                if os.fstat(file).st_size >= self._most_bytes:
                    self.path.replace(self.older)
        except OSError as error:
            raise MacfleetError(
                f"the journal {self.path} cannot be written: {error.strerror}", hint="make the inventory's directory writable"
            ) from error

    def entries(self) -> list[dict[str, Any]]:
        """Every line that is whole, of the older journal too; a last one cut by a full disk is left out."""
        texts = [path.read_text(errors="replace") for path in (self.older, self.path) if path.exists()]
        return [entry for text in texts for line in text.split("\n") if (entry := _parse(line)) is not None]

    def has(self, run: int) -> bool:
        """Whether a line of this run stands in the journal itself: the older one is the next to go."""
        return self.path.exists() and b'"id": %d, "who"' % run in self.path.read_bytes()

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The journal, until the end of the block nobody else's. Who has waited for one that was put aside meanwhile opens the next."""
        while True:
            file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                if self._is_the_journal(file):
                    yield file
                    return
            finally:
                os.close(file)

    def _append(self, file: int, event: str, details: dict[str, Any]) -> None:
        if self._id is None:
            self._id = max(_last_id(file), self._last_id_before(file)) + 1
        self._who = self._who or _whoever_runs_this()
        time = datetime.fromtimestamp(self._clock.now(), UTC).isoformat(timespec="seconds")
        entry = {"time": time, "event": event, "id": self._id, "who": self._who, **details}
        line = json.dumps(entry, ensure_ascii=False, default=str).encode() + b"\n"
        os.write(file, line if _ends_a_line(file) else b"\n" + line)

    def _is_the_journal(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), self.path.stat())
        except FileNotFoundError:
            return False

    def _last_id_before(self, file: int) -> int:
        """The highest number of the older journal, while the new one is short: a run that goes on from there may have begun it."""
        if os.fstat(file).st_size >= _LATEST_BYTES or not self.older.exists():
            return 0
        with self.older.open("rb") as older:
            return _last_id(older.fileno())


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
