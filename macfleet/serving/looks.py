"""What `verify` remembers of the Macs from one run to the next, beside the inventory: the latest look, and the SSD once a day.

The journal has the findings; this is what checks compare with. It is small, since every run reads the whole of it, and losing it
costs no more than "since the last look".
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from macfleet.checks.past import History, Look, Past, Sample

FILE_NAME = "looks.json"
_SCHEMA = 1
_DAY_S = 86400.0
_MOST_SAMPLES = 120


@dataclass(frozen=True)
class Seen:
    """Which run's findings stand in the journal in full, and their digest: a run that finds the same only points at it."""

    run: int
    digest: str


@dataclass(frozen=True)
class Kept:
    """All that earlier runs left for this one."""

    past: Past
    seen: Seen | None = None


def load_kept(directory: Path, now_s: float) -> Kept:
    """What earlier runs kept. A file that is not there, cut short or from a later macfleet is no past, and no error."""
    try:
        stored = json.loads((directory / FILE_NAME).read_text())
        if stored["schema"] != _SCHEMA:
            return Kept(Past(now_s))
        seen = None if stored["seen"] is None else Seen(int(stored["seen"]["run"]), str(stored["seen"]["digest"]))
        return Kept(Past(now_s, {name: _history(entry) for name, entry in stored["macs"].items()}), seen)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return Kept(Past(now_s))


def save_looks(directory: Path, past: Past, looks: Mapping[str, tuple[Look, Sample | None]], seen: Seen | None = None) -> None:
    """`past` with these newer looks in it, written whole or not at all. Macs that did not answer keep what they had."""
    macs = {name: _entry(history) for name, history in past.macs.items()}
    for name, (look, sample) in looks.items():
        samples = past.macs.get(name, History()).samples
        macs[name] = _entry(History(look, _with(samples, sample)))
    directory.mkdir(parents=True, exist_ok=True)
    new = directory / f"{FILE_NAME}.{os.getpid()}.new"
    new.write_text(json.dumps({"schema": _SCHEMA, "seen": None if seen is None else asdict(seen), "macs": macs}))
    os.replace(new, directory / FILE_NAME)


def _with(samples: tuple[Sample, ...], sample: Sample | None) -> tuple[Sample, ...]:
    """One sample a day: more say nothing about a rate. A disk that was written less than before is another disk."""
    if sample is None:
        return samples
    kept = samples if not samples or sample.written_bytes >= samples[-1].written_bytes else ()
    if kept and sample.at_s - kept[-1].at_s < _DAY_S:
        return kept
    return (*kept, sample)[-_MOST_SAMPLES:]


def _entry(history: History) -> dict[str, Any]:
    return {
        "latest": None if history.latest is None else asdict(history.latest),
        "samples": [[sample.at_s, sample.written_bytes, sample.used_percent] for sample in history.samples],
    }


def _history(entry: Any) -> History:
    """Every number is one, or the whole file is no past: it may have been edited by hand."""
    latest = entry["latest"]
    samples = tuple(Sample(float(at_s), int(written), int(used)) for at_s, written, used in entry["samples"])
    if latest is None:
        return History(None, samples)
    starts, newest, panics = latest["starts"], latest["newest_start"], latest["panics"]
    look = Look(
        at_s=float(latest["at_s"]),
        starts=None if starts is None else int(starts),
        newest_start=None if newest is None else str(newest),
        panics=None if panics is None else tuple(map(str, panics)),
        runs={str(label): int(runs) for label, runs in latest["runs"].items()},
    )
    return History(look, samples)
