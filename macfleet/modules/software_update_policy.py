"""`software_update_policy`: whether macOS may download and install itself, which restarts the Mac unasked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field

from macfleet.core.change import Change, Diff, Difference
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict
from macfleet.macos.defaults import INSTALLS_ALONE, SOFTWARE_UPDATE_DOMAIN, domain, put_back, software_update, write_bool
from macfleet.macos.softwareupdate import SCHEDULE, schedule
from macfleet.modules.base import Surroundings

_PREFERENCES = domain(SOFTWARE_UPDATE_DOMAIN)


class SoftwareUpdatePolicyArgs(Strict):
    automatic: bool = Field(description="Whether macOS may download and install itself; security data is left alone")
    search: bool | None = Field(None, description="Whether it may look for updates by itself; left alone if not given")


class SoftwareUpdatePolicy:
    """macOS upgrades were seen to turn the switches on again, so every `verify` looks anew."""

    name = "software_update_policy"
    Args = SoftwareUpdatePolicyArgs
    looks_around: tuple[Fact[Any], ...] = ()
    example = "software_update_policy: {automatic: false}"

    def facts(self, args: SoftwareUpdatePolicyArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return (_PREFERENCES,) if args.search is None else (_PREFERENCES, SCHEDULE)

    def diff(self, args: SoftwareUpdatePolicyArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        preferences = facts[_PREFERENCES]
        if isinstance(preferences, Unknown):
            return (preferences,)
        return [*_switches(args.automatic, preferences), *(_search(args.search, facts) if args.search is not None else ())]


def _switches(automatic: bool, preferences: Mapping[str, Any]) -> Iterator[Change]:
    have = software_update(preferences)
    for key in INSTALLS_ALONE:
        if have.is_on(key) != automatic:
            undo = put_back(SOFTWARE_UPDATE_DOMAIN, key, preferences)
            do = write_bool(SOFTWARE_UPDATE_DOMAIN, key, automatic)
            yield Change(f"software update {key}", _word(not automatic), _word(automatic), (do,), undo=(undo,))


def _search(wanted: bool, facts: Facts) -> Iterator[Difference]:
    have = facts[SCHEDULE]
    if isinstance(have, Unknown):
        yield have
    elif have != wanted:
        yield Change("software update search", _word(have), _word(wanted), (schedule(wanted),), undo=(schedule(have),))


def _word(is_on: bool) -> str:
    return "on" if is_on else "off"
