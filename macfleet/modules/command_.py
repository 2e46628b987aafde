"""`command`: a program of your own, for what no other module does."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from macfleet.core.change import Change, Diff
from macfleet.core.command import Command, command
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.result import Result
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import DurationS, Strict
from macfleet.macos.answers import PROGRAM_MISSING
from macfleet.modules.base import Surroundings

Words = Annotated[tuple[str, ...], Field(min_length=1)]
_CANNOT_RUN = 126
_UNLESS_TIMEOUT_S = 30.0


class CommandArgs(Strict):
    argv: Words = Field(description="The program and its arguments, as a list of words; no shell reads them")
    unless: Words = Field(description="A program that changes nothing: where it ends with 0, there is nothing to do")
    undo: Words | None = Field(None, description="What takes it back; without it `unprovision` leaves what was done")
    root: bool = Field(False, description="Run all three as root")
    timeout: DurationS = Field(60.0, description="How long it may take")


class CommandModule:
    """Looks with `unless` before it runs and again after: what does not change that is an error. As a handler it always runs."""

    name = "command"
    Args = CommandArgs
    looks_around: tuple[Fact[Any], ...] = ()
    example = """
command:
  argv: [mkdir, -p, "{{ mac.paths.at('/opt/scratch') }}"]
  unless: [test, -d, "{{ mac.paths.at('/opt/scratch') }}"]
  undo: [rmdir, "{{ mac.paths.at('/opt/scratch') }}"]
  root: true
"""

    def facts(self, args: CommandArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return (_is_done(args),)

    def diff(self, args: CommandArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        done = facts[_is_done(args)]
        if isinstance(done, Unknown):
            return (done,)
        return () if done == 0 else (_run(args, f"`{args.unless[0]}` ends with {done}"),)

    def again(self, args: CommandArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        return (_run(args, "to be run again"),)


def _is_done(args: CommandArgs) -> Fact[int]:
    """The exit status of `unless`; a program that cannot be run says nothing about the Mac."""

    def understand(results: Sequence[Result]) -> int | Unknown:
        status = results[0].exit_status
        return Unknown(results[0].failure()) if status in (None, PROGRAM_MISSING, _CANNOT_RUN) else status

    return Fact(f"command {shlex.join(args.unless)}", (_of(args, args.unless, _UNLESS_TIMEOUT_S),), understand)


def _run(args: CommandArgs, before: str) -> Change:
    do = _of(args, args.argv, args.timeout)
    return Change(f"command {do}", before, "done", (do,), () if args.undo is None else (_undo(args, args.undo),))


def _undo(args: CommandArgs, undo: Sequence[str]) -> Command:
    """Only where `unless` says that it is done: it may have been taken back already."""
    script = f"# {shlex.join(undo)}\n{shlex.join(args.unless)} >/dev/null 2>&1 || exit 0\nexec {shlex.join(undo)}"
    return _of(args, ("sh", "-c", script), args.timeout)


def _of(args: CommandArgs, words: Sequence[str], timeout_s: float) -> Command:
    return command(*words, sudo=args.root, timeout_s=timeout_s)
