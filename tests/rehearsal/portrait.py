"""What a simulated Mac is, byte for byte, so that two moments of it can be compared."""

from __future__ import annotations

import hashlib
import json
import os
import stat as modes
from typing import Any

from macfleet.lab.ownership import owner_of
from macfleet.lab.paths import MacDir
from macfleet.lab.state import load_state

# What a simulated Mac is doing at the moment, what it has gone through, and who owns which inode: owners are looked at file by file.
OF_THE_MOMENT = {"owners", "power", "simulator_pid", "socket", "boot_session", "boots"}


def portrait(mac: MacDir) -> dict[str, dict[str, Any]]:
    """Every file with its bytes, mode, owner and time; every directory and link; all that macOS keeps elsewhere."""
    state = load_state(mac.state)
    files = {str(path.relative_to(mac.root)): _file(state, path) for path in sorted(mac.root.rglob("*"))}
    kept = {key: value for key, value in json.loads(mac.state.read_text()).items() if key not in OF_THE_MOMENT}
    del kept["wear"]["starts"]  # everything else there is a setting
    return {"files": files, "state": kept}


def differences(now: dict[str, dict[str, Any]], before: dict[str, dict[str, Any]]) -> dict[str, tuple[Any, Any]]:
    """What is other than it was, by its name."""
    return {
        f"{part}: {key}": (before[part].get(key), now[part].get(key))
        for part in before
        for key in sorted({*before[part], *now[part]})
        if before[part].get(key) != now[part].get(key)
    }


def _file(state, path):
    status = path.lstat()
    looks = {"kind": modes.S_IFMT(status.st_mode), "mode": oct(modes.S_IMODE(status.st_mode)), "owner": owner_of(state, path)}
    if path.is_symlink():
        return {**looks, "leads to": os.readlink(path)}
    if path.is_dir():
        return looks
    looks["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    # macOS's own programs write their preferences anew; whatever else was put back has its old time.
    return looks if "Preferences" in path.parts else {**looks, "time": status.st_mtime_ns}
