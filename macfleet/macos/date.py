"""`date`: what the Mac's own clock says, with its offset from UTC."""

from __future__ import annotations

from datetime import datetime

from macfleet.core.command import command
from macfleet.macos.answers import ask, unparsable

_FORMAT = "%Y-%m-%dT%H:%M:%S%z"


def parse_date(text: str) -> datetime:
    """2026-11-20T09:27:03+0100, to the second."""
    try:
        return datetime.strptime(text.strip(), _FORMAT)
    except ValueError:
        raise unparsable("date", f'"{text.strip()[:40]}" is not a date like 2026-11-20T09:27:03+0100') from None


CLOCK = ask("clock", command("date", f"+{_FORMAT}", timeout_s=10), parse_date)
