"""What the modules that write files share: whose they are, are they as wanted, and the commands that make them so."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from posixpath import dirname
from typing import Annotated

from pydantic import AfterValidator

from macfleet.core.change import Change
from macfleet.core.command import command
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result
from macfleet.inventory.mac import Mac
from macfleet.macos.files import FileState, write_file


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


def file_change(mac: Mac, path: str, content: bytes, mode: str, owner: str, have: FileState | None) -> Change | None:
    """None when the file agrees in content, mode and owner; else it is written anew as a whole."""
    differs = file_differs(content, mode, owner, have)
    if not differs:
        return None
    commands = (
        command("mkdir", "-p", dirname(path), sudo=True, timeout_s=10),
        *write_file(path, content, mode=int(mode, 8), owner=owner, sudo=True),
    )
    return Change(f"file {mac.paths.shown(path)}", differs, f"{len(content)} bytes, {mode} {owner}", commands)


def file_differs(content: bytes, mode: str, owner: str, have: FileState | None) -> str:
    """How the file is other than wanted, in words for `before`; empty when it is not."""
    if have is None:
        return "absent"
    differs = ["other content"] if have.sha256 != hashlib.sha256(content).hexdigest() else []
    return ", ".join(differs + mode_and_owner_differ(mode, owner, have))


def mode_and_owner_differ(mode: str, owner: str, have: FileState) -> list[str]:
    differs = [f"mode {have.mode:o}"] if have.mode != int(mode, 8) else []
    return differs + ([f"owner {have.owner}:{have.group}"] if f"{have.owner}:{have.group}" != owner else [])
