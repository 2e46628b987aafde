"""`file`: a file with this content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from macfleet.core.change import Diff
from macfleet.core.fact import Fact, Facts
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict
from macfleet.modules.base import Surroundings
from macfleet.modules.files import AbsolutePath, Mode, Owner, Wanted


class FileArgs(Strict):
    path: AbsolutePath = Field(description="Where it stands; directories above it are made if need be")
    content: str = Field(description="The whole text")
    mode: Mode = Field("644", description="Who may read and write it; a difference in a file that not everybody may read is not shown")
    owner: Owner = Field("root:wheel", description="User and group, or `login` for whoever macfleet logs in as")

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.path, self.mode, self.owner)


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
        return args.wanted.facts

    def diff(self, args: FileArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        found = args.wanted.difference(mac, facts, args.content.encode())
        return () if found is None else (found,)
