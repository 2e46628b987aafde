"""`tailscale`: whether the Mac is on the tailnet, and how it joins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from macfleet.core.command import Command, command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result
from macfleet.macos.answers import PROGRAM_MISSING, ask, parse_json_object, unparsable

_PROGRAM = "tailscale status --json"


@dataclass(frozen=True)
class Tailscale:
    """`backend_state` as Tailscale says ("Running", "NeedsLogin", "Stopped", …), or "NotInstalled", or "NoDaemon"."""

    backend_state: str
    is_online: bool = False
    host_name: str = ""
    ips: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    key_expiry: str | None = None  # RFC 3339; None: the key does not expire
    is_expired: bool = False
    health: tuple[str, ...] = ()

    @property
    def is_installed(self) -> bool:
        return self.backend_state != "NotInstalled"

    @property
    def is_running(self) -> bool:
        return self.backend_state == "Running"


def parse_status(text: str) -> Tailscale:
    """The Mac's own part of `tailscale status --json`; there is none before the first login."""
    status = parse_json_object(_PROGRAM, text)
    state = status.get("BackendState")
    if not isinstance(state, str) or not state:
        raise unparsable(_PROGRAM, "no BackendState")
    own = status.get("Self")
    own = own if isinstance(own, dict) else {}
    expiry = own.get("KeyExpiry")
    return Tailscale(
        backend_state=state,
        is_online=own.get("Online") is True,
        host_name=own["HostName"] if isinstance(own.get("HostName"), str) else "",
        ips=_texts(own.get("TailscaleIPs")),
        tags=_texts(own.get("Tags")),
        key_expiry=expiry if isinstance(expiry, str) else None,
        is_expired=own.get("Expired") is True,
        health=_texts(status.get("Health")),
    )


def _understand(results: Sequence[Result]) -> Tailscale | Unknown:
    match results[0].exit_status:
        case 0:
            return parse_status(results[0].stdout)
        case status if status == PROGRAM_MISSING:
            return Tailscale("NotInstalled")
        case 1:
            return Tailscale("NoDaemon")  # "failed to connect to local Tailscale service": JSON mode fails for nothing else
    return Unknown(results[0].failure())


STATUS: Fact[Tailscale] = Fact("tailscale", (command("tailscale", "status", "--json", timeout_s=15),), _understand)


@dataclass(frozen=True)
class Preferences:
    """What was asked of tailscaled, whether it is connected or not. `hostname` "": the Mac's own name."""

    hostname: str
    has_ssh: bool


def parse_preferences(text: str) -> Preferences:
    """`tailscale debug prefs`: tailscaled's own record, in the spelling of its source (ipn.Prefs)."""
    prefs = parse_json_object("tailscale debug prefs", text)
    hostname, ssh = prefs.get("Hostname", ""), prefs.get("RunSSH")
    if not isinstance(hostname, str) or not isinstance(ssh, bool):
        raise unparsable("tailscale debug prefs", "no Hostname or no RunSSH")
    return Preferences(hostname, ssh)


PREFERENCES = ask("tailscale-preferences", command("tailscale", "debug", "prefs", timeout_s=15), parse_preferences)


def set_preferences(wanted: Preferences) -> Command:
    """`tailscale up` with fewer flags than before is refused; `set` changes what it names and nothing else."""
    options = (f"--hostname={wanted.hostname}", f"--ssh={'true' if wanted.has_ssh else 'false'}")
    return command("tailscale", "set", *options, "--accept-risk=lose-ssh", sudo=True, timeout_s=30)


def logout() -> Command:
    return command("tailscale", "logout", sudo=True, timeout_s=30)


def down() -> Command:
    return command("tailscale", "down", "--accept-risk=lose-ssh", sudo=True, timeout_s=30)


def up(hostname: str, key_file: str, *, ssh: bool = False, tags: Sequence[str] = ()) -> Command:
    """Join with the auth key in `key_file` on the Mac: the key itself is never in argv, which `ps` shows to everybody."""
    options = [f"--auth-key=file:{key_file}"]
    options += ["--ssh"] if ssh else []
    options += [f"--advertise-tags={','.join(tags)}"] if tags else []
    return command("tailscale", "up", *options, f"--hostname={hostname}", "--timeout=30s", sudo=True, timeout_s=60)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
