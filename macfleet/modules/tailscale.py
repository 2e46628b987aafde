"""`tailscale`: Homebrew's daemon, which is up before anybody logs in, and the Mac's place in the tailnet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from pydantic import Field

from macfleet.core.change import Change, Diff, Difference, Unsupported
from macfleet.core.command import Command
from macfleet.core.errors import RequestError
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.secret import Secret
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import SecretSource, Strict
from macfleet.macos import brew
from macfleet.macos.tailscale import PREFERENCES, STATUS, Preferences, Tailscale, down, logout, set_preferences, up
from macfleet.modules.base import Surroundings

# The key lies in a file only root can read, for as long as `tailscale up` runs, however it ends.
_WITH_KEY_FILE = """umask 077
trap 'rm -f "$0"' EXIT
trap 'exit 1' HUP INT TERM
cat > "$0" && "$@\""""


class TailscaleArgs(Strict):
    hostname: str = Field(description="The Mac's name in the tailnet")
    auth_key: SecretSource | None = Field(None, description="Logs a new Mac in; read only when one has to")
    tags: tuple[str, ...] = Field((), description="Tags it asks for when it logs in, like tag:fleet")
    ssh: bool = Field(False, description="Tailscale's own SSH server")


class TailscaleModule:
    """Joins with the key in a file of root's that is gone afterwards. What drifts on a Mac that has joined is set again."""

    name = "tailscale"
    Args = TailscaleArgs
    looks_around: tuple[Fact[Any], ...] = ()
    example = """
tailscale:
  hostname: studio-1
  auth_key: {env: TS_AUTHKEY}
"""

    def facts(self, args: TailscaleArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return (STATUS, PREFERENCES)

    def diff(self, args: TailscaleArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        have = facts[STATUS]
        if isinstance(have, Unknown):
            return (have,)
        if have.is_running and not have.is_expired:
            return [*_drift(args, facts), *_tags(args, have)]
        changes = []
        if have.backend_state in ("NotInstalled", "NoDaemon"):
            start, stop = brew.start_service("tailscale"), brew.stop_service("tailscale")
            changes.append(Change("tailscale daemon", have.backend_state, "started", (start,), undo=(stop,)))
        return [*changes, Change("tailscale", _state(have), "Running", (_join(args, mac, around),), undo=_undo(have))]


def _drift(args: TailscaleArgs, facts: Facts) -> Iterator[Difference]:
    have, want = facts[PREFERENCES], Preferences(args.hostname, args.ssh)
    if isinstance(have, Unknown):
        yield have
    elif have != want:
        yield Change("tailscale settings", _spelt(have), _spelt(want), (set_preferences(want),), undo=(set_preferences(have),))


def _tags(args: TailscaleArgs, have: Tailscale) -> Iterator[Difference]:
    """Whoever gives tags to a Mac that has joined is the tailnet's administrator: no key can."""
    if args.tags and set(args.tags) != set(have.tags):
        has = ", ".join(have.tags) or "no tags"
        yield Unsupported(f"tailscale: {has} instead of {', '.join(args.tags)}: change that in the admin console, or log it out and in")


def _spelt(preferences: Preferences) -> str:
    return f"{preferences.hostname or 'its own name'}, {'with' if preferences.has_ssh else 'without'} ssh"


def _state(have: Tailscale) -> str:
    return "key expired" if have.is_running else have.backend_state


def _undo(have: Tailscale) -> tuple[Command, ...]:
    """Who had logged in stays logged in: an expired key does not come back, and a Mac that had stopped stops."""
    if have.is_running or have.is_expired:
        return ()
    return (down(),) if have.backend_state in ("Stopped", "Starting") else (logout(),)


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
