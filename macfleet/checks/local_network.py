"""Will Local Network privacy keep the workers from the other Macs?"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Network
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Mac
from macfleet.macos import launch_agents


class LocalNetwork:
    name = "local-network"
    why = "a LaunchAgent may not talk to the local network until somebody allows it in a window: `No route to host`, while ping works"
    source = "Apple TN3179: daemons of launchd, root, and what is started over SSH are exempt, agents are not; hermes-agent#57812"
    want = "macfleet's programs started by LaunchDaemons only"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (launch_agents.agents(mac.paths), launch_agents.EXEMPTIONS)

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        agents, exemptions = facts[launch_agents.agents(mac.paths)], facts[launch_agents.EXEMPTIONS]
        if isinstance(agents, Unknown):
            return [findings.unknown(self, agents, self.want)]
        if not agents:
            return [findings.ok(self, "no LaunchAgent starts them", self.want)]
        have = f"a LaunchAgent starts them: {findings.names([mac.paths.shown(path) for path in agents])}"
        if isinstance(exemptions, Unknown):
            return [findings.unknown(self, f"{have}; which networks are exempt is not known: {exemptions.reason}", self.want)]
        if _holds(exemptions, mac):
            return [findings.ok(self, f"{have}, and {findings.names(exemptions)} is exempt", self.want)]
        hint = (
            "remove it, macfleet deploys daemons; or exempt the network (macOS 15.5 and a restart): `sudo defaults write "
            'com.apple.network.local-network AllowedEthernetLocalNetworkAddresses -array "10.0.0.0/24"`'
        )
        return [findings.fail(self, have, self.want, hint)]


def _holds(exemptions: Sequence[str], mac: Mac) -> bool:
    """Whether what a worker talks to is exempt: the network of the cables, and the one in which the Mac itself is called."""
    wanted = [mac.settings.interconnect.network]
    with suppress(ValueError):  # a name says nothing of a network
        wanted.append(IPv4Network(mac.address))
    exempt = []
    for text in exemptions:
        with suppress(ValueError):
            exempt.append(IPv4Network(text, strict=False))
    return all(any(each.subnet_of(network) for network in exempt) for each in wanted)
