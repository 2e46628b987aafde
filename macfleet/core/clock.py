"""Time as something that is passed in."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Wall time for people, monotonic time for deadlines, and waiting. The real one lives in `fleet/clock.py`."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class HandClock:
    """A clock that a test moves by hand; sleeping moves it too."""

    def __init__(self, now: float = 1_790_000_000.0):
        self._now = now

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds
