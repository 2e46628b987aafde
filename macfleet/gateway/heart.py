"""The gateway's sign of life for the agent on its Mac: a process that hangs has not ended, so launchd does not restart it."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from macfleet.health.heartbeat import Beat, render_beat

log = logging.getLogger(__name__)

INTERVAL_S = 0.5


class Heart:
    """Beats when the event loop turns: who calls it late is late with everything else as well."""

    def __init__(self, file: Path | None):
        self._file = file
        self._beat_at = 0.0
        self._is_failing = False

    def beat(self, epoch: int) -> None:
        """To be called a few times a second."""
        now = time.monotonic()
        if self._file is None or now - self._beat_at < INTERVAL_S:
            return
        self._beat_at = now
        fresh = self._file.with_name(f".{self._file.name}.new")
        try:
            fresh.write_text(render_beat(Beat(os.getpid(), time.time(), None, epoch)))
            fresh.replace(self._file)
            self._is_failing = False
        except OSError as error:  # a full disk must not end a gateway that answers
            if not self._is_failing:
                log.warning("no heartbeat can be written", extra={"path": str(self._file), "error": str(error)})
            self._is_failing = True
