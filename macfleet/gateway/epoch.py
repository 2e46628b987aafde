"""The last epoch of a gang, kept over a restart of the gateway."""

from __future__ import annotations

import logging
from pathlib import Path

log = logging.getLogger(__name__)


class EpochMemory:
    """The last epoch, in a file: after a restart of the gateway an old frame must not look new."""

    def __init__(self, path: Path):
        self._path = path
        try:
            self.epoch = max(int(path.read_text()), 0)
        except (OSError, ValueError):
            self.epoch = 0  # the workers' heartbeats correct it

    def remember(self, epoch: int) -> None:
        neighbour = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            neighbour.write_text(f"{epoch}\n")
            neighbour.replace(self._path)
        except OSError as error:
            log.warning("the epoch cannot be remembered", extra={"path": str(self._path), "error": str(error)})
