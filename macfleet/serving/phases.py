"""How long each part of a deployment took, so that a slow one can be told from another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from macfleet.core.clock import Clock
from macfleet.core.units import format_duration
from macfleet.serving.gateway import Health


@dataclass
class Phases:
    """Phase → seconds, in the order they came. Together they are all the time there was."""

    clock: Clock
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._since = self.clock.monotonic()

    def done(self, phase: str) -> None:
        """What went by since the last one ended was `phase`."""
        now = self.clock.monotonic()
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._since
        self._since = now

    def move(self, seconds: float, source: str, to: str) -> None:
        """So much of what `source` took was another phase, as far as there is so much."""
        moved = min(seconds, self.seconds[source])
        self.seconds[source] -= moved
        self.seconds[to] = self.seconds.get(to, 0.0) + moved


@dataclass(frozen=True)
class Loading:
    """What one worker says of its own start: waiting for free GPU memory, importing, reading its weights."""

    mac: str
    phase_s: Mapping[str, float]

    @property
    def load_s(self) -> float:
        return self.phase_s.get("gate", 0.0) + self.phase_s.get("load", 0.0)


def loadings(health: Health) -> tuple[Loading, ...]:
    return tuple(Loading(str(worker.get("mac")), dict(worker.get("phase_s") or {})) for worker in health.workers)


def in_words(seconds: Mapping[str, float], workers: tuple[Loading, ...]) -> str:
    """`stage 3.1 s, start 4.0 s, load 1.2 s (studio-3), …`, phases that took no time left out."""
    slowest = max(workers, key=lambda worker: worker.load_s, default=None)

    def said(phase: str, taken_s: float) -> str:
        where = f" ({slowest.mac})" if phase == "load" and slowest is not None and len(workers) > 1 else ""
        return f"{phase} {format_duration(taken_s)}{where}"

    return ", ".join(said(phase, taken_s) for phase, taken_s in seconds.items() if taken_s >= 0.05)
