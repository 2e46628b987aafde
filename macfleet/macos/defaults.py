"""`defaults`: the settings of Software Update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from macfleet.core.command import Command, command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result
from macfleet.macos.answers import PROGRAM_MISSING
from macfleet.macos.plist import parse_plist

SOFTWARE_UPDATE_DOMAIN = "/Library/Preferences/com.apple.SoftwareUpdate"
# What may restart a Mac unasked. Security data (CriticalUpdateInstall, ConfigDataInstall) is left alone.
INSTALLS_ALONE = ("AutomaticallyInstallMacOSUpdates", "AutomaticDownload")


@dataclass(frozen=True)
class SoftwareUpdate:
    """The switches that are set. An absent one has Apple's default, which is on."""

    switches: Mapping[str, bool]

    def is_on(self, key: str) -> bool:
        return self.switches.get(key, True)


def parse_software_update(text: str) -> SoftwareUpdate:
    """Switches may be booleans or the integers 0 and 1, as they were written."""
    preferences = parse_plist("defaults export", text)
    return SoftwareUpdate({key: bool(value) for key, value in preferences.items() if isinstance(value, (bool, int))})


def _understand(results: Sequence[Result]) -> SoftwareUpdate | Unknown:
    if results[0].ok:
        return parse_software_update(results[0].stdout)
    # A domain that nobody wrote to yet: every switch has its default.
    return SoftwareUpdate({}) if results[0].exit_status not in (PROGRAM_MISSING, None) else Unknown(results[0].failure())


SOFTWARE_UPDATE: Fact[SoftwareUpdate] = Fact(
    "software-update", (command("defaults", "export", SOFTWARE_UPDATE_DOMAIN, "-", timeout_s=10),), _understand
)


def write_bool(domain: str, key: str, value: bool) -> Command:
    return command("defaults", "write", domain, key, "-bool", "true" if value else "false", sudo=True, timeout_s=10)
