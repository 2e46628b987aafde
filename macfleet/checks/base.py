"""A check: a question to one Mac, or to all of them together, that ends in findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from macfleet.core.fact import Fact, Facts
from macfleet.core.finding import Finding
from macfleet.inventory.mac import Inventory, Mac


class Check(Protocol):
    """Facts and a judge. `name` is kebab-case, `why` says in a sentence why it matters.

    `source` says where that is known from (an Apple document, an issue, a measurement): `macfleet explain` shows it.
    """

    name: str
    why: str
    source: str

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        """What must be read of this Mac."""
        ...

    def judge(self, mac: Mac, facts: Facts) -> Sequence[Finding]:
        """Usually one finding. A fact that is Unknown gives a finding `unknown`, never an exception."""
        ...


class FleetCheck(Protocol):
    """A check that only makes sense over many Macs: the same build, the cabling."""

    name: str
    why: str
    source: str

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]: ...

    def judge(self, inventory: Inventory, facts: Mapping[str, Facts]) -> Sequence[Finding]:
        """`facts` holds only the Macs that answered, by name; a Mac that is missing there is unknown, not fine."""
        ...
