"""`software_update_policy`: whether macOS may download and install itself, which restarts the Mac unasked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.core.change import Change, Diff
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict
from macfleet.macos.defaults import INSTALLS_ALONE, SOFTWARE_UPDATE, SOFTWARE_UPDATE_DOMAIN, write_bool
from macfleet.modules.base import Surroundings


class SoftwareUpdatePolicyArgs(Strict):
    automatic: bool


class SoftwareUpdatePolicy:
    """macOS upgrades were seen to turn the switches on again, so every `verify` looks anew."""

    name = "software_update_policy"
    Args = SoftwareUpdatePolicyArgs
    looks_around: tuple[Fact[Any], ...] = ()
    example = "software_update_policy: {automatic: false}"

    def facts(self, args: SoftwareUpdatePolicyArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return (SOFTWARE_UPDATE,)

    def diff(self, args: SoftwareUpdatePolicyArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        have = facts[SOFTWARE_UPDATE]
        if isinstance(have, Unknown):
            return (have,)
        return [_change(key, args.automatic) for key in INSTALLS_ALONE if have.is_on(key) != args.automatic]


def _change(key: str, automatic: bool) -> Change:
    before, after = ("off", "on") if automatic else ("on", "off")
    return Change(f"software update {key}", before, after, (write_bool(SOFTWARE_UPDATE_DOMAIN, key, automatic),))
