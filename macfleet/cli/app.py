"""The command line: one file per command, one place that turns an error into text and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from macfleet import __version__
from macfleet.core.errors import MacfleetError

EXIT_CODES = """Exit codes: 0 as wanted · 1 a check fails or Macs differ · 2 the request is wrong ·
3 could not be done (unreachable, failed, lock held) · 130 interrupted. The worst Mac decides."""

app = typer.Typer(
    name="macfleet",
    help="Turn a shelf of Apple Silicon Macs into one machine that serves large models, and keep it that way.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
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


def main() -> None:
    """The entry point `macfleet`."""
    from macfleet.cli.commands import register
    from macfleet.cli.output import Output

    register(app)
    try:
        app()
    except MacfleetError as error:
        if os.environ.get("MACFLEET_DEBUG"):
            raise
        Output().error(error)
        sys.exit(error.exit_code)
    except SystemExit as ending:
        if ending.code == 130:
            Output().error(MacfleetError("interrupted", hint="what was begun and finished stays; run the same command again to go on"))
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
