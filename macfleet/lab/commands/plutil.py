"""`plutil`: look into property lists and change them."""

from __future__ import annotations

import json
import plistlib
from pathlib import Path
from typing import Any

from macfleet.lab.preferences import PREFERENCES
from macfleet.lab.world import Call, Reply, World


def plutil(world: World, call: Call) -> Reply:
    match call.arguments:
        case ("-lint", *files) | ("-s", "-lint", *files):
            return _lint([world.path(file, call.cwd) for file in files])
        case ("-extract", key, form, "-o", "-", file):
            return _extract(world.path(file, call.cwd), key, form)
        case ("-remove", key, file):
            return _remove(world, world.path(file, call.cwd), key, call.is_root)
        case ("-replace", key, "-json", value, file):
            return _replace(world, world.path(file, call.cwd), key, value, call.is_root)
        case ("-p", file):
            values = _load(world.path(file, call.cwd))
            return Reply(json.dumps(values, indent=2, default=str) + "\n") if not isinstance(values, str) else _fail(values)
    return _fail("No files specified.")


def _lint(files: list[Path]) -> Reply:
    said = {file: _load(file) for file in files}
    bad = any(isinstance(value, str) for value in said.values())
    return Reply(
        "".join(f"{file}: {value if isinstance(value, str) else 'OK'}\n" for file, value in said.items()), exit_status=1 if bad else 0
    )


def _extract(file: Path, key: str, form: str) -> Reply:
    values = _load(file)
    if isinstance(values, str):
        return _fail(f"{file}: {values}")
    try:
        for step in key.split("."):
            values = values[int(step)] if isinstance(values, list) else values[step]
    except (KeyError, IndexError, ValueError, TypeError):
        return _fail(f"{file}: Could not extract value, error: No value at that key path or invalid key path: {key}")
    if form == "json":
        # Compact, as in tests/fixtures/thunderbolt/plutil_bridge_prefs.mbp.sanitised.json.
        return Reply(json.dumps(values, separators=(",", ":")))
    return Reply(f"{values}\n") if form == "raw" else Reply(plistlib.dumps(values))


def _replace(world: World, file: Path, key: str, text: str, is_root: bool) -> Reply:
    """What is at the key becomes this value; the last step of the key may be new."""
    values = _load(file)
    if isinstance(values, str):
        return _fail(f"{file}: {values}")
    if file == world.root / PREFERENCES and not is_root:
        return _fail(f"{file}: file could not be written to disk (Permission denied)")
    place, last = _place(values, key)
    try:
        value = json.loads(text)
    except ValueError:
        return _fail(f"{file}: Invalid JSON")
    if place is None:
        return _fail(f"{file}: Could not modify plist, error: No value at that key path or invalid key path: {key}")
    place[last] = value
    file.write_bytes(plistlib.dumps(values))
    return Reply()


def _remove(world: World, file: Path, key: str, is_root: bool) -> Reply:
    values = _load(file)
    if isinstance(values, str):
        return _fail(f"{file}: {values}")
    if file == world.root / PREFERENCES and not is_root:
        return _fail(f"{file}: file could not be written to disk (Permission denied)")
    place, last = _place(values, key)
    if place is None or last not in place:
        return _fail(f"{file}: Could not remove value, error: No value to remove at key path {key}")
    del place[last]
    file.write_bytes(plistlib.dumps(values))
    return Reply()


def _place(values: Any, key: str) -> tuple[dict[str, Any] | None, str]:
    """The dictionary that the last step of a key path leads into; None where the path ends before."""
    *steps, last = key.split(".")
    place = values
    for step in steps:
        place = place.get(step) if isinstance(place, dict) else None
    return place if isinstance(place, dict) else None, last


def _load(file: Path) -> Any:
    """The contents, or as text why there are none."""
    try:
        return plistlib.loads(file.read_bytes())
    except FileNotFoundError:
        return "file does not exist or is not readable or is not a regular file (Error Domain=NSCocoaErrorDomain Code=260)"
    except Exception as error:  # plistlib raises whatever its XML parser does
        return f"Property List error: {error}"


def _fail(message: str) -> Reply:
    return Reply(message + "\n", exit_status=1)  # plutil complains on stdout
