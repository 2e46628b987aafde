"""`directory`: directories with this mode and owner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from macfleet.core.change import Change, Diff, Difference
from macfleet.core.command import Command, command
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict
from macfleet.macos.files import FileState, absent_directories, directory_state, make_directory, remove_if_empty
from macfleet.modules.base import Surroundings
from macfleet.modules.files import LOGIN, AbsolutePath, Mode, Owner, mode_and_owner_differ, owner_of, undo_directories


class DirectoryArgs(Strict):
    paths: tuple[AbsolutePath, ...] = Field(description="The directories, the outer ones first; a link to a directory counts as one")
    mode: Mode = Field("755", description="Who may list, enter and change them")
    owner: Owner = Field("root:wheel", description="User and group, or `login` for whoever macfleet logs in as")


class Directory:
    name = "directory"
    Args = DirectoryArgs
    looks_around: tuple[Fact[Any], ...] = ()
    example = """
directory:
  paths: ["{{ mac.paths.models }}", "{{ mac.paths.logs }}"]
  owner: login
"""

    def facts(self, args: DirectoryArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return (LOGIN, absent_directories(args.paths), *(directory_state(path) for path in args.paths))

    def diff(self, args: DirectoryArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        login = facts[LOGIN]
        if isinstance(login, Unknown):
            return (login,)
        owner = owner_of(args.owner, login)
        absent = facts[absent_directories(args.paths)]
        found = (_difference(mac, path, args.mode, owner, facts, absent) for path in args.paths)
        return [difference for difference in found if difference is not None]


def _difference(mac: Mac, path: str, mode: str, owner: str, facts: Facts, absent: tuple[str, ...] | Unknown) -> Difference | None:
    have = facts[directory_state(path)]
    if isinstance(have, Unknown):
        return have
    if have is not None and have.kind and not have.is_directory:
        return Unknown(f"{mac.paths.shown(path)} is not a directory, and one is wanted there: move it away")
    differs = "absent" if have is None else ", ".join(mode_and_owner_differ(mode, owner, have))
    if not differs:
        return None
    commands = make_directory(path, mode=int(mode, 8), owner=owner, sudo=True)
    return Change(f"directory {mac.paths.shown(path)}", differs, f"{mode} {owner}", commands, undo=_undo(path, have, absent))


def _undo(path: str, have: FileState | None, absent: tuple[str, ...] | Unknown) -> tuple[Command, ...]:
    """A directory that was there gets back its mode and owner; one that was not goes, if it is empty by then."""
    if have is not None:
        give_back = command("chown", f"{have.owner}:{have.group}", path, sudo=True, timeout_s=10)
        return (give_back, command("chmod", f"{have.mode:o}", path, sudo=True, timeout_s=10))
    above = absent if isinstance(absent, Unknown) else tuple(each for each in absent if path.startswith(f"{each}/"))
    return (remove_if_empty(path), *undo_directories(above))
