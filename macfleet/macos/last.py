"""`last reboot shutdown`: when the Mac started, and whether somebody had shut it down before.

A start without a shutdown before it is a panic or a power cut. The causes that macOS logs say less: a hard cut was seen logged
as 5, which is what a good shutdown has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from macfleet.core.command import command
from macfleet.macos.answers import ask, unparsable

_PROGRAM = "last reboot shutdown"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class Start:
    """One start of the Mac. `at` as `last` prints it, without a year: "Mon Aug 24 08:17".

    `is_clean` None: the record does not go back far enough to tell.
    """

    at: str
    is_clean: bool | None


def parse_last(text: str) -> tuple[Start, ...]:
    """Every recorded start, the newest first. Raises Unparsable for a line that is neither a start, a shutdown nor the end."""
    rows = []
    for line in text.splitlines():
        if line.startswith("wtmp begins"):
            break
        if not line.strip():
            continue
        row = re.fullmatch(r"(reboot|shutdown)\s+(?:time|~)\s+(\w{3} \w{3} [ \d]\d \d\d:\d\d)\s*", line)
        if row is None or not _is_time(row[2]):
            raise unparsable(_PROGRAM, f'"{line.strip()[:60]}" is neither a reboot nor a shutdown')
        rows.append((row[1], row[2]))
    if not rows and "wtmp begins" not in text:
        raise unparsable(_PROGRAM, "no start and no end of the record")
    before = [*(kind for kind, _ in rows[1:]), None]
    return tuple(
        Start(at, None if kind_before is None else kind_before == "shutdown")
        for (kind, at), kind_before in zip(rows, before, strict=True)
        if kind == "reboot"
    )


def when(at: str, now: datetime) -> datetime | None:
    """The latest such moment that is not after `now`, in `now`'s own time zone. The day of the week tells the years apart.

    None when no year of the last ten fits.
    """
    day, month, number, hour, minute = re.split(r"[ :]+", at)
    for year in range(now.year, now.year - 10, -1):
        try:
            moment = datetime(year, _MONTHS.index(month) + 1, int(number), int(hour), int(minute), tzinfo=now.tzinfo)
        except ValueError:  # 29 February
            continue
        if moment.weekday() == _DAYS.index(day) and moment <= now + timedelta(minutes=1):
            return moment
    return None


def _is_time(at: str) -> bool:
    day, month, number, hour, minute = re.split(r"[ :]+", at)
    return day in _DAYS and month in _MONTHS and 1 <= int(number) <= 31 and int(hour) < 24 and int(minute) < 60


STARTS = ask("starts", command("last", "reboot", "shutdown", timeout_s=20), parse_last)
