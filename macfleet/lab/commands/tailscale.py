"""`tailscale`: the open-source client in front of an emulated tailscaled."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from macfleet.lab.commands.brew import TAILSCALE_JOB
from macfleet.lab.state import Tailnet
from macfleet.lab.world import Call, Reply, World, failed

VERSION = "1.98.2"
_NO_DAEMON = "failed to connect to local Tailscale service; is Tailscale running?"


def tailscale(world: World, call: Call) -> Reply:
    if call.arguments[:1] == ("version",):
        return Reply(f"{VERSION}\n  go version: go1.26.1\n")
    daemon = world.launchd.jobs.get(TAILSCALE_JOB)
    if daemon is None or daemon.pid is None:
        return failed(_NO_DAEMON)
    match call.arguments:
        case ("status", "--json"):
            return Reply(json.dumps(_status(world), indent=2))  # no newline at its end, whatever the state
        case ("status",):
            return (
                Reply(f"{world.state.tailnet.address}  {world.state.tailnet.hostname}\n") if world.state.tailnet else failed("Logged out.")
            )
        case ("debug", "prefs"):
            return Reply(json.dumps(_preferences(world.state.tailnet), indent="\t") + "\n")
        case ("up" | "set" | "down" | "logout", *_) if not call.is_root:
            return failed("Access denied: prefs write access denied\n\nUse 'sudo tailscale …'.")
        case ("up", *options):
            return _up(world, options, call)
        case ("set", *options) if world.state.tailnet:
            return _set(world.state.tailnet, options)
        case ("down", *_) if world.state.tailnet:
            world.state.tailnet.is_stopped = True
            return Reply()
        case ("ip", *_) if world.state.tailnet:
            return Reply(f"{world.state.tailnet.address}\n")
        case ("logout",):
            world.state.tailnet = None
            return Reply()
    return failed(f"tailscale: a rehearsal Mac knows no `tailscale {' '.join(call.arguments)}`")


def _status(world: World) -> dict[str, object]:
    tailnet = world.state.tailnet
    if tailnet is None:
        return {
            "Version": VERSION,
            "TUN": True,
            "BackendState": "NeedsLogin",
            "AuthURL": "",
            "TailscaleIPs": None,
            "Self": None,
            "Health": [],
        }
    own = {
        "HostName": tailnet.hostname,
        "DNSName": f"{tailnet.hostname}.rehearsal.ts.net.",
        "OS": "macOS",
        "TailscaleIPs": [tailnet.address],
        "Tags": list(tailnet.tags),
        "Online": not tailnet.is_stopped,
    }
    return {
        "Version": VERSION,
        "TUN": True,
        "BackendState": "Stopped" if tailnet.is_stopped else "Running",
        "AuthURL": "",
        "TailscaleIPs": [tailnet.address],
        "Self": own,
        "Health": [],
        "MagicDNSSuffix": "rehearsal.ts.net",
        "CurrentTailnet": {"Name": "rehearsal", "MagicDNSSuffix": "rehearsal.ts.net", "MagicDNSEnabled": True},
        "Peer": {},
    }


def _up(world: World, options: list[str], call: Call) -> Reply:
    given = _given(options)
    key = given.get("auth-key", given.get("authkey", ""))
    if key.startswith("file:"):
        try:
            key = Path(world.path(key.removeprefix("file:"), call.cwd)).read_text().strip()
        except OSError as error:
            return failed(f"open {key.removeprefix('file:')}: {(error.strerror or '').lower()}")
    if world.state.tailnet is None and not key.startswith("tskey-"):
        return failed("backend error: invalid key: unable to validate API key")
    digest = hashlib.sha256(world.state.name.encode()).digest()
    world.state.tailnet = Tailnet(
        hostname=given.get("hostname") or world.state.name,
        address=f"100.{64 + digest[0] % 64}.{digest[1]}.{1 + digest[2] % 254}",
        ssh="ssh" in given,
        tags=tuple(tag for tag in given.get("advertise-tags", "").split(",") if tag),
    )
    return Reply()


def _set(tailnet: Tailnet, options: list[str]) -> Reply:
    given = _given(options)
    if unknown := given.keys() - {"hostname", "ssh", "accept-risk"}:
        return failed(f"flag provided but not defined: -{min(unknown)}")
    if "hostname" in given:
        tailnet.hostname = given["hostname"]
    if "ssh" in given:
        tailnet.ssh = given["ssh"] in ("", "true")
    return Reply()


def _preferences(tailnet: Tailnet | None) -> dict[str, object]:
    """The names of tailscaled's own record, ipn.Prefs."""
    return {
        "ControlURL": "https://controlplane.tailscale.com",
        "RouteAll": False,
        "CorpDNS": True,
        "RunSSH": tailnet is not None and tailnet.ssh,
        "WantRunning": tailnet is not None and not tailnet.is_stopped,
        "LoggedOut": tailnet is None,
        "Hostname": tailnet.hostname if tailnet else "",
        "AdvertiseTags": list(tailnet.tags) if tailnet else None,
    }


def _given(options: list[str]) -> dict[str, str]:
    return dict(option.lstrip("-").partition("=")[::2] for option in options)
