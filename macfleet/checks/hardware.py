"""Is it the Mac, and the memory, that the inventory says?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.core.units import format_size
from macfleet.inventory.mac import Mac
from macfleet.macos import sysctl, uname


class Hardware:
    name = "hardware"
    why = "layers are given to Macs by the memory and ports that the inventory says they have"
    source = "Apple's model identifiers as `sysctl hw.model` prints them; a placement is computed from the inventory"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (uname.KERNEL, sysctl.IDENTITY)

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        want = f"{mac.hardware}, {format_size(mac.memory_bytes)}"
        kernel, identity = facts[uname.KERNEL], facts[sysctl.IDENTITY]
        if not isinstance(kernel, Unknown) and kernel != "Darwin":
            return [findings.fail(self, f"a {kernel} machine", want, f"{mac.address} is not a Mac: correct its address in the inventory")]
        if isinstance(identity, Unknown):
            return [findings.unknown(self, identity, want)]
        have = f"{identity.hardware}, {format_size(identity.memory_bytes)}, {identity.chip}"
        if not identity.is_apple_silicon:
            return [findings.fail(self, have, want, "MLX needs Apple silicon: take this Mac out of the inventory")]
        if (identity.hardware, identity.memory_bytes) == (mac.hardware, mac.memory_bytes):
            return [findings.ok(self, have, want)]
        hint = f"correct `hardware` and `memory` of {mac.name} in the inventory, or its address if that is another Mac"
        return [findings.fail(self, have, want, hint)]
