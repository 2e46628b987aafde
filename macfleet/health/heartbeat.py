"""The sign of life that a worker and a gateway leave in a file, twice a second."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Beat:
    """Written by process `pid` at `time`; `busy_since`: when the step that runs began, None when idle. Wall time, seconds."""

    pid: int
    time: float
    busy_since: float | None
    epoch: int

    @property
    def busy_s(self) -> float:
        """How long one step has been running, by the worker's own clock; 0 when idle."""
        return 0.0 if self.busy_since is None else max(self.time - self.busy_since, 0.0)


def render_beat(beat: Beat) -> str:
    return json.dumps({"pid": beat.pid, "time": beat.time, "busy_since": beat.busy_since, "epoch": beat.epoch})


def parse_beat(text: str) -> Beat | None:
    """None: not a heartbeat, or half of one. The next is due in half a second, so it is worth no error."""
    try:
        row = json.loads(text)
        busy_since = row["busy_since"]
        return Beat(int(row["pid"]), float(row["time"]), None if busy_since is None else float(busy_since), int(row["epoch"]))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
