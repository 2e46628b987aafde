"""What System Settings stores about the network, below the Mac's root, where `plutil` finds it."""

from __future__ import annotations

import plistlib

from macfleet.lab.paths import MacDir

BRIDGE = "bridge0"
PREFERENCES = "Library/Preferences/SystemConfiguration/preferences.plist"


def stored_bridge(directory: MacDir) -> list[str] | None:
    """The ports that preferences.plist puts into bridge0; None when it names no such bridge."""
    try:
        stored = plistlib.loads((directory.root / PREFERENCES).read_bytes())
    except (OSError, plistlib.InvalidFileException):
        return None
    bridge = stored.get("VirtualNetworkInterfaces", {}).get("Bridge", {}).get(BRIDGE)
    return None if bridge is None else list(bridge.get("Interfaces", []))
