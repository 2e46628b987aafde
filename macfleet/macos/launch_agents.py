"""LaunchAgents that start programs of macfleet: those are what Local Network privacy keeps from the other Macs."""

from __future__ import annotations

import plistlib
from collections.abc import Sequence

from macfleet.core.command import command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.paths import MacPaths
from macfleet.core.result import Result
from macfleet.macos.answers import unparsable
from macfleet.macos.plist import parse_plist

_EXEMPT = ("AllowedEthernetLocalNetworkAddresses", "AllowedWiFiLocalNetworkAddresses")


def parse_agents(text: str) -> tuple[str, ...]:
    """The paths of the plists, one in a line."""
    paths = tuple(line for line in text.splitlines() if line)
    for path in paths:
        if not path.endswith(".plist"):
            raise unparsable("find", f'"{path[:60]}" is not the path of a plist')
    return paths


def agents(paths: MacPaths) -> Fact[tuple[str, ...]]:
    """Every LaunchAgent, of all users and of the one who is logged in, whose plist names macfleet's directory."""

    def understand(results: Sequence[Result]) -> tuple[str, ...] | Unknown:
        # `find` ends with 1 where grep found nothing in a file, or a directory is missing: what it printed is the answer.
        return parse_agents(results[0].stdout) if results[0].exit_status in (0, 1) else Unknown(results[0].failure())

    # The second directory is relative: a command begins in the home of the user.
    question = command(
        *("find", paths.at("/Library/LaunchAgents"), "Library/LaunchAgents", "-name", "*.plist"),
        *("-exec", "grep", "-l", "-F", "-e", "/opt/macfleet/", "{}", "+"),
        timeout_s=15,
    )
    return Fact("launch-agents", (question,), understand)


def parse_exemptions(text: str) -> tuple[str, ...]:
    """The networks that everybody may reach without being asked (macOS 15.5 and later), such as 10.0.0.0/24."""
    preferences = parse_plist("defaults export", text)
    lists = [preferences.get(key, []) for key in _EXEMPT]
    if not all(isinstance(each, list) and all(isinstance(network, str) for network in each) for each in lists):
        raise unparsable("defaults export", "exempt networks that are no list of texts")
    return tuple(network for each in lists for network in each)


def _understand_exemptions(results: Sequence[Result]) -> tuple[str, ...] | Unknown:
    if results[0].ok:
        return parse_exemptions(results[0].stdout or plistlib.dumps({}).decode())
    return () if "does not exist" in results[0].stderr else Unknown(results[0].failure())


# In root's own preferences, which is where `sudo defaults write` puts it.
EXEMPTIONS: Fact[tuple[str, ...]] = Fact(
    "local-network-exemptions",
    (command("defaults", "export", "com.apple.network.local-network", "-", sudo=True, timeout_s=10),),
    _understand_exemptions,
)
