"""What every command shares: its options, the inventory, the chosen Macs, the fleet, the output."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from macfleet.cli.completion import group_names, mac_names
from macfleet.cli.output import Output
from macfleet.core.errors import RequestError

if TYPE_CHECKING:  # rooms are imported when a command needs them: starting up stays quick
    from macfleet.fleet.fleet import Fleet
    from macfleet.fleet.journal import Journal
    from macfleet.inventory.mac import Inventory, Mac

InventoryOption = Annotated[
    Path | None,
    typer.Option(
        "--inventory", "-i", envvar="MACFLEET_INVENTORY", help="The inventory file; `./inventory.yaml` without it", show_default=False
    ),
]
MacOption = Annotated[
    list[str] | None,
    typer.Option("--mac", "-m", help="Only this Mac; wildcards allowed; repeat for more", show_default=False, autocompletion=mac_names),
]
GroupOption = Annotated[
    list[str] | None,
    typer.Option("--group", "-g", help="Only Macs of this group; wildcards allowed", show_default=False, autocompletion=group_names),
]
TagOption = Annotated[list[str] | None, typer.Option("--tag", "-t", help="Only Macs with this tag; wildcards allowed", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON on stdout")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Show each command with its Mac and duration")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but the answer and errors")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; for scripts")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Read for real, write nothing")]


@dataclass(frozen=True)
class Options:
    """The options that most commands have."""

    inventory: Path | None = None
    macs: list[str] | None = None
    groups: list[str] | None = None
    tags: list[str] | None = None
    json: bool = False
    verbose: bool = False
    quiet: bool = False


@dataclass
class Session:
    """One command's run."""

    options: Options
    output: Output = field(init=False)

    def __post_init__(self) -> None:
        self.output = Output(json_wanted=self.options.json, quiet=self.options.quiet, verbose=self.options.verbose)

    @cached_property
    def inventory(self) -> Inventory:
        from macfleet.inventory.load import load_inventory

        path = self.options.inventory or Path("inventory.yaml")
        if not path.is_file():
            raise RequestError(
                f"there is no inventory at {path}",
                hint="name one with --inventory or MACFLEET_INVENTORY; `macfleet lab up` makes a rehearsal fleet with one",
            )
        return load_inventory(path.absolute())

    @cached_property
    def macs(self) -> tuple[Mac, ...]:
        """The Macs this command is about, in inventory order."""
        from macfleet.inventory.select import select

        return select(self.inventory, macs=self.options.macs or (), groups=self.options.groups or (), tags=self.options.tags or ())

    @cached_property
    def journal(self) -> Journal:
        from macfleet.fleet.journal import Journal

        return Journal(self.inventory.state_dir / "journal.jsonl")

    @contextmanager
    def fleet(self) -> Iterator[Fleet]:
        """The chosen Macs, connected when first used; every connection is closed at the end."""
        from macfleet.fleet.fleet import Fleet

        with self.output.watching() as watcher, Fleet(self.inventory, self.macs, observer=watcher) as fleet:
            yield fleet

    def consent(self, question: str, *, yes: bool) -> bool:
        """The user's yes. Without a terminal and without --yes the request is refused, never assumed."""
        if yes:
            return True
        if not os.isatty(0):
            raise RequestError("this is not done unasked, and nobody is there to ask", hint="add --yes, or --dry-run to only look")
        return self.output.ask(question)
