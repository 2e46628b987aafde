"""Has Ethernet come up at its speed?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Mac
from macfleet.macos import ifconfig, networksetup

LEAST_MB_S = 1000


class Ethernet:
    name = "ethernet"
    why = "clients, weights and pipelines without RDMA come over it, and one broken pair in a cable makes it ten to a hundred times slower"
    source = "IEEE 802.3: a link that lacks a pair trains down to 100 Mb/s and says nothing; every Mac since 2006 does 1 Gb/s"
    want = "1 Gb/s or more wherever a cable is plugged in"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (networksetup.HARDWARE_PORTS, ifconfig.INTERFACES)

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        ports, interfaces = facts[networksetup.HARDWARE_PORTS], facts[ifconfig.INTERFACES]
        if isinstance(ports, Unknown):
            return [findings.unknown(self, ports, self.want)]
        if isinstance(interfaces, Unknown):
            return [findings.unknown(self, interfaces, self.want)]
        wired = {port.device: port.name for port in ports if "Ethernet" in port.name}
        links = [each for each in interfaces if each.name in wired and each.is_active and each.link_mb_s is not None]
        have = ", ".join(f"{wired[each.name]} ({each.name}) at {_speed(each.link_mb_s or 0)}" for each in links)
        if any((each.link_mb_s or 0) < LEAST_MB_S for each in links):
            return [
                findings.warn(
                    self, have, self.want, "try another cable, then another port of the switch: both ends must say 1 Gb/s or more"
                )
            ]
        return [findings.ok(self, have or "no cable is plugged in", self.want)]


def _speed(mb_s: int) -> str:
    return f"{mb_s / 1000:g} Gb/s" if mb_s >= 1000 else f"{mb_s} Mb/s"
