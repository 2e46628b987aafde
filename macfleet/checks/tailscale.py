"""Is the Mac on the tailnet?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Mac
from macfleet.macos import tailscale


class Tailscale:
    name = "tailscale"
    why = "it is the way to the Macs from elsewhere, and its daemon (not the App Store app) works before anybody logs in"
    source = "Tailscale's kb 1278 and issue 987: the apps start only after somebody has logged in, tailscaled at boot"
    want = "running and online"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (tailscale.STATUS,) if mac.settings.tailscale.enabled else ()

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        if not mac.settings.tailscale.enabled:
            return [findings.ok(self, "not looked at: not wanted", "nothing")]
        status = facts[tailscale.STATUS]
        if isinstance(status, Unknown):
            return [findings.unknown(self, status, self.want)]
        have = _describe(status)
        if status.is_expired:
            return [findings.fail(self, have, self.want, "its node key expired: `sudo tailscale up --force-reauth`, or tag the Mac")]
        if not status.is_running:
            return [findings.fail(self, have, self.want, "`macfleet provision` installs it and joins the tailnet")]
        if not status.is_online:
            return [findings.warn(self, have, self.want, "the daemon runs; look at the network of this Mac and at `tailscale netcheck`")]
        return [findings.ok(self, have, self.want)]


def _describe(status: tailscale.Tailscale) -> str:
    match status.backend_state:
        case "NotInstalled":
            return "not installed"
        case "NoDaemon":
            return "installed, but its daemon does not answer"
        case "Running":
            connected = "online" if status.is_online else "not online"
            expiry = f", its key expires {status.key_expiry}" if status.key_expiry else ""
            return f"running, {connected} as {', '.join(status.ips) or 'no address'}{expiry}"
        case state:
            return state
