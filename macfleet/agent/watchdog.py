"""The watchdog: looks at every worker and gateway of this Mac once a second and ends one that only seems to run.

launchd restarts what has ended; a process that hangs has not. The decisions are in `health/watchdog.py`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from macfleet.core.clock import Clock
from macfleet.core.paths import MacPaths
from macfleet.engines.base import gateway_label, worker_label
from macfleet.health.heartbeat import Beat, parse_beat
from macfleet.health.watchdog import Action, Patience, Watch, begin, calm, decide, observe, suspicion

log = logging.getLogger(__name__)

INTERVAL_S = 1.0
# Between two looks at most; longer, and it was this process that was stopped.
_AWAY_S = 3.0
_MOST_BYTES = 1024**2  # a heartbeat has a hundred, a config a few thousand


class Launchd(Protocol):
    """`agent/launchd.py`, or a test's."""

    def running_pid(self, label: str) -> int | None: ...

    def signal(self, action: Action, label: str) -> None: ...


@dataclass(frozen=True)
class Watched:
    """A job that was deployed on this Mac, whether it runs or not. `kind`: worker or gateway."""

    service: str
    kind: str
    heartbeat_file: Path

    @property
    def label(self) -> str:
        return worker_label(self.service) if self.kind == "worker" else gateway_label(self.service)


def can_write(directory: Path) -> bool:
    """Whether a file of the size of a heartbeat finds room there."""
    probe = directory / ".agent.probe"
    try:
        probe.write_bytes(bytes(4096))
        probe.unlink()
    except OSError:
        return False
    return True


class Watchdog:
    """One memory per job; a job that is gone is forgotten."""

    def __init__(
        self,
        paths: MacPaths,
        clock: Clock,
        launchd: Launchd,
        patience: Patience | None = None,
        *,
        can_write: Callable[[Path], bool] = can_write,
    ):
        self._services = Path(paths.services)
        self._clock = clock
        self._launchd = launchd
        self._patience = patience or Patience()
        self._can_write = can_write
        self._watches: dict[str, Watch] = {}
        self._looked_at = clock.monotonic()

    def look(self) -> None:
        """One look at every job. What goes wrong with one never keeps it from the next."""
        was_away = self._clock.monotonic() - self._looked_at > _AWAY_S
        if was_away:
            log.warning("the agent itself was held up", extra={"for_s": round(self._clock.monotonic() - self._looked_at, 1)})
        found = {watched.label: watched for watched in watched_jobs(self._services)}
        for label in self._watches.keys() - found.keys():
            del self._watches[label]
            log.info("no longer watched", extra={"label": label})
        for watched in found.values():
            try:
                self._look_at(watched, was_away)
            except Exception:
                log.exception("one look failed", extra={"label": watched.label})
        self._looked_at = self._clock.monotonic()  # after the work: a slow launchctl is not our being away

    def _look_at(self, watched: Watched, was_away: bool) -> None:
        now = self._clock.monotonic()
        label = watched.label
        if label not in self._watches:
            log.info("watching", extra={"label": label})
        watch = observe(self._watches.get(label) or begin(now), read_beat(watched.heartbeat_file), now, was_away)
        self._watches[label] = watch
        if not suspicion(watch, now, self._patience):
            self._watches[label] = calm(watch)
            return
        if not self._can_write(watched.heartbeat_file.parent):
            # Nobody's heartbeat can be seen then: that of a job in best health is as old.
            self._watches[label] = observe(watch, None, now, was_away=True)
            log.error("the disk takes no heartbeats, so nobody is watched", extra={"label": label})
            return
        decision = decide(watch, self._launchd.running_pid(label), now, self._patience)
        self._watches[label] = decision.watch
        if decision.action is not Action.NOTHING:
            log.error(
                f"ending a {watched.kind}",
                extra={"service": watched.service, "pid": decision.watch.pid, "action": decision.action.value, "reason": decision.reason},
            )
            self._launchd.signal(decision.action, label)


def watched_jobs(services: Path) -> Iterator[Watched]:
    """Every config of a worker or gateway. One that is being written or is broken is looked at again in a second.

    A gateway whose config names no heartbeat was deployed before gateways had one.
    """
    for kind in ("worker", "gateway"):
        for config in sorted(services.glob(f"*/{kind}.json")):
            try:
                row = json.loads(_read(config))
                yield Watched(str(row["service"]), kind, Path(row["heartbeat_file"]))
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
