"""`macfleet logs SERVICE`: what its workers and its gateway wrote, with the Mac's name in front."""

from __future__ import annotations

from typing import Annotated

import typer

from macfleet.cli.output import column_width
from macfleet.cli.session import GroupOption, InventoryOption, MacOption, Options, QuietOption, Session, TagOption, VerboseOption


def logs(
    service: Annotated[str, typer.Argument(help="The service, as `macfleet status` calls it")],
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many lines of each log")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written, until Ctrl-C")] = False,
    inventory: InventoryOption = None,
    mac: MacOption = None,
    group: GroupOption = None,
    tag: TagOption = None,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show the logs of a service's workers and gateway, from all its Macs.

    Example: `macfleet logs chat --follow --mac studio-2`

    Exits 3 when a Mac's log could not be read; the others are shown all the same.
    """
    from macfleet.serving.logs import follow_logs, read_logs
    from macfleet.serving.services import find_service, read_services

    session = Session(Options(inventory, mac, group, tag, verbose=verbose, quiet=quiet))
    output = session.output
    with session.fleet() as fleet:
        services, asked = read_services(fleet)
        deployed = find_service(service, services, asked)
        width = column_width(list(deployed.macs))

        def show(name: str, kind: str, line: str) -> None:
            output.answer(f"{name:<{width}}  {kind:<7}  {line}")

        if follow:
            errors = follow_logs(fleet, deployed, lines, show).errors()
        else:
            report = read_logs(fleet, deployed, lines)
            errors = report.errors()
            for name, found in report.values().items():
                for log in found:
                    for line in log.lines:
                        show(name, log.kind, line)
    for error in errors.values():
        output.error(error)
    if errors:
        raise typer.Exit(3)
