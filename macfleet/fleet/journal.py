"""What was done to a fleet from here, line by line, beside the inventory."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from macfleet.core.clock import Clock
from macfleet.core.errors import MacfleetError
from macfleet.fleet.clock import SystemClock


class Journal:
    """Append-only JSON lines. A whole line is one write, so that two commands at once do not mix theirs."""

    def __init__(self, path: Path, clock: Clock | None = None):
        self.path = path
        self._clock = clock or SystemClock()

    def write(self, event: str, **details: Any) -> None:
        """One line: the time, the event, its details. A Secret among them shows as its dots."""
        time = datetime.fromtimestamp(self._clock.now(), UTC).isoformat(timespec="seconds")
        line = json.dumps({"time": time, "event": event, **details}, ensure_ascii=False, default=str)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(file, line.encode() + b"\n")
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
        return [entry for line in self.path.read_text(errors="replace").splitlines() if (entry := _parse(line)) is not None]


def _parse(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError:
        return None
    return entry if isinstance(entry, dict) else None
