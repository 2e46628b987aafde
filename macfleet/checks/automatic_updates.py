"""May macOS install updates, and restart, on its own?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Mac
from macfleet.macos import defaults


class AutomaticUpdates:
    name = "automatic-updates"
    why = "an update that macOS installs at night restarts one Mac of a gang, and leaves a build on it that RDMA does not accept"
    source = "operators who found a Mac restarted at night, and the switches at 1 again after an upgrade; exo's README, caveat 5"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (defaults.SOFTWARE_UPDATE,)

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        update, wanted = facts[defaults.SOFTWARE_UPDATE], mac.settings.automatic_updates
        want = "on" if wanted else "off"
        if isinstance(update, Unknown):
            return [findings.unknown(self, update, want)]
        different = [key for key in defaults.INSTALLS_ALONE if update.is_on(key) is not wanted]
        if not different:
            return [findings.ok(self, want, want)]
        # An upgrade of macOS was seen to turn them on again, and an absent key means on.
        have = ", ".join(f"{key} {_state(update, key)}" for key in different)
        return [findings.fail(self, have, want, "`macfleet provision` sets it; look again after every upgrade of macOS")]


def _state(update: defaults.SoftwareUpdate, key: str) -> str:
    if key not in update.switches:
        return "on (never set)"
    return "on" if update.is_on(key) else "off"
