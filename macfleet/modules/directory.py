"""`directory`: directories with this mode and owner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.core.change import Change, Diff, Difference
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.result import Result
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict
from macfleet.macos.answers import says
from macfleet.macos.files import FileState, file_state, make_directory, parse_stat
from macfleet.modules.base import Surroundings
from macfleet.modules.files import LOGIN, AbsolutePath, Mode, Owner, mode_and_owner_differ, owner_of


class DirectoryArgs(Strict):
    paths: tuple[AbsolutePath, ...]
    mode: Mode = "755"
    owner: Owner = "root:wheel"


def directory_state(path: str) -> Fact[FileState | None]:
    """What is at `path`, without a digest; None when nothing is."""
    stat, _ = file_state(path).commands

    def understand(results: Sequence[Result]) -> FileState | Unknown | None:
        if results[0].ok:
            return parse_stat(results[0].stdout)
        return None if says(results[0], "No such file or directory") else Unknown(results[0].failure())

    return Fact(f"directory {path}", (stat,), understand)


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
        return (LOGIN, *(directory_state(path) for path in args.paths))

    def diff(self, args: DirectoryArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        login = facts[LOGIN]
        if isinstance(login, Unknown):
            return (login,)
        owner = owner_of(args.owner, login)
        return [found for path in args.paths if (found := _difference(mac, path, args.mode, owner, facts))]


def _difference(mac: Mac, path: str, mode: str, owner: str, facts: Facts) -> Difference | None:
    have = facts[directory_state(path)]
    if isinstance(have, Unknown):
        return have
    differs = "absent" if have is None else ", ".join(mode_and_owner_differ(mode, owner, have))
    if not differs:
        return None
    commands = make_directory(path, mode=int(mode, 8), owner=owner, sudo=True)
    return Change(f"directory {mac.paths.shown(path)}", differs, f"{mode} {owner}", commands)
