"""Which commands there are, in the order of the help. Nothing is discovered: one grep finds everything."""

from __future__ import annotations

import typer

from macfleet.cli import (
    chat,
    deploy,
    exec_,
    facts,
    inventory,
    lab,
    lock,
    logs,
    provision,
    rolling_reboot,
    status,
    stop,
    verify,
)


def register(app: typer.Typer) -> None:
    """Add every command to `app`."""
    app.command("verify")(verify.verify)
    app.command("provision")(provision.provision)
    app.command("deploy")(deploy.deploy)
    app.command("status")(status.status)
    app.command("chat")(chat.chat)
    app.command("logs")(logs.logs)
    app.command("stop")(stop.stop)
    app.command("rolling-reboot")(rolling_reboot.rolling_reboot)
    app.command("exec", context_settings={"allow_interspersed_args": False})(exec_.exec_)  # `exec ls -l`: -l is for ls
    app.command("facts")(facts.facts)
    app.add_typer(inventory.app, name="inventory")
    app.add_typer(lock.app, name="lock")
    app.add_typer(lab.app, name="lab")
