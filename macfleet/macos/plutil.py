"""`plutil`: the stored membership of the Thunderbolt bridge, which configd puts back at every boot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from macfleet.core.command import Command, command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result
from macfleet.macos.answers import PROGRAM_MISSING, parse_json_object, says, unparsable

PREFERENCES = "/Library/Preferences/SystemConfiguration/preferences.plist"
_BRIDGES = "VirtualNetworkInterfaces.Bridge"


def parse_bridges(text: str) -> dict[str, tuple[str, ...]]:
    """Bridge → stored members: {"bridge0": ("en1", "en6", "en2")}; empty once it was removed."""
    return {name: _members(name, bridge) for name, bridge in parse_json_object("plutil -extract", text).items()}


def _understand(results: Sequence[Result]) -> dict[str, tuple[str, ...]] | Unknown:
    extracted, checked = results
    if extracted.ok:
        return parse_bridges(extracted.stdout)
    if extracted.exit_status == PROGRAM_MISSING:
        return Unknown(extracted.failure())
    # `plutil -extract` fails the same way for a missing key and for a broken file: -lint tells them apart.
    if says(extracted, "no value at that key path") or checked.ok:
        return {}
    return Unknown(extracted.failure())


BRIDGES: Fact[dict[str, tuple[str, ...]]] = Fact(
    "stored-bridges",
    (
        command("plutil", "-extract", _BRIDGES, "json", "-o", "-", PREFERENCES, timeout_s=10),
        command("plutil", "-lint", PREFERENCES, timeout_s=10),
    ),
    _understand,
)


def parse_stored_bridges(text: str) -> dict[str, Mapping[str, Any]]:
    """Bridge → everything that is stored of it, its options too: what a bridge is put back from."""
    bridges = parse_json_object("plutil -extract", text)
    for name, bridge in bridges.items():
        _members(name, bridge)
    return bridges


def stored_members(bridge: Mapping[str, Any]) -> tuple[str, ...]:
    return _members("the bridge", bridge)


def _understand_whole(results: Sequence[Result]) -> dict[str, Mapping[str, Any]] | Unknown:
    known = _understand(results)
    return known if isinstance(known, Unknown) else parse_stored_bridges(results[0].stdout) if known else {}


STORED_BRIDGES: Fact[dict[str, Mapping[str, Any]]] = Fact("stored-bridges-whole", BRIDGES.commands, _understand_whole)


def store_bridge(bridge: str, stored: Mapping[str, Any]) -> Command:
    """As it was stored before, whether it is there or not."""
    value = json.dumps(stored, separators=(",", ":"))
    return command("plutil", "-replace", f"{_BRIDGES}.{bridge}", "-json", value, PREFERENCES, sudo=True, timeout_s=10)


def forget_bridge(bridge: str = "bridge0") -> Command:
    return command("plutil", "-remove", f"{_BRIDGES}.{bridge}", PREFERENCES, sudo=True, timeout_s=10)


def check(path: str) -> Command:
    """Exits 0 when the file is a property list."""
    return command("plutil", "-lint", path, timeout_s=10)


def _members(name: str, bridge: object) -> tuple[str, ...]:
    interfaces = bridge.get("Interfaces", []) if isinstance(bridge, dict) else None
    if not isinstance(interfaces, list) or not all(isinstance(interface, str) for interface in interfaces):
        raise unparsable("plutil -extract", f"{name} has no list of interfaces")
    return tuple(interfaces)
