"""`homebrew`: formulae that Homebrew has installed. Homebrew refuses root, so it runs as whoever owns its prefix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from macfleet.core.change import Change, Diff
from macfleet.core.command import Command, command
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict
from macfleet.macos import brew
from macfleet.macos.files import FileState, file_state
from macfleet.macos.id import USER
from macfleet.modules.base import Surroundings

Formula = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9@+._/-]*$")]


class HomebrewArgs(Strict):
    formulae: tuple[Formula, ...] = Field(description="Their names, as `brew install` takes them")


def formula_state(mac: Mac, formula: str) -> Fact[FileState | None]:
    """Homebrew keeps a link `opt/FORMULA` for whatever is installed; `brew list` says the same, a second later."""
    return file_state(f"{_prefix(mac)}/opt/{formula.rpartition('/')[2]}")


class Homebrew:
    """Installs what is missing; never upgrades what is there."""

    name = "homebrew"
    Args = HomebrewArgs
    looks_around: tuple[Fact[Any], ...] = ()
    example = "homebrew: {formulae: [uv]}"

    def facts(self, args: HomebrewArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return (brew.PREFIX, USER, file_state(_prefix(mac)), *(formula_state(mac, formula) for formula in args.formulae))

    def diff(self, args: HomebrewArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        unknown = [facts[fact] for fact in self.facts(args, mac) if isinstance(facts[fact], Unknown)]
        if unknown:
            return unknown
        missing = [formula for formula in args.formulae if facts[formula_state(mac, formula)] is None]
        if not missing:
            return ()
        if facts[brew.PREFIX] is None:
            return (Unknown(f"Homebrew is not installed, and {' and '.join(missing)} would come from it: see https://brew.sh"),)
        owner, user = facts[file_state(_prefix(mac))], facts[USER]
        as_owner = owner.owner if isinstance(owner, FileState) and owner.owner not in (user, "root") else None
        return [_change(formula, as_owner) for formula in missing]


def _prefix(mac: Mac) -> str:
    return mac.paths.at("/opt/homebrew")


def _change(formula: str, owner: str | None) -> Change:
    do, undo = _as(owner, brew.install(formula)), _as(owner, brew.uninstall(formula))
    return Change(f"homebrew {formula}", "absent", "installed", (do,), undo=(undo,))


def _as(owner: str | None, do: Command) -> Command:
    return do if owner is None else command("sudo", "-n", "-H", "-u", owner, *do.argv, timeout_s=do.timeout_s)
