"""Is macOS new enough, and the build the one that is wanted?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Mac
from macfleet.macos import sw_vers


class MacosVersion:
    name = "macos-version"
    why = "RDMA over Thunderbolt exists from macOS 26.2 on, and fixes of MLX and of the driver come with updates"
    source = "Apple TN3205: RDMA over Thunderbolt is available from macOS 26.2 on"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (sw_vers.VERSION,)

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        version, wanted = facts[sw_vers.VERSION], mac.settings.macos
        want = f"build {wanted.build}" if wanted.build else f"macOS {wanted.minimum} or later"
        if isinstance(version, Unknown):
            return [findings.unknown(self, version, want)]
        if is_as_wanted(mac, version):
            return [findings.ok(self, str(version), want)]
        hint = f"update {mac.name}: `softwareupdate --list` shows what Apple offers; all Macs of a fleet need the same build"
        return [findings.fail(self, str(version), want, hint)]


def is_as_wanted(mac: Mac, version: sw_vers.Version) -> bool:
    wanted = mac.settings.macos
    return version.is_at_least(wanted.minimum) and wanted.build in (None, version.build)
