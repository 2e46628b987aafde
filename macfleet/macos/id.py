"""`id -un`: as whom macfleet is logged in."""

from __future__ import annotations

from macfleet.core.command import command
from macfleet.macos.answers import ask, unparsable


def parse_id(text: str) -> str:
    if not text.strip() or "\n" in text.strip():
        raise unparsable("id -un", "not one line with a name")
    return text.strip()


USER = ask("user", command("id", "-un", timeout_s=10), parse_id)
