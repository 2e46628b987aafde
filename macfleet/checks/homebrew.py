"""Is Homebrew there, which brings what the runtime is made with?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Mac
from macfleet.macos import brew


class Homebrew:
    name = "homebrew"
    why = "uv, smartmontools and Tailscale come from it; without it `provision` stops at the first of them"
    source = "Homebrew's install.sh: NONINTERACTIVE=1 installs it over SSH, as an admin whose sudo does not ask, never as root"
    want = "installed"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (brew.PREFIX,)

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        prefix = facts[brew.PREFIX]
        if isinstance(prefix, Unknown):
            return [findings.unknown(self, prefix, self.want)]
        if prefix is None:
            hint = f"install it as {mac.user or 'an admin'} on the Mac, with NONINTERACTIVE=1 over SSH: see https://brew.sh"
            return [findings.fail(self, "not installed", self.want, hint)]
        return [findings.ok(self, f"in {mac.paths.shown(prefix)}", self.want)]
