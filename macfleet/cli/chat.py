"""`macfleet chat SERVICE "…"`: ask, and read the answer as it is written."""

from __future__ import annotations

from typing import Annotated

import typer

from macfleet.cli.session import InventoryOption, Options, QuietOption, Session, VerboseOption


def chat(
    service: Annotated[str, typer.Argument(help="The service, as `macfleet status` calls it")],
    question: Annotated[str, typer.Argument(help="What to ask")],
    system: Annotated[str | None, typer.Option("--system", help="How it should answer", show_default=False)] = None,
    max_tokens: Annotated[int | None, typer.Option("--max-tokens", min=1, help="The longest answer", show_default=False)] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", min=0.0, max=2.0, help="0 always gives the same answer", show_default=False)
    ] = None,
    wait: Annotated[str, typer.Option("--wait", help="How long to wait for a service that is not ready")] = "30 s",
    inventory: InventoryOption = None,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Ask a service one question and stream its answer.

    Goes through SSH to the head Mac, so it works wherever `macfleet verify` does, also when the gateway is on loopback.

    Example: `macfleet chat deepseek "What is the capital of France?" --max-tokens 40`

    Exits 3 when the service does not answer or the answer breaks off.
    """
    from macfleet.core.errors import RequestError
    from macfleet.core.units import parse_duration
    from macfleet.serving.chat import Question
    from macfleet.serving.chat import chat as run
    from macfleet.serving.services import find_service, read_services

    try:
        wait_s = parse_duration(wait)
    except ValueError as error:
        raise RequestError(f"--wait: {error}") from error
    session = Session(Options(inventory, verbose=verbose, quiet=quiet))
    asked = Question(question, system, max_tokens, temperature)
    with session.fleet() as fleet:
        services, report = read_services(fleet)
        deployed = find_service(service, services, report)
        written = False
        try:
            for piece in run(fleet, deployed, asked, wait_s=wait_s, say=session.output.talk):
                session.output.fragment(piece)
                written = written or bool(piece)
        finally:
            if written:
                session.output.fragment("\n")
