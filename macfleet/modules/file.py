"""`file`: a file with this content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.core.change import Diff
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict
from macfleet.macos.files import file_state
from macfleet.modules.base import Surroundings
from macfleet.modules.files import LOGIN, AbsolutePath, Mode, Owner, file_change, owner_of


class FileArgs(Strict):
    path: AbsolutePath
    content: str
    mode: Mode = "644"
    owner: Owner = "root:wheel"


class File:
    name = "file"
    Args = FileArgs
    looks_around: tuple[Fact[Any], ...] = ()
    example = """
file:
  path: "{{ mac.paths.home }}/motd"
  content: |
    This Mac serves models.
"""

    def facts(self, args: FileArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return (LOGIN, file_state(args.path))

    def diff(self, args: FileArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        login, have = facts[LOGIN], facts[file_state(args.path)]
        if isinstance(login, Unknown) or isinstance(have, Unknown):
            return [item for item in (login, have) if isinstance(item, Unknown)]
        change = file_change(mac, args.path, args.content.encode(), args.mode, owner_of(args.owner, login), have)
        return (change,) if change else ()
