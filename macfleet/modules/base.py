"""A module: a verb of a playbook. It reads, says the difference, and proves itself by reading again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

from macfleet.core.change import Diff
from macfleet.core.fact import Fact, Facts
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict

ArgsT = TypeVar("ArgsT", bound=Strict)


class Module(Protocol, Generic[ArgsT]):
    """`name` is the verb in the playbook; `Args` what may stand under it; `example` a task that a test runs."""

    name: str
    Args: type[ArgsT]
    example: str

    def facts(self, args: ArgsT, mac: Mac) -> Sequence[Fact[Any]]:
        """What must be read to know whether the Mac agrees."""
        ...

    def diff(self, args: ArgsT, mac: Mac, facts: Facts) -> Diff:
        """Empty when the Mac agrees. Pure: the changes carry the commands that would close the difference."""
        ...
