"""The watchdog: looks at every worker of this Mac once a second and ends one that only seems to run.

launchd restarts what has ended; a process that hangs has not. The decisions are in `health/watchdog.py`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from macfleet.core.clock import Clock
from macfleet.core.paths import MacPaths
from macfleet.engines.base import worker_label
from macfleet.health.heartbeat import Beat, parse_beat
from macfleet.health.watchdog import Action, Patience, Watch, begin, calm, decide, observe, suspicion

log = logging.getLogger(__name__)

INTERVAL_S = 1.0
# Between two looks at most; longer, and it was this process that was stopped.
_AWAY_S = 3.0
_MOST_BYTES = 1024**2  # a heartbeat has a hundred, a worker.json a few thousand


class Launchd(Protocol):
    """`agent/launchd.py`, or a test's."""

    def running_pid(self, label: str) -> int | None: ...

    def signal(self, action: Action, label: str) -> None: ...


@dataclass(frozen=True)
class Watched:
    """A worker that was deployed on this Mac, whether it runs or not."""

    service: str
    heartbeat_file: Path

    @property
    def label(self) -> str:
        return worker_label(self.service)


class Watchdog:
    """One memory per service; a service that is gone is forgotten."""

    def __init__(self, paths: MacPaths, clock: Clock, launchd: Launchd, patience: Patience | None = None):
        self._services = Path(paths.services)
        self._clock = clock
        self._launchd = launchd
        self._patience = patience or Patience()
        self._watches: dict[str, Watch] = {}
        self._looked_at = clock.monotonic()

    def look(self) -> None:
        """One look at every worker. What goes wrong with one never keeps it from the next."""
        was_away = self._clock.monotonic() - self._looked_at > _AWAY_S
        if was_away:
            log.warning("the agent itself was held up", extra={"for_s": round(self._clock.monotonic() - self._looked_at, 1)})
        found = {watched.service: watched for watched in watched_workers(self._services)}
        for service in self._watches.keys() - found.keys():
            del self._watches[service]
            log.info("no longer watched", extra={"service": service})
        for watched in found.values():
            try:
                self._look_at(watched, was_away)
            except Exception:
                log.exception("one look failed", extra={"service": watched.service})
        self._looked_at = self._clock.monotonic()  # after the work: a slow launchctl is not our being away

    def _look_at(self, watched: Watched, was_away: bool) -> None:
        now = self._clock.monotonic()
        if watched.service not in self._watches:
            log.info("watching", extra={"service": watched.service})
        watch = observe(self._watches.get(watched.service) or begin(now), read_beat(watched.heartbeat_file), now, was_away)
        self._watches[watched.service] = watch
        if not suspicion(watch, now, self._patience):
            self._watches[watched.service] = calm(watch)
            return
        decision = decide(watch, self._launchd.running_pid(watched.label), now, self._patience)
        self._watches[watched.service] = decision.watch
        if decision.action is not Action.NOTHING:
            log.error(
                "ending a worker",
                extra={"service": watched.service, "pid": decision.watch.pid, "action": decision.action.value, "reason": decision.reason},
            )
            self._launchd.signal(decision.action, watched.label)


def watched_workers(services: Path) -> Iterator[Watched]:
    """Every service directory with a worker's config. One that is being written or is broken is looked at again in a second."""
    for config in sorted(services.glob("*/worker.json")):
        try:
            row = json.loads(_read(config))
            yield Watched(str(row["service"]), Path(row["heartbeat_file"]))
        except (OSError, ValueError, TypeError, KeyError):
            continue


def read_beat(file: Path) -> Beat | None:
    try:
        return parse_beat(_read(file))
    except (OSError, ValueError):
        return None


def _read(file: Path) -> str:
    with file.open("rb") as opened:
        return opened.read(_MOST_BYTES).decode()
