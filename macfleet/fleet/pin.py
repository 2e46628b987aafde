"""The pinned host keys: what a Mac shows, what known_hosts says, and writing the one into the other."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from macfleet.core.errors import HostKeyMismatch, MacfleetError, RequestError
from macfleet.core.outcome import Outcome, Report
from macfleet.inventory.mac import Inventory, Mac

USERS_KNOWN_HOSTS = Path("~/.ssh/known_hosts")


@dataclass(frozen=True)
class HostKey:
    """A public key as known_hosts writes it: `type` is "ssh-ed25519"."""

    type: str
    base64: str

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` prints it."""
        digest = hashlib.sha256(base64.b64decode(self.base64 + "==")).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


class PinState(StrEnum):
    """What known_hosts says of the key that a Mac shows."""

    SAME = "pinned"
    NEW = "new"
    CHANGED = "changed"


@dataclass(frozen=True)
class Pin:
    """The key that a Mac shows now, and those that are pinned for it."""

    name: str
    shown: HostKey
    pinned: tuple[HostKey, ...]

    @property
    def state(self) -> PinState:
        if self.shown in self.pinned:
            return PinState.SAME
        return PinState.CHANGED if self.pinned else PinState.NEW


Scan = Callable[[Mac], HostKey]


def look(inventory: Inventory, macs: Sequence[Mac], scan: Scan | None = None) -> Report[Pin]:
    """The host key of every Mac, asked side by side, beside what is pinned for it. A dead Mac keeps nobody waiting."""
    text = _read(known_hosts_path(inventory))
    ask = scan or _scanner(inventory)
    with ThreadPoolExecutor(max_workers=max(1, min(64, len(macs))), thread_name_prefix="pin") as pool:
        return Report(tuple(pool.map(lambda mac: _outcome(mac, ask, text), macs)))


def write(inventory: Inventory, pins: Iterable[Pin]) -> Path:
    """Pin these keys, in place of what was pinned for the same Macs. Returns the file. All or nothing."""
    path = known_hosts_path(inventory)
    text = _read(path)
    for pin in pins:
        text = with_key(text, pin.name, pin.shown)
    _replace(Path(os.path.realpath(path)), text)  # a link stays a link
    return path


def mismatch(mac: str, pin: Pin) -> HostKeyMismatch:
    """The error of a Mac that shows another key than the pinned one."""
    return HostKeyMismatch(
        f"the host key of {mac} is not the pinned one: another machine answers at {pin.name}, or macOS was installed anew",
        mac=mac,
        truths=[
            f"it shows {pin.shown.fingerprint}",
            *(f"pinned is {key.fingerprint}" for key in pin.pinned),
            "the pin was left as it is",
        ],
        hint=f"only if you know why it changed: `macfleet inventory pin --mac {mac} --replace`",
    )


def known_hosts_path(inventory: Inventory) -> Path:
    """The file that the inventory names, or the user's own."""
    return inventory.ssh.known_hosts or USERS_KNOWN_HOSTS.expanduser()


def known_name(mac: Mac) -> str:
    """How known_hosts calls a Mac's SSH server."""
    return mac.address if mac.port == 22 else f"[{mac.address}]:{mac.port}"


def pinned_keys(text: str, name: str) -> tuple[HostKey, ...]:
    """The keys that a known_hosts text pins for `name`."""
    entries = [_entry(line) for line in text.splitlines()]
    return tuple(HostKey(kind, key) for names, kind, key in filter(None, entries) if any(_is(word, name) for word in names))


def with_key(text: str, name: str, key: HostKey) -> str:
    """The text with this key, and no other, pinned for `name`. Other names on the same line, and comments, stay."""
    kept = []
    for line in text.splitlines():
        entry = _entry(line)
        others = [word for word in entry[0] if not _is(word, name)] if entry else []
        if entry is None or len(others) == len(entry[0]):
            kept.append(line)
        elif others:
            kept.append(" ".join([",".join(others), *line.split(None)[1:]]))
    return "\n".join([*kept, f"{name} {key.type} {key.base64}"]) + "\n"


def _entry(line: str) -> tuple[list[str], str, str] | None:
    """(names, type, key) of a line that pins a key; None for comments, markers (@revoked, @cert-authority) and anything else."""
    words = line.split()
    if len(words) < 3 or words[0].startswith(("#", "@")):
        return None
    return words[0].split(","), words[1], words[2]


def _is(word: str, name: str) -> bool:
    """Whether one name of a line is this one; OpenSSH may have hashed it: |1|salt|HMAC-SHA1."""
    if not word.startswith("|1|"):
        return word.lower() == name.lower()
    try:
        _, _, salt, digest = word.split("|")
        wanted = hmac.new(base64.b64decode(salt), name.encode(), hashlib.sha1).digest()
        return hmac.compare_digest(wanted, base64.b64decode(digest))
    except ValueError:
        return False


def _replace(path: Path, text: str) -> None:
    """Whole or not at all: a temporary neighbour, renamed."""
    neighbour = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file, neighbour = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        with os.fdopen(file, "w", encoding="utf-8", errors="surrogateescape") as new:
            new.write(text)
        os.replace(neighbour, path)
    except OSError as error:
        if neighbour is not None:
            Path(neighbour).unlink(missing_ok=True)
        raise MacfleetError(f"the host keys could not be written to {path}: {error.strerror}", truths=["nothing was pinned"]) from error


def _outcome(mac: Mac, scan: Scan, text: str) -> Outcome[Pin]:
    try:
        name = known_name(mac)
        return Outcome(mac.name, value=Pin(name, scan(mac), pinned_keys(text, name)))
    except MacfleetError as error:
        error.mac = error.mac or mac.name
        return Outcome(mac.name, error=error)


def _scanner(inventory: Inventory) -> Scan:
    from macfleet.fleet.ssh import Dialer  # loads the SSH library

    dialer = Dialer(inventory.ssh)

    def scan(mac: Mac) -> HostKey:
        kind, key, _ = dialer.scan(mac)
        return HostKey(kind, key)

    return scan


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise RequestError(f"the known hosts in {path} cannot be read: {error.strerror}", hint="check `ssh: known_hosts:`") from error
