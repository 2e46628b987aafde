"""`spotlight`: whether macOS indexes the system's disk, and with it every weight that is written there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from macfleet.core.change import Change, Diff
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict
from macfleet.macos.mdutil import INDEXING, set_indexing
from macfleet.modules.base import Surroundings


class SpotlightArgs(Strict):
    indexed: bool = Field(description="Whether the system's disk is indexed; a server has nobody who searches it")


class SpotlightModule:
    name = "spotlight"
    Args = SpotlightArgs
    looks_around: tuple[Fact[Any], ...] = ()
    example = "spotlight: {indexed: false}"

    def facts(self, args: SpotlightArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return (INDEXING,)

    def diff(self, args: SpotlightArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        have, words = facts[INDEXING], ("off", "on")
        if isinstance(have, Unknown):
            return (have,)
        if have == args.indexed:
            return ()
        return (Change("spotlight", words[have], words[args.indexed], (set_indexing(args.indexed),), undo=(set_indexing(have),)),)
