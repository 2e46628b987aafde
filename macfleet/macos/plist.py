"""Property lists as text: what `defaults export` prints and what a LaunchDaemon's file says."""

from __future__ import annotations

import plistlib
from dataclasses import dataclass
from typing import Any

from macfleet.macos.answers import unparsable


@dataclass(frozen=True)
class JobDescription:
    """What a launchd plist asks for, as far as macfleet looks at it."""

    label: str
    arguments: tuple[str, ...]
    run_at_load: bool
    user: str | None


def parse_plist(program: str, text: str) -> dict[str, Any]:
    """The dictionary of an XML property list; Unparsable, naming `program`, for anything else."""
    try:
        value = plistlib.loads(text.encode(), fmt=plistlib.FMT_XML)
    except Exception as error:  # plistlib lets expat's, its own and plain ValueError, KeyError, AttributeError through
        raise unparsable(program, f"not a property list ({error})") from None
    if not isinstance(value, dict):
        raise unparsable(program, "a property list, but not a dictionary")
    return value


def parse_job_description(text: str) -> JobDescription:
    job = parse_plist("launchd plist", text)
    label, arguments = job.get("Label"), job.get("ProgramArguments", [job.get("Program")])
    if not isinstance(label, str) or not isinstance(arguments, list) or not all(isinstance(word, str) for word in arguments):
        raise unparsable("launchd plist", "no Label or no ProgramArguments")
    user = job.get("UserName")
    return JobDescription(label, tuple(arguments), job.get("RunAtLoad") is True, user if isinstance(user, str) else None)
