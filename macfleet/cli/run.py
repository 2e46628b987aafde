"""`macfleet run PLAYBOOK`: a playbook of the operators' own, or one of macfleet's, in the way of `provision`."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from macfleet.cli.completion import playbook_names
from macfleet.cli.provision import OnlyOption, PlanOption, Way, carry_out
from macfleet.cli.session import (
    DryRunOption,
    GroupOption,
    InventoryOption,
    JsonOption,
    MacOption,
    Options,
    QuietOption,
    Session,
    TagOption,
    VerboseOption,
    YesOption,
)
from macfleet.core.errors import RequestError

PlaybookArgument = Annotated[
    str,
    typer.Argument(
        metavar="PLAYBOOK",
        help="The path to your own, or the name of one that travels with macfleet (`macfleet playbook list`)",
        autocompletion=playbook_names,
    ),
]
VarOption = Annotated[
    list[str] | None,
    typer.Option("--var", metavar="NAME=VALUE", help="A value for one of the playbook's vars; repeat for more", show_default=False),
]


def run(
    playbook: PlaybookArgument,
    inventory: InventoryOption = None,
    mac: MacOption = None,
    group: GroupOption = None,
    tag: TagOption = None,
    only: OnlyOption = None,
    var: VarOption = None,
    dry_run: DryRunOption = False,
    plan: PlanOption = None,
    yes: YesOption = False,
    json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run a playbook, your own or one of macfleet's: plan, question, run, read again.

    Example: `macfleet run rdma-network --group studios --dry-run`

    The Macs have their turn in batches when the playbook says `serial`. Every mistake in the file is shown before any Mac is
    asked. `macfleet provision --apply FILE` does what a saved plan says, `macfleet provision --resume` goes on with an
    interrupted run. Exits as `macfleet provision` does.
    """
    from macfleet.serving.playbooks import open_playbook

    session = Session(Options(inventory, mac, group, tag, json, verbose, quiet))
    variables = values_of(var or ())
    file = open_playbook(playbook, variables)
    again = f"macfleet run {shlex.join([playbook, *(word for given in var or () for word in ('--var', given))])}"
    way = Way(tuple(only or ()), dry_run, yes, again=again, purpose=f"run {file.path.stem}", plan=plan, variables=variables)
    carry_out(session, file, way)


def values_of(words: list[str] | tuple[()]) -> dict[str, str]:
    """`["release=26.1"]` → {"release": "26.1"}. Raises RequestError for a word without `=`."""
    for word in words:
        if "=" not in word:
            raise RequestError(f'--var: "{word}" gives nothing a value; write NAME=VALUE')
    return dict(word.split("=", 1) for word in words)
