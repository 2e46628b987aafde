"""`macfleet inventory init`: find Macs, read them, and write the inventory that a person would write of them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from macfleet.cli.first_login import PasswordStdinOption, can_be_asked, pin_first, read_password
from macfleet.cli.output import column_width
from macfleet.cli.session import Options, QuietOption, Session, VerboseOption, YesOption
from macfleet.core.words import count

if TYPE_CHECKING:
    from macfleet.core.fact import Facts
    from macfleet.core.outcome import Report
    from macfleet.core.secret import Secret
    from macfleet.inventory.mac import Inventory, Mac
    from macfleet.inventory.write import Findings
    from macfleet.serving.inventory_init import Place


KNOWN_HOSTS = "known_hosts"  # beside the new file


@dataclass(frozen=True)
class _Manner:
    yes: bool
    password_stdin: bool


def init(
    addresses: Annotated[
        list[str] | None,
        typer.Argument(metavar="ADDRESS", help="Where the Macs are, as ADDRESS or ADDRESS:PORT; without any, whoever Bonjour announces"),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write; it must not be there yet")] = Path("inventory.yaml"),
    user: Annotated[
        str, typer.Option("--user", "-u", help="The account on the Macs; your own user name without it", show_default=False)
    ] = "",
    key: Annotated[
        Path | None, typer.Option("--key", help="The private key to log in with; without it SSH's own choice", show_default=False)
    ] = None,
    wait: Annotated[str, typer.Option("--wait", help="How long to listen to Bonjour")] = "3 s",
    password_stdin: PasswordStdinOption = False,
    yes: YesOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Find Macs and write an inventory of them: addresses, hardware, memory and the cables as they are plugged in.

    Finds them by Bonjour, or asks the addresses you name. Shows their host keys and pins them beside the new file, logs in with your
    key, and with the account's password where the key is not known yet. A Mac that could not be read stands in the file as a comment.

    Example: `macfleet inventory init 10.0.0.1 10.0.0.2 --user admin`

    Exits 1 when some could not be read, 3 when no Mac was found. Nothing on a Mac is changed.
    """
    from macfleet.core.errors import RequestError

    if output.exists():
        hint = "`--output` names another file; `macfleet inventory pin` and `enroll` work with the one that is there"
        raise RequestError(f"{output} is there already, and would be written over", hint=hint)
    session = Session(Options(quiet=quiet, verbose=verbose))
    places = _places(session, addresses or [], wait)
    found = _read(session, places, output, user, key, _Manner(yes, password_stdin))
    _write(found, output, key)
    _answer(session, found, output)
    raise typer.Exit(1 if found.unread else 0)


def _places(session: Session, addresses: Sequence[str], wait: str) -> tuple[Place, ...]:
    from macfleet.core.errors import MacfleetError, RequestError
    from macfleet.core.units import parse_duration
    from macfleet.fleet.bonjour import browse
    from macfleet.serving.inventory_init import parse_place, places_of

    if addresses:
        return tuple(dict.fromkeys(parse_place(address) for address in addresses))
    try:
        seconds = parse_duration(wait)
    except ValueError as error:
        raise RequestError(f"--wait: {error}") from error
    session.output.talk(f"listening to Bonjour for {wait}")
    places = places_of(browse(seconds))
    if not places:
        raise MacfleetError(
            f"no Mac announced its SSH server within {wait}",
            truths=["nothing was written"],
            hint="is Remote Login on, and are they on this network? Else name them: `macfleet inventory init 10.0.0.1 10.0.0.2`",
        )
    return places


def _read(session: Session, places: Sequence[Place], output: Path, user: str, key: Path | None, manner: _Manner) -> Findings:
    """Host keys first, then the logins that work with the key, then by password those that do not know it."""
    from macfleet.inventory.mac import SshSettings
    from macfleet.serving.inventory_init import findings, lets_nobody_in, merged, provisional, same_macs

    ssh = SshSettings(key=key.expanduser().absolute() if key else None, known_hosts=output.absolute().parent / KNOWN_HOSTS)
    inventory = provisional(places, output.absolute(), ssh, user)
    pinned = pin_first(session.output, inventory, inventory.macs, lambda question: session.consent(question, yes=manner.yes))
    again = same_macs({label: pin.shown for label, pin in pinned.pins.items()})
    for label, first in again.items():
        session.output.talk(f"{label} is {first} once more: it shows the same host key")
    macs = [mac for mac in pinned.macs if mac.name not in again]
    report = _log_in(session, inventory, macs)
    refused = lets_nobody_in(report)
    if refused and can_be_asked(from_stdin=manner.password_stdin):
        password = read_password(session.output, user or "your account", refused, from_stdin=manner.password_stdin)
        report = merged(report, _log_in(session, inventory, [mac for mac in macs if mac.name in refused], password))
    unread = dict.fromkeys(pinned.waiting, "its host key was not pinned")
    unread |= {label: str(error) for label, error in (*pinned.errors.items(), *report.errors().items())}
    return findings([place for place in places if place.label not in again], report.values(), unread, user)


def _log_in(session: Session, inventory: Inventory, macs: Sequence[Mac], password: Secret | None = None) -> Report[Facts]:
    from macfleet.fleet.fleet import Fleet
    from macfleet.fleet.password import PasswordLogin
    from macfleet.serving.inventory_init import read

    connect = PasswordLogin(password, [mac.name for mac in macs])
    with session.output.watching() as watcher, Fleet(inventory, macs, connect=connect, observer=watcher) as fleet:
        return read(fleet)


def _write(found: Findings, output: Path, key: Path | None) -> None:
    """A file that nobody could load helps nobody: without one Mac that was read nothing is written."""
    from macfleet.core.errors import MacfleetError
    from macfleet.inventory.load import load_inventory
    from macfleet.inventory.write import render_inventory

    if not found.macs:
        raise MacfleetError(
            "none of them could be read, so there is nothing to write",
            truths=[mac.reason for mac in found.unread],
            hint="`--user` names the account, `--key` the key; a Mac that does not know your key is read with its password",
        )
    text = render_inventory(found, key=str(key.expanduser().absolute()) if key else None, known_hosts=KNOWN_HOSTS)
    load_inventory(output.absolute(), text)
    with output.open("x", encoding="utf-8") as file:
        file.write(text)


def _answer(session: Session, found: Findings, output: Path) -> None:
    from macfleet.core.units import format_size
    from macfleet.inventory import hardware

    width = column_width([*(mac.name for mac in found.macs), *(mac.name for mac in found.unread)])
    for mac in found.macs:
        row = hardware.find(mac.hardware)
        said = [row.name if row else mac.hardware, format_size(mac.memory_bytes), mac.remarks]
        session.output.mac_line(mac.name, "found", ", ".join(filter(None, said)), width=width)
    for other in found.unread:
        session.output.mac_line(other.name, "not read", other.reason, width=width)
    left_out = f", {count(len(found.unread), 'Mac')} as a comment" if found.unread else ""
    session.output.answer(f"{output} written: {count(len(found.macs), 'Mac')}, {count(len(found.cables), 'cable')}{left_out}")
    session.output.next_step(f"export MACFLEET_INVENTORY={shlex.quote(str(output.absolute()))}")
    session.output.next_step("macfleet enroll")
