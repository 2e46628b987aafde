"""Does Spotlight read every weight that is written?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Mac
from macfleet.macos import mdutil


class Spotlight:
    name = "spotlight"
    why = "its indexer reads hundreds of GB after every staging, on the core and the disk that load the model"
    source = 'mdutil(1); an unattended Mac was measured to give it 16 CPU minutes of every hour, and "/" administers the data volume'

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (mdutil.INDEXING,)

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        is_indexed, is_wanted = facts[mdutil.INDEXING], mac.settings.spotlight
        want = "as macOS likes" if is_wanted else "off"
        if isinstance(is_indexed, Unknown):
            return [findings.unknown(self, is_indexed, want)]
        have = "on" if is_indexed else "off"
        if is_indexed and not is_wanted:
            return [findings.warn(self, have, want, "`macfleet provision` switches it off; or write `spotlight: true` into the inventory")]
        return [findings.ok(self, have, want)]
