"""Did the Mac start without having been shut down, or panic, since somebody last looked?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from macfleet.checks import findings
from macfleet.checks.past import NOTHING, Look, Past
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.core.words import count
from macfleet.inventory.mac import Mac
from macfleet.macos import date, last
from macfleet.macos.last import Start
from macfleet.macos.panics import DIRECTORY, Panic, panics

# Who never looked before is told of these days, not of the whole life of the Mac.
FIRST_LOOK = timedelta(days=7)
_SHOWN = 3
# What the GPU's driver and the watchdog say when more is wired than macOS can spare.
_LOWER = "lower `wired_limit` of this Mac, and let a worker end by itself: mlx#3186 is this panic"
_KNOWN = {
    "prepare count underflow": _LOWER,
    "no checkins from watchdogd": "macOS could not breathe for a minute and more: lower `wired_limit`, and see memory",
}


class Restarts:
    name = "restarts"
    why = "a Mac that came back by itself looks well, and the next power cut or panic takes the services with it again"
    source = "macOS's own record of starts and its panic reports; omlx#3065 and mlx#3186 for panics of the GPU driver under MLX"
    want = "no start without a shutdown before it, and no panic"

    def __init__(self, past: Past = NOTHING):
        self._past = past

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (last.STARTS, panics(mac.paths), date.CLOCK)

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        starts, reports, now = facts[last.STARTS], facts[panics(mac.paths)], facts[date.CLOCK]
        if isinstance(starts, Unknown):
            return [findings.unknown(self, starts, self.want)]
        if isinstance(reports, Unknown):
            return [findings.unknown(self, reports, self.want)]
        if isinstance(now, Unknown):
            return [findings.unknown(self, now, self.want)]

        look = self._past.of(mac).latest
        unclean = [start for start in _new_starts(starts, look, now) if start.is_clean is False]
        panicked = _new_panics(reports, look, now)
        since = "since the last look" if look else f"in the last {FIRST_LOOK.days} days"
        if not unclean and not panicked:
            return [findings.ok(self, "none", self.want)]
        told = [
            *([f"{count(len(panicked), 'panic')} ({_shorten([_describe(panic) for panic in panicked])})"] if panicked else []),
            *([f"{count(len(unclean), 'start')} without a shutdown ({_shorten([start.at for start in unclean])})"] if unclean else []),
        ]
        return [findings.warn(self, f"{', '.join(told)} {since}", self.want, _hint(mac, panicked))]


def _new_starts(starts: Sequence[Start], look: Look | None, now: datetime) -> Sequence[Start]:
    """The newest come first. How many there were says it best: two starts within a minute read the same."""
    if look is None:
        return [start for start in starts if (moment := last.when(start.at, now)) is None or now - moment <= FIRST_LOOK]
    if look.starts is None:
        return ()
    more = len(starts) - look.starts
    if 0 <= more < len(starts) and starts[more].at == look.newest_start:
        return starts[:more]
    known = [number for number, start in enumerate(starts) if start.at == look.newest_start]
    return starts[: known[0]] if known else starts  # macOS has begun a new record


def _new_panics(reports: Sequence[Panic], look: Look | None, now: datetime) -> list[Panic]:
    if look is None:
        earliest = (now - FIRST_LOOK).strftime("%Y-%m-%d %H:%M:%S")
        return [panic for panic in reports if panic.time == panic.name or panic.time >= earliest]
    return [] if look.panics is None else [panic for panic in reports if panic.name not in look.panics]


def _describe(panic: Panic) -> str:
    return f"{panic.time}: {panic.cause}" if panic.cause else panic.time


def _hint(mac: Mac, panicked: Sequence[Panic]) -> str:
    if not panicked:
        return "nobody shut it down and it did not panic: look at its power, its UPS and who may touch its button"
    for sign, hint in _KNOWN.items():
        if sign in panicked[-1].cause:
            return hint
    report = f"{mac.paths.at(DIRECTORY)}/{panicked[-1].name}"
    return f"`macfleet exec --mac {mac.name} -- sudo head -c 3000 {report}` shows the rest of the report"


def _shorten(told: Sequence[str]) -> str:
    return ", ".join(told[-_SHOWN:]) + (f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else "")
