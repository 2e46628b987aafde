"""What earlier looks at a Mac saw, as far as a later one compares with it: starts, panics, runs of jobs, bytes written.

Without a past every check still judges; it only cannot say what is new, or how fast something wears.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.inventory.mac import Mac
from macfleet.macos import last, smartctl
from macfleet.macos.jobs import jobs
from macfleet.macos.panics import panics

T = TypeVar("T")


@dataclass(frozen=True)
class Look:
    """What one look saw of a Mac. None: it could not see it, so nothing is known to be new."""

    at_s: float  # seconds since the epoch, by the controller's clock
    starts: int | None = None
    newest_start: str | None = None
    panics: tuple[str, ...] | None = None
    runs: Mapping[str, int] = field(default_factory=dict)  # launchd label → how often it was started


@dataclass(frozen=True)
class Sample:
    """How worn the SSD was at one time."""

    at_s: float
    written_bytes: int
    used_percent: int


@dataclass(frozen=True)
class History:
    """One Mac's past: the latest look at it, and samples of its SSD with the oldest first."""

    latest: Look | None = None
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True)
class Past:
    """The past of all Macs, seen from `now_s`."""

    now_s: float = 0.0
    macs: Mapping[str, History] = field(default_factory=dict)

    def of(self, mac: Mac) -> History:
        return self.macs.get(mac.name, History())


NOTHING = Past()


def look(mac: Mac, facts: Facts, now_s: float) -> Look:
    """What these facts show that a later look will want to know."""
    starts, reports, all_jobs = _told(facts, last.STARTS), _told(facts, panics(mac.paths)), _told(facts, jobs(mac.paths))
    return Look(
        at_s=now_s,
        starts=None if starts is None else len(starts),
        newest_start=starts[0].at if starts else None,
        panics=None if reports is None else tuple(panic.name for panic in reports),
        runs={label: job.runs for label, job in (all_jobs or {}).items() if job is not None and job.runs is not None},
    )


def sample(facts: Facts, now_s: float) -> Sample | None:
    ssd = _told(facts, smartctl.SSD)
    return None if ssd is None else Sample(now_s, ssd.written_bytes, ssd.used_percent)


def _told(facts: Facts, fact: Fact[T]) -> T | None:
    if fact not in facts:
        return None
    value = facts[fact]
    return None if isinstance(value, Unknown) else value
