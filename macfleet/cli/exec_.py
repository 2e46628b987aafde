"""`macfleet exec -- COMMAND`: one command on many Macs, identical answers folded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from macfleet.cli.folding import MOST_NAMES, fold, fold_names
from macfleet.cli.outcomes import show_errors
from macfleet.cli.session import (
    GroupOption,
    InventoryOption,
    JsonOption,
    MacOption,
    Options,
    QuietOption,
    Session,
    TagOption,
    VerboseOption,
)

if TYPE_CHECKING:
    from macfleet.cli.output import Output
    from macfleet.core.command import Command
    from macfleet.core.outcome import Report
    from macfleet.core.result import Result


def exec_(
    words: Annotated[
        list[str], typer.Argument(metavar="COMMAND...", help="The program and its arguments; all of macfleet's own options stand before it")
    ],
    inventory: InventoryOption = None,
    mac: MacOption = None,
    group: GroupOption = None,
    tag: TagOption = None,
    sudo: Annotated[bool, typer.Option("--sudo", help="Run it as root")] = False,
    timeout: Annotated[str, typer.Option("--timeout", help="The command's deadline on each Mac")] = "60 s",
    json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run a command on every chosen Mac and fold identical answers.

    Example: `macfleet exec --group studios -- sw_vers -buildVersion`

    Exits 1 when the command fails somewhere, 3 when a Mac is unreachable.
    """
    from macfleet.core.command import Command
    from macfleet.core.errors import RequestError
    from macfleet.core.units import parse_duration

    try:
        command = Command(tuple(words), sudo=sudo, timeout_s=parse_duration(timeout))
    except ValueError as error:
        raise RequestError(f"--timeout: {error}") from error
    session = Session(Options(inventory, mac, group, tag, json, verbose, quiet))
    _write_down(session, command)
    with session.fleet() as fleet:
        report = fleet.each(lambda mac, connection: connection.run([command])[0], doing=str(command))
    if json:
        session.output.json(_as_json(report))
    else:
        _show(session.output, report)
    raise typer.Exit(_exit_code(report))


def _write_down(session: Session, command: Command) -> None:
    """Who ran what, where. Only the program: among the other words may be something that is nobody's business."""
    from macfleet.core.errors import MacfleetError

    names = [mac.name for mac in session.macs]  # outside: a Mac that does not exist is no trouble of the journal
    try:
        session.journal.write("exec", macs=names, program=command.argv[0], root=command.sudo)
    except MacfleetError as error:  # a command that only looks must not need a directory that may be written
        session.output.warn(f"{error}: `macfleet history` will not know of this command")


def _exit_code(report: Report[Result]) -> int:
    if not report.ok:
        return 3
    return 0 if all(result.ok for result in report.values().values()) else 1


def _show(output: Output, report: Report[Result]) -> None:
    for text, macs in fold({mac: [_said(result)] for mac, result in report.values().items()}):
        output.answer(", ".join(macs) if len(macs) <= MOST_NAMES else fold_names(macs))
        for line in text.splitlines():
            output.answer(f"  {line}")
    show_errors(output, list(report.errors().items()))


def _said(result: Result) -> str:
    text = (result.stdout + result.stderr).rstrip("\n")
    if result.ok:
        return text or "(no output)"
    ending = result.reason if result.exit_status is None else f"exit status {result.exit_status}"
    return f"{text}\n[{ending}]".lstrip("\n")


def _as_json(report: Report[Result]) -> dict[str, Any]:
    macs: list[dict[str, Any]] = []
    for outcome in report:
        if outcome.value is None:
            macs.append({"mac": outcome.mac, "outcome": "unreachable", "error": str(outcome.error)})
            continue
        result = outcome.value
        macs.append(
            {
                "mac": outcome.mac,
                "outcome": "ok" if result.ok else "failed",
                "exit_status": result.exit_status,
                "stdout": result.stdout,
                "stderr": result.stderr,
                "duration_s": round(result.duration_s, 3),
            }
        )
    counts = {word: sum(mac["outcome"] == word for mac in macs) for word in ("ok", "failed", "unreachable")}
    return {"schema": 1, "macs": macs, "summary": {"macs": len(macs), **counts}}
