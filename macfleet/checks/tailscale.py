"""Is the Mac on the tailnet?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from macfleet.checks import findings
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Mac
from macfleet.macos import date, tailscale

# The way to the Mac ends with its key, and to renew it somebody has to be there.
SOON = timedelta(days=30)


class Tailscale:
    name = "tailscale"
    why = "it is the way to the Macs from elsewhere, and its daemon (not the App Store app) works before anybody logs in"
    source = "Tailscale's kb 1278 and issue 987: the apps start only after somebody has logged in, tailscaled at boot"
    want = "running and online"

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        return (tailscale.STATUS, date.CLOCK) if mac.settings.tailscale.enabled else ()

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        if not mac.settings.tailscale.enabled:
            return [findings.ok(self, "not looked at: not wanted", "nothing")]
        status, now = facts[tailscale.STATUS], facts[date.CLOCK]
        if isinstance(status, Unknown):
            return [findings.unknown(self, status, self.want)]
        have = _describe(status)
        if status.is_expired:
            return [findings.fail(self, have, self.want, "its node key expired: `sudo tailscale up --force-reauth`, or tag the Mac")]
        if not status.is_running:
            return [findings.fail(self, have, self.want, "`macfleet provision` installs it and joins the tailnet")]
        if not status.is_online:
            return [findings.warn(self, have, self.want, "the daemon runs; look at the network of this Mac and at `tailscale netcheck`")]
        left = _until_expiry(status, now)
        if left is not None and left < SOON:
            hint = f"disable the expiry of {mac.name} in the admin console, tag it, or run `sudo tailscale up --force-reauth` there in time"
            return [findings.warn(self, f"{have}, in {max(0, left.days)} days", "a key that does not expire soon", hint)]
        return [findings.ok(self, have, self.want)]


def _until_expiry(status: tailscale.Tailscale, now: datetime | Unknown) -> timedelta | None:
    """None when the key does not expire, or nobody can say when."""
    if status.key_expiry is None or isinstance(now, Unknown):
        return None
    try:  # Go writes up to nine digits of a second, and Python reads six
        expiry = datetime.fromisoformat(re.sub(r"\.\d+", "", status.key_expiry))
        return expiry - now
    except (ValueError, TypeError):  # TypeError: without a zone
        return None


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
