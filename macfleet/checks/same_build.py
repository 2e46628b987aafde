"""Do all Macs run the same build of macOS?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from macfleet.checks import findings, macos_version
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Inventory, Mac
from macfleet.macos import sw_vers


class SameBuild:
    name = "same-build"
    why = "RDMA ports of Macs with different builds may not find each other, beta numbers included"
    source = "exo's README, caveat 5: OS versions must match exactly, even beta version numbers"
    want = "one build on all Macs"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (sw_vers.VERSION,)

    def judge(self, inventory: Inventory, facts: Mapping[str, Facts]) -> Sequence[Finding]:
        builds: dict[str, str] = {}
        elsewhere, unread = [], []
        for mac in inventory.macs:
            version = findings.told(facts, mac.name, sw_vers.VERSION)
            if isinstance(version, Unknown):
                unread.append(mac.name)
            elif macos_version.is_as_wanted(mac, version):
                builds[mac.name] = version.build
            else:
                elsewhere.append(mac.name)  # a finding of its own on that Mac: macos-version
        return [self._compare(builds, elsewhere, unread)]

    def _compare(self, builds: Mapping[str, str], elsewhere: list[str], unread: list[str]) -> Finding:
        have = "; ".join(
            f"{build} on {findings.names([mac for mac, own in builds.items() if own == build])}" for build in dict.fromkeys(builds.values())
        )
        if elsewhere:
            have = "; ".join(filter(None, (have, f"{findings.names(elsewhere)} not compared, see macos-version there")))
        if len(set(builds.values())) > 1:
            common = Counter(builds.values()).most_common(1)[0][0]
            others = [mac for mac, build in builds.items() if build != common]
            hint = f"bring {findings.names(others)} to {common}, the build of most Macs, or all of them to a newer one"
            return findings.fail(self, have, self.want, hint)
        if unread:
            told = f"the build of {findings.names(unread)} is not known"
            return findings.unknown(self, "; ".join(filter(None, (have, told))), self.want)
        return findings.ok(self, have, self.want)
