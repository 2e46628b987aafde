"""`defaults`: preferences, kept as real property lists below the Mac's root."""

from __future__ import annotations

import plistlib
from pathlib import Path
from typing import Any

from macfleet.lab.world import Call, Reply, World, failed

_TRUE, _FALSE = {"true", "yes", "1"}, {"false", "no", "0"}


def defaults(world: World, call: Call) -> Reply:
    match call.arguments:
        case ("export", domain, "-"):
            return Reply(plistlib.dumps(_load(_file(world, domain, call))))
        case ("read", domain):
            return _missing(domain) if not _load(_file(world, domain, call)) else Reply(_old_style(_load(_file(world, domain, call))))
        case ("read", domain, key):
            values = _load(_file(world, domain, call))
            return (
                Reply(f"{_plain(values[key])}\n")
                if key in values
                else failed(f"The domain/default pair of ({domain}, {key}) does not exist")
            )
        case ("write", domain, key, *typed):
            return _write(_file(world, domain, call), domain, key, typed, call)
        case ("delete", domain, key):
            return _delete(_file(world, domain, call), domain, key, call)
    return failed("Command line interface to a user's defaults.", 255)


def _write(path: Path, domain: str, key: str, typed: list[str], call: Call) -> Reply:
    if domain.startswith("/Library/") and not call.is_root:
        return failed(f"Could not write domain {domain}; exiting")
    match typed:
        case ["-bool" | "-boolean", word] if word.lower() in _TRUE | _FALSE:
            value: Any = word.lower() in _TRUE
        case ["-int" | "-integer", word] if word.lstrip("-").isdecimal():
            value = int(word)
        case ["-float", word]:
            value = float(word)
        case ["-string", text]:
            value = text
        case [text] if not text.startswith("-"):
            value = _property_list(text)
        case ["-array", *words]:
            value = words
        case _:
            return failed("Rep argument is not a dictionary\nDefaults have not been changed.", 255)
    _save(path, {**_load(path), key: value})
    return Reply()


def _delete(path: Path, domain: str, key: str, call: Call) -> Reply:
    values = _load(path)
    if key not in values:
        return failed(f"Domain ({domain}) not found.\nDefaults have not been changed.")
    if domain.startswith("/Library/") and not call.is_root:
        return failed(f"Could not write domain {domain}; exiting")
    _save(path, {name: value for name, value in values.items() if name != key})
    return Reply()


def _file(world: World, domain: str, call: Call) -> Path:
    """A domain is a path without its ending, or a name in the user's own preferences."""
    if domain.startswith("/"):
        return world.path(domain if domain.endswith(".plist") else domain + ".plist")
    user = "var/root" if call.is_root else f"Users/{world.state.user}"
    return world.root / user / "Library/Preferences" / f"{domain}.plist"


def _load(path: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = plistlib.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    return values


def _property_list(text: str) -> Any:
    """A value without a type is a property list, and text that is none stands for itself."""
    try:
        return plistlib.loads(f'<plist version="1.0">{text}</plist>'.encode())
    except Exception:  # plistlib raises whatever its XML parser does
        return text


def _save(path: Path, values: dict[str, Any]) -> None:
    if not values:  # CoreFoundation destroys the file of a domain in which nothing is left
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(plistlib.dumps(values))


def _missing(domain: str) -> Reply:
    return failed(f"Domain {domain} does not exist")


def _plain(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _old_style(values: dict[str, Any]) -> str:
    return "{\n" + "".join(f"    {key} = {_plain(value)};\n" for key, value in sorted(values.items())) + "}\n"
