"""`directory`: directories with this mode and owner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.core.change import Change, Diff, Difference
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict
from macfleet.macos.files import file_state, make_directory
from macfleet.modules.base import Surroundings
from macfleet.modules.files import AbsolutePath, Mode, Owner, mode_and_owner_differ


class DirectoryArgs(Strict):
    paths: tuple[AbsolutePath, ...]
    mode: Mode = "755"
    owner: Owner = "root:wheel"


class Directory:
    name = "directory"
    Args = DirectoryArgs
    looks_around: tuple[Fact[Any], ...] = ()
    example = """
directory:
  paths: ["{{ mac.paths.models }}", "{{ mac.paths.logs }}"]
  owner: fleet:staff
"""

    def facts(self, args: DirectoryArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return tuple(file_state(path) for path in args.paths)

    def diff(self, args: DirectoryArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        return [found for path in args.paths if (found := _difference(path, args, facts))]


def _difference(path: str, args: DirectoryArgs, facts: Facts) -> Difference | None:
    have = facts[file_state(path)]
    if isinstance(have, Unknown):
        return have
    differs = "absent" if have is None else ", ".join(mode_and_owner_differ(args.mode, args.owner, have))
    if not differs:
        return None
    commands = make_directory(path, mode=int(args.mode, 8), owner=args.owner, sudo=True)
    return Change(f"directory {path}", differs, f"{args.mode} {args.owner}", commands)
