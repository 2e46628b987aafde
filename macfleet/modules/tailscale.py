"""`tailscale`: Homebrew's daemon, which is up before anybody logs in, and the Mac's place in the tailnet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from macfleet.core.change import Change, Diff
from macfleet.core.command import Command
from macfleet.core.errors import RequestError
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.secret import Secret
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import SecretSource, Strict
from macfleet.macos import brew
from macfleet.macos.tailscale import STATUS, Tailscale, up
from macfleet.modules.base import Surroundings

# The key lies in a file only root can read, for as long as `tailscale up` runs, however it ends.
_WITH_KEY_FILE = """umask 077
trap 'rm -f "$0"' EXIT
trap 'exit 1' HUP INT TERM
cat > "$0" && "$@\""""


class TailscaleArgs(Strict):
    hostname: str
    auth_key: SecretSource | None = None
    tags: tuple[str, ...] = ()
    ssh: bool = False


class TailscaleModule:
    name = "tailscale"
    Args = TailscaleArgs
    looks_around: tuple[Fact[Any], ...] = ()
    example = """
tailscale:
  hostname: studio-1
  auth_key: {env: TS_AUTHKEY}
"""

    def facts(self, args: TailscaleArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return (STATUS,)

    def diff(self, args: TailscaleArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        have = facts[STATUS]
        if isinstance(have, Unknown):
            return (have,)
        changes = []
        if have.backend_state in ("NotInstalled", "NoDaemon"):
            changes.append(Change("tailscale daemon", have.backend_state, "started", (brew.start_service("tailscale"),)))
        if not have.is_running or have.is_expired:
            changes.append(Change("tailscale", _state(have), "Running", (_join(args, mac, around),)))
        return changes


def _state(have: Tailscale) -> str:
    return "key expired" if have.is_running else have.backend_state


def _join(args: TailscaleArgs, mac: Mac, around: Surroundings) -> Command:
    if args.auth_key is None:
        raise RequestError(
            f"{mac.name} is not in the tailnet and the inventory names no auth key",
            mac=mac.name,
            hint="write tailscale: {auth_key: {env: NAME}} under its settings, or join it by hand with `tailscale up`",
        )
    key_file = f"{mac.paths.state}/tailscale-key"
    join = up(args.hostname, key_file, ssh=args.ssh, tags=args.tags)
    secret: Secret = around.secret(args.auth_key)
    return replace(join, argv=("sh", "-c", _WITH_KEY_FILE, key_file, *join.argv), stdin=secret)
