"""A module: a verb of a playbook. It reads, says the difference, and proves itself by reading again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, runtime_checkable

from macfleet.core.change import Diff
from macfleet.core.errors import SecretMissing
from macfleet.core.fact import Fact, Facts
from macfleet.core.secret import Secret
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import SecretSource, Strict
from macfleet.macos.runtime import Bundle

ArgsT = TypeVar("ArgsT", bound=Strict, contravariant=True)


def _no_secret(source: SecretSource) -> Secret:
    raise SecretMissing(f"nobody may read secrets here ({source})")


@dataclass(frozen=True)
class Surroundings:
    """What a module may look at besides the one Mac: the other Macs' facts, and what the controller brings along.

    `order` names all Macs of the inventory; `facts` holds those that answered: one that is missing there is unknown, not
    absent. `secret` is called only when
    a change needs the secret: a Mac that agrees never makes anybody unlock a vault.
    """

    order: tuple[str, ...] = ()
    facts: Mapping[str, Facts] = field(default_factory=dict)
    templates: Mapping[str, str] = field(default_factory=dict)
    bundle: Bundle | None = None
    secret: Callable[[SecretSource], Secret] = _no_secret


class Module(Protocol[ArgsT]):
    """`name` is the verb in the playbook; `Args` what may stand under it; `example` a task that a test runs.

    `looks_around`: facts that are read of every Mac of the inventory, because one Mac's difference depends on the others.
    """

    name: str
    Args: type[Any]
    example: str
    looks_around: tuple[Fact[Any], ...]

    def facts(self, args: ArgsT, mac: Mac) -> Sequence[Fact[Any]]:
        """What must be read to know whether the Mac agrees."""
        ...

    def diff(self, args: ArgsT, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        """Empty when the Mac agrees. Pure: the changes carry the commands that would close the difference."""
        ...


@runtime_checkable
class Repeatable(Protocol):
    """A module that can do its work once more on a Mac that agrees: restart a job, run a command.

    As a handler it is asked `again` in place of `diff`, because something that it depends on has just changed.
    """

    def again(self, args: Any, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        """What has to be done now, whatever the facts say of the difference. Pure, as `diff`."""
        ...
