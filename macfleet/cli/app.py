"""The entry point: one place that turns an error into text and an exit code.

Nothing heavy is imported up here. Loading the command line takes a tenth of a second and more, and a Ctrl-C in that time has to
find somebody who catches it, as at any other moment.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import NoReturn

from macfleet.core.errors import Interrupted, MacfleetError


def main() -> None:
    """The command `macfleet`."""
    try:
        _run()
    except MacfleetError as error:
        if os.environ.get("MACFLEET_DEBUG"):
            raise
        _end(error)
    except KeyboardInterrupt:  # before typer has begun, which makes it an exit code, or behind its end
        _end(_interrupted())
    except SystemExit as ending:
        if ending.code == Interrupted.exit_code:
            _end(_interrupted())
        _ignore_ctrl_c()
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:  # a disk that is full, a folder that may not be written: of this machine, not of a Mac
        if os.environ.get("MACFLEET_DEBUG"):
            raise
        _end(_of_this_machine(error))


def _run() -> None:
    from macfleet.cli.commands import register
    from macfleet.cli.root import app

    register(app)
    app()


def _end(error: MacfleetError) -> NoReturn:
    _ignore_ctrl_c()
    from macfleet.cli.output import Output

    Output().error(error)
    if isinstance(error, Interrupted):
        # Threads may still wait for a Mac. Python would end them wherever they are, and some do not bear that:
        # "FATAL: exception not rethrown" and SIGABRT, once in 140 interrupted commands.
        with contextlib.suppress(OSError):  # nobody reads it any more
            sys.stdout.flush()
        os._exit(error.exit_code)
    sys.exit(error.exit_code)


def _ignore_ctrl_c() -> None:
    """All is over: a Ctrl-C while Python winds up would only turn the last sentence into a traceback, and its exit code into another."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _of_this_machine(error: OSError) -> MacfleetError:
    what = error.strerror or str(error) or type(error).__name__
    hint = "this is about the machine that macfleet runs on; `macfleet --debug …` shows where it happened"
    return MacfleetError(f"{error.filename}: {what}" if error.filename else what, hint=hint)


def _interrupted() -> Interrupted:
    return Interrupted("interrupted", hint="what was begun and finished stays; run the same command again to go on")
