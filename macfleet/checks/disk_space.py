"""Is there room for weights?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.core.units import format_size
from macfleet.inventory.mac import Mac
from macfleet.macos import df


class DiskSpace:
    name = "disk-space"
    measures = True
    why = "weights are staged on the Mac's own disk, and macOS needs room for swap and updates"
    source = "macfleet's own need, as weights are staged there; softwareupdate ends with `Not enough free disk space`"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (df.free(df.volume(mac.root)),)

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        disk, wanted = facts[df.free(df.volume(mac.root))], mac.settings.minimum_free_disk
        want = f"{format_size(wanted)} free"
        if isinstance(disk, Unknown):
            return [findings.unknown(self, disk, want)]
        have = f"{format_size(disk.free_bytes)} of {format_size(disk.total_bytes)} free"
        if disk.free_bytes >= wanted:
            return [findings.ok(self, have, want)]
        hint = f"remove models that no service uses: `macfleet exec --mac {mac.name} -- du -h -d 1 {mac.paths.models}` shows them"
        return [findings.fail(self, have, want, hint)]
