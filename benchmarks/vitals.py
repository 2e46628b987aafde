"""What processes hold while they work, sampled over time, and whether it grows. Linux only: it reads /proc."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20
# Less than this is noise: caches of requests come and go, and an allocator gives back when it likes.
_NOISE_BYTES, _NOISE_SHARE = 4 * MIB, 0.02
# Below this a leak that matters in a day is smaller than the noise, and what is kept on purpose has not yet reached its limit.
SHORTEST_JUDGED_S = 180.0


@dataclass(frozen=True)
class Vitals:
    """One process at one moment. `anonymous_bytes`: resident memory that is no file's, so without the mapped weights."""

    at_s: float
    resident_bytes: int
    anonymous_bytes: int
    files: int
    threads: int


@dataclass(frozen=True)
class Growth:
    """The medians of the second and the last third of the time, in bytes. The first third is warming up: caches and kept prefixes fill."""

    middle_bytes: float
    last_bytes: float

    @property
    def allowed_bytes(self) -> float:
        return max(_NOISE_BYTES, _NOISE_SHARE * self.middle_bytes)

    @property
    def is_flat(self) -> bool:
        return self.last_bytes - self.middle_bytes <= self.allowed_bytes


def read_vitals(pid: int, at_s: float) -> Vitals:
    """Raises OSError when the process is gone."""
    process = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    if "VmRSS" not in status:
        raise ProcessLookupError(f"{pid} has ended")  # and its parent has not asked how
    resident, anonymous = (int(status[name].split()[0]) * 1024 for name in ("VmRSS", "RssAnon"))
    return Vitals(at_s, resident, anonymous, sum(1 for _ in (process / "fd").iterdir()), int(status["Threads"]))


def growth(samples: Sequence[Vitals]) -> Growth:
    """Of the anonymous memory; of at least three samples, in the order they were taken."""
    begun, ended = samples[0].at_s, samples[-1].at_s
    cuts = [begun + (ended - begun) * third / 3 for third in (1, 2)]
    middle = [sample.anonymous_bytes for sample in samples if cuts[0] <= sample.at_s < cuts[1]]
    last = [sample.anonymous_bytes for sample in samples if cuts[1] <= sample.at_s]
    return Growth(statistics.median(middle), statistics.median(last))
