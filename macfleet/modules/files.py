"""What the modules that write files share: is a file as wanted, the commands that make it so, and those that take it back."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from posixpath import dirname
from typing import Annotated, Any

from pydantic import AfterValidator

from macfleet.core.change import Change, Difference
from macfleet.core.command import Command, command
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.result import Result
from macfleet.inventory.mac import Mac
from macfleet.macos.files import (
    FileState,
    absent_directories,
    file_state,
    keep_copy,
    put_back,
    remove_file,
    remove_if_empty,
    text_to_compare,
    write_file,
)
from macfleet.modules.detail import text_diff


def _mode(text: str) -> str:
    if not text or len(text) > 4 or not set(text) <= set("01234567"):
        raise ValueError(f'"{text}" is not a mode; write it like "644"')
    return text.lstrip("0") or "0"


def _owner(text: str) -> str:
    user, colon, group = text.partition(":")
    if text != "login" and not (user and colon and group):
        raise ValueError(f'"{text}" names no owner and group; write it like "root:wheel", or "login" for whoever logs in')
    return text


def _absolute(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError(f'"{text}" is not an absolute path')
    return text


Mode = Annotated[str, AfterValidator(_mode)]
Owner = Annotated[str, AfterValidator(_owner)]
AbsolutePath = Annotated[str, AfterValidator(_absolute)]


def _understand_login(results: Sequence[Result]) -> str | Unknown:
    for result in results:
        if not result.ok or not result.stdout.strip():
            return Unknown(result.failure())
    return ":".join(result.stdout.strip() for result in results)


# Whom macfleet logs in as, like "fleet:staff". Asked of the Mac: ~/.ssh/config may name another user than the inventory.
LOGIN: Fact[str] = Fact("login", (command("id", "-un", timeout_s=10), command("id", "-gn", timeout_s=10)), _understand_login)


def owner_of(owner: str, login: str) -> str:
    return login if owner == "login" else owner


@dataclass(frozen=True)
class Wanted:
    """A file as it should be; `owner` like "root:wheel" or "login"."""

    path: str
    mode: str
    owner: str

    @property
    def state(self) -> Fact[FileState | None]:
        # What not everybody may read has no digest for whoever logs in: it would differ for ever.
        return file_state(self.path, sudo=not int(self.mode, 8) & 0o004)

    @property
    def facts(self) -> tuple[Fact[Any], ...]:
        return (LOGIN, self.state, text_to_compare(self.path), absent_directories((self.path,)))

    def difference(self, mac: Mac, facts: Facts, content: bytes) -> Difference | None:
        """None when the file agrees in content, mode and owner; else it is written anew as a whole."""
        login, have = facts[LOGIN], facts[self.state]
        if isinstance(login, Unknown):
            return login
        if isinstance(have, Unknown):
            return have
        if have is not None and have.is_directory:
            return Unknown(f"{mac.paths.shown(self.path)} is a directory, and a file is wanted there: move it away")
        absent, text = facts[absent_directories((self.path,))], facts[text_to_compare(self.path)]
        owner = owner_of(self.owner, login)
        differs = file_differs(content, self.mode, owner, have)
        if not differs:
            return None
        return Change(
            f"file {mac.paths.shown(self.path)}",
            differs,
            f"{len(content)} bytes, {self.mode} {owner}",
            (*keep(mac, self.path, have), *write(self.path, content, self.mode, owner)),
            undo=(*undo_file(mac, self.path, have), *undo_directories(absent)),
            detail=shown_difference(mac, self.path, self.mode, content, have, text),
        )


def write(path: str, content: bytes, mode: str, owner: str) -> tuple[Command, ...]:
    """The file as a whole, and the directories that it stands in."""
    make = command("mkdir", "-p", dirname(path), sudo=True, timeout_s=10)
    return (make, *write_file(path, content, mode=int(mode, 8), owner=owner, sudo=True))


def keep(mac: Mac, path: str, have: FileState | None) -> tuple[Command, ...]:
    """Keep what is there before it is changed or removed; nothing to do where nothing is."""
    return keep_copy(path, kept(mac, path, have)) if have else ()


def undo_file(mac: Mac, path: str, have: FileState | None) -> tuple[Command, ...]:
    """Put back what was there, or nothing where nothing was."""
    if have is None:
        return remove_file(path, sudo=True)
    return put_back(path, kept(mac, path, have), f"{have.owner}:{have.group}")


def undo_directories(absent: tuple[str, ...] | Unknown) -> tuple[Command, ...]:
    """Remove the directories that had to be made, the innermost first, as far as nothing else lies in them."""
    return () if isinstance(absent, Unknown) else tuple(remove_if_empty(path) for path in reversed(absent))


def shown_difference(mac: Mac, path: str, mode: str, content: bytes, have: FileState | None, text: str | Unknown | None) -> str:
    """The lines that change. What not everybody on the Mac may read is not shown, neither the old nor the new."""
    is_for_everybody = int(mode, 8) & 0o004 and (have is None or have.is_for_everybody)
    if not is_for_everybody or isinstance(text, Unknown) or (text is None and have is not None):
        return ""
    try:
        return text_diff(mac.paths.shown(path), text, content.decode())
    except UnicodeDecodeError:
        return ""


def file_differs(content: bytes, mode: str, owner: str, have: FileState | None) -> str:
    """How the file is other than wanted, in words for `before`; empty when it is not."""
    if have is None:
        return "absent"
    differs = ["other content"] if have.sha256 != hashlib.sha256(content).hexdigest() else []
    return ", ".join(differs + mode_and_owner_differ(mode, owner, have))


def mode_and_owner_differ(mode: str, owner: str, have: FileState) -> list[str]:
    differs = [f"mode {have.mode:o}"] if have.mode != int(mode, 8) else []
    return differs + ([f"owner {have.owner}:{have.group}"] if f"{have.owner}:{have.group}" != owner else [])


def kept(mac: Mac, path: str, have: FileState | None) -> str:
    """Where the copy of a file is: two files with one text may have two owners, and one file may be changed twice."""
    name = hashlib.sha256(f"{path}\0{have.sha256 if have else ''}".encode()).hexdigest()
    return f"{mac.paths.state}/before/{name}"
