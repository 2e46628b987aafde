"""`defaults`: preferences, and among them the settings of Software Update."""

from __future__ import annotations

import plistlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from macfleet.core.command import Command, command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result
from macfleet.macos.answers import PROGRAM_MISSING
from macfleet.macos.plist import parse_plist

SOFTWARE_UPDATE_DOMAIN = "/Library/Preferences/com.apple.SoftwareUpdate"
# The first line of a script is what an error shows of it.
_DELETE = """# defaults delete
defaults read "$1" "$2" >/dev/null 2>&1 || exit 0
defaults delete "$1" "$2\""""
# What may restart a Mac unasked. Security data (CriticalUpdateInstall, ConfigDataInstall) is left alone.
INSTALLS_ALONE = ("AutomaticallyInstallMacOSUpdates", "AutomaticDownload")


@dataclass(frozen=True)
class SoftwareUpdate:
    """The switches that are set. An absent one has Apple's default, which is on."""

    switches: Mapping[str, bool]

    def is_on(self, key: str) -> bool:
        return self.switches.get(key, True)


def domain(name: str) -> Fact[Mapping[str, Any]]:
    """Everything in a preferences domain; empty when nobody wrote to it yet."""

    def understand(results: Sequence[Result]) -> Mapping[str, Any] | Unknown:
        if results[0].ok:
            return parse_plist("defaults export", results[0].stdout)
        return Unknown(results[0].failure()) if results[0].exit_status in (PROGRAM_MISSING, None) else {}

    return Fact(f"defaults {name}", (command("defaults", "export", name, "-", timeout_s=10),), understand)


def parse_software_update(text: str) -> SoftwareUpdate:
    """Switches may be booleans or the integers 0 and 1, as they were written."""
    return software_update(parse_plist("defaults export", text))


def software_update(preferences: Mapping[str, Any]) -> SoftwareUpdate:
    return SoftwareUpdate({key: bool(value) for key, value in preferences.items() if isinstance(value, (bool, int))})


def _understand(results: Sequence[Result]) -> SoftwareUpdate | Unknown:
    if results[0].ok:
        return parse_software_update(results[0].stdout)
    # A domain that nobody wrote to yet: every switch has its default.
    return SoftwareUpdate({}) if results[0].exit_status not in (PROGRAM_MISSING, None) else Unknown(results[0].failure())


SOFTWARE_UPDATE: Fact[SoftwareUpdate] = Fact(
    "software-update", (command("defaults", "export", SOFTWARE_UPDATE_DOMAIN, "-", timeout_s=10),), _understand
)


def write(domain: str, key: str, value: Any) -> Command:
    """Any value of a property list, in its own type. A domain that is a path is the Mac's, and written as root."""
    return command("defaults", "write", domain, key, *_typed(value), sudo=domain.startswith("/"), timeout_s=10)


def write_bool(domain: str, key: str, value: bool) -> Command:
    return write(domain, key, value).as_root()


def delete(domain: str, key: str) -> Command:
    """Also where it is gone already."""
    sudo = domain.startswith("/")
    return command("sh", "-c", _DELETE, "sh", domain, key, sudo=sudo, timeout_s=10)


def put_back(domain: str, key: str, preferences: Mapping[str, Any]) -> Command:
    """The key as it was in `preferences`, or gone where it was not."""
    return write(domain, key, preferences[key]) if key in preferences else delete(domain, key)


def _typed(value: Any) -> tuple[str, ...]:
    match value:
        case bool():
            return ("-bool", "true" if value else "false")
        case int():
            return ("-int", str(value))
        case float():
            return ("-float", repr(value))
        case str():
            return ("-string", value)
    # Without a type `defaults` reads a property list; of its XML only the value itself.
    text = plistlib.dumps(value).decode()
    return (re.sub(r"\A.*?<plist[^>]*>\s*|\s*</plist>\s*\Z", "", text, flags=re.DOTALL),)
