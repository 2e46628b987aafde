"""Does the application firewall let the other Macs talk to the workers?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Mac
from macfleet.macos import socketfilterfw


class Firewall:
    name = "firewall"
    why = "where it is on, macOS asks about a new Python in a window that nobody sees, and drops what comes in until somebody answers"
    source = "socketfilterfw(8); off by default on macOS 26; rules are kept by path, and every version of Python has another"
    want = "off, or letting macfleet's Python in"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (socketfilterfw.STATE, socketfilterfw.rule(mac.paths.python))

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        state, rule = facts[socketfilterfw.STATE], facts[socketfilterfw.rule(mac.paths.python)]
        if isinstance(state, Unknown):
            return [findings.unknown(self, state, self.want)]
        if state == 0:
            return [findings.ok(self, "off", self.want)]
        if state == 2:
            hint = f"`macfleet run firewall --mac {mac.name}` ends that; no rule for a program counts while it is so"
            return [findings.fail(self, "on, and blocks every incoming connection", self.want, hint)]
        if isinstance(rule, Unknown):
            return [findings.unknown(self, rule, self.want)]
        if rule:
            return [findings.ok(self, "on, and lets macfleet's Python in", self.want)]
        have = "on, and has no rule for macfleet's Python" if rule is None else "on, and blocks macfleet's Python"
        hint = f"`macfleet run firewall --mac {mac.name}` lets it in; again after every new runtime, whose Python is another file"
        return [findings.fail(self, have, self.want, hint)]
