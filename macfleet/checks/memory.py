"""Is the Mac short of memory: does it swap, does macOS feel pressure?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.core.units import GIB, format_size
from macfleet.inventory.mac import Mac
from macfleet.macos import sysctl

_LEVELS = {1: "normal", 2: "warning", 4: "critical"}
# macOS swaps out what nobody touched for days on a Mac that is well; this is more than that.
_MUCH_SWAP_BYTES = 1 * GIB


class Memory:
    name = "memory"
    why = "layers that are swapped out make every token wait for the disk, and the writing wears the SSD"
    source = "sysctl vm.swapusage and kern.memorystatus_vm_pressure_level (1, 2, 4), as captured on a loaded Mac of 48 GiB"
    want = "normal pressure, and no more than 1 GiB of swap"
    measures = True

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (sysctl.PRESSURE,)

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        memory = facts[sysctl.PRESSURE]
        if isinstance(memory, Unknown):
            return [findings.unknown(self, memory, self.want)]
        level = _LEVELS.get(memory.level, f"level {memory.level}")
        have = f"pressure {level}, {format_size(memory.swap_used_bytes)} of swap in use"
        hint = f"look who holds the memory (`macfleet exec --mac {mac.name} -- top -l 1 -o mem -n 10`); give a service fewer layers here"
        if memory.level >= 4:
            return [findings.fail(self, have, self.want, hint)]
        if memory.level != 1 or memory.swap_used_bytes > _MUCH_SWAP_BYTES:
            return [findings.warn(self, have, self.want, hint)]
        return [findings.ok(self, have, self.want)]
