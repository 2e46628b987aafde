"""The command `macfleet` itself: what its help says, `--version` and `--debug`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from macfleet import __version__

EXIT_CODES = """Exit codes: 0 as wanted · 1 a check fails or Macs differ · 2 the request is wrong ·
3 could not be done (unreachable, failed, lock held) · 130 interrupted. The worst Mac decides."""

app = typer.Typer(
    name="macfleet",
    help="Turn a shelf of Apple Silicon Macs into one machine that serves large models, and keep it that way.",
    epilog=EXIT_CODES,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from macfleet.cli.output import Output

        Output().answer(f"macfleet {__version__}")
        raise typer.Exit


@app.callback()
def macfleet(
    version: Annotated[bool, typer.Option("--version", help="Show the version", callback=_show_version, is_eager=True)] = False,
    debug: Annotated[bool, typer.Option("--debug", envvar="MACFLEET_DEBUG", help="Show a traceback with an error")] = False,
) -> None:
    if debug:
        os.environ["MACFLEET_DEBUG"] = "1"
