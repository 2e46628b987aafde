"""How worn is the SSD, and when will it be worn out?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.checks.past import NOTHING, History, Past, Sample
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Mac
from macfleet.macos import smartctl, sysctl

# What counts as worn: at 100 % the maker's allowance is used up, and a soldered SSD takes the Mac with it.
WORN_PERCENT = 80
_SOON_DAYS = 365
_DAY_S = 86400.0
_SHORTEST_S = _DAY_S  # over less than a day, one model that is staged looks like a rate
# The lowest bit says that the spare fell below its threshold, which Apple sets to 99 %: true of many healthy disks.
_SPARE_BIT = 0b1


class Ssd:
    name = "ssd"
    why = "the SSD is soldered in: swap and staged models wear it, and a Mac whose SSD is worn out is a Mac to replace"
    source = "smartctl 7.5 on Apple SSDs, which ends with 4 on every healthy one; its threshold of spare is 99 %, so 98 % is no alarm"
    measures = True

    def __init__(self, past: Past = NOTHING):
        self._past = past

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (smartctl.SSD, sysctl.IDENTITY)

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        ssd, identity = facts[smartctl.SSD], facts[sysctl.IDENTITY]
        want = f"less than {WORN_PERCENT} % used, for another year at least"
        if not isinstance(identity, Unknown) and identity.is_virtual:
            return [findings.ok(self, "not looked at: a virtual machine has no SSD of its own", "nothing")]
        if isinstance(ssd, Unknown):
            return [findings.unknown(self, ssd, want)]
        if ssd is None:
            return [findings.warn(self, "not known: smartmontools is not installed", want, "`macfleet provision` brings it with Homebrew")]

        days = days_until_worn(ssd, self._past.of(mac), self._past.now_s)
        have = f"{ssd.used_percent} % used, {_terabytes(ssd.written_bytes)} written{_projection(days)}"
        if not ssd.is_passed or ssd.critical_warning & ~_SPARE_BIT:
            have = f"the SSD itself reports trouble (critical warning {ssd.critical_warning}); {have}"
            return [
                findings.fail(self, have, want, f"take {mac.name} out of its services and have the SSD looked at; keep no data on it alone")
            ]
        if ssd.used_percent >= WORN_PERCENT:
            return [findings.fail(self, have, want, f"plan to replace {mac.name}; until then keep it from swapping: see memory")]
        if ssd.media_errors:
            return [findings.warn(self, f"{ssd.media_errors} media errors; {have}", want, "one is an accident: look whether they grow")]
        if days is not None and days < _SOON_DAYS:
            return [findings.warn(self, have, want, "look at what writes: swap (see memory), logs, models that are staged again and again")]
        return [findings.ok(self, have, want)]


def days_until_worn(ssd: smartctl.Ssd, history: History, now_s: float) -> float | None:
    """Days until WORN_PERCENT at the rate that was observed since the oldest sample; None when nobody can say.

    Percent are whole numbers and move once in months, so the rate is that of bytes. How many bytes a percent is follows from the
    whole life of the disk.
    """
    oldest = next((sample for sample in history.samples if now_s - sample.at_s >= _SHORTEST_S), None)
    if oldest is None or not 0 < ssd.used_percent < WORN_PERCENT:
        return None
    written_bytes = _written_since(ssd, oldest)
    if written_bytes <= 0:
        return None
    left_bytes = ssd.written_bytes / ssd.used_percent * (WORN_PERCENT - ssd.used_percent)
    return left_bytes / written_bytes * (now_s - oldest.at_s) / _DAY_S


def _written_since(ssd: smartctl.Ssd, sample: Sample) -> int:
    """0 or less for another disk than then."""
    return ssd.written_bytes - sample.written_bytes


def _projection(days: float | None) -> str:
    if days is None:
        return ""
    if days > 20 * 365:
        return f"; {WORN_PERCENT} % in more than 20 years at this rate"
    return (
        f"; {WORN_PERCENT} % in {days / 365:.1f} years at this rate"
        if days >= _SOON_DAYS
        else f"; {WORN_PERCENT} % in {days:.0f} days at this rate"
    )


def _terabytes(size_bytes: int) -> str:
    """Decimal, as the makers of disks count."""
    return f"{size_bytes / 1e12:.1f} TB"
