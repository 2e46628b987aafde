"""Is the GPU's wired limit in force?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.change import Unsupported
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.core.units import MIB, format_size
from macfleet.inventory.mac import Mac
from macfleet.macos import sysctl


class WiredLimit:
    name = "wired-limit"
    why = "macOS lets the GPU wire about three quarters of the memory; layers beyond that are not loaded, or panic the Mac"
    source = "mlx's documentation of set_wired_limit; mlx_device_info of six Macs (66 to 81 % by default); mlx#3186 for the panics"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (sysctl.WIRED_LIMIT,)

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        limit_mib, wanted = facts[sysctl.WIRED_LIMIT], wanted_mib(mac)
        want = "left to macOS" if wanted is None else describe(wanted)
        if isinstance(limit_mib, Unknown):
            return [findings.unknown(self, limit_mib, want)]
        if isinstance(limit_mib, Unsupported):
            return [findings.warn(self, limit_mib.reason, want) if wanted else findings.ok(self, limit_mib.reason, want)]
        if wanted == limit_mib or (wanted is None and limit_mib == 0):
            return [findings.ok(self, describe(limit_mib), want)]
        if wanted is None:
            hint = f"write `wired_limit: {format_size(limit_mib * MIB)}` into the inventory, or let a restart undo it"
            return [findings.warn(self, f"{describe(limit_mib)}, set by somebody else", want, hint)]
        return [findings.fail(self, describe(limit_mib), want, "`macfleet provision` sets it now and at every boot")]


def wanted_mib(mac: Mac) -> int | None:
    """MiB as `iogpu.wired_limit_mb` counts; None leaves it to macOS."""
    limit = mac.settings.wired_limit
    return None if isinstance(limit, str) else limit // MIB


def describe(limit_mib: int) -> str:
    return "0 (left to macOS)" if limit_mib == 0 else f"{limit_mib} ({format_size(limit_mib * MIB)})"
