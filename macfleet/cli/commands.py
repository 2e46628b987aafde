"""Which commands there are, in the order of the help. Nothing is discovered: one grep finds everything."""

from __future__ import annotations

import typer

from macfleet.cli import exec_, facts, inventory, lab, provision, verify


def register(app: typer.Typer) -> None:
    """Add every command to `app`."""
    app.command("verify")(verify.verify)
    app.command("provision")(provision.provision)
    app.command("exec")(exec_.exec_)
    app.command("facts")(facts.facts)
    app.add_typer(inventory.app, name="inventory")
    app.add_typer(lab.app, name="lab")
