"""Do all Macs have the same runtime, byte by byte of its lock and wheel?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Inventory, Mac
from macfleet.macos.runtime import Runtime, runtime


class SameRuntime:
    name = "same-runtime"
    why = "stages of one model must compute with the same MLX and the same code, or their results differ or they do not talk"
    source = "mlx#3755 and exo#1330: clusters whose Macs had different versions of mlx"
    want = "one runtime on all Macs"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (runtime(mac.paths),)

    def judge(self, inventory: Inventory, facts: Mapping[str, Facts]) -> Sequence[Finding]:
        installed, unread = dict[str, Runtime](), []
        for mac in inventory.macs:
            match findings.told(facts, mac.name, runtime(mac.paths)):
                case Unknown():
                    unread.append(mac.name)
                case Runtime() as found:  # a Mac with none, or with a broken one, has its own finding: `runtime`
                    installed[mac.name] = found
        if len(set(installed.values())) > 1:
            return [self._differ(installed)]
        have = f"the same on {findings.names(list(installed))}" if installed else "none is installed (see runtime)"
        if unread:
            told = f"the runtime of {findings.names(unread)} is not known"
            return [findings.unknown(self, f"{have}; {told}" if installed else told, self.want)]
        return [findings.ok(self, have, self.want)]

    def _differ(self, installed: Mapping[str, Runtime]) -> Finding:
        common = Counter(installed.values()).most_common(1)[0][0]
        others = {mac: found for mac, found in installed.items() if found != common}
        have = "; ".join(f"{mac} has another {found.difference(common) or 'runtime'} than most Macs" for mac, found in others.items())
        hint = f"`macfleet provision` with {' '.join(f'--mac {mac}' for mac in others)} installs the same everywhere"
        return findings.fail(self, have, self.want, hint)
