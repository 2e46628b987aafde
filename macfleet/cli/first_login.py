"""What `enroll` and `inventory init` share: host keys that nobody has pinned yet, and the password of the first login."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from macfleet.cli.folding import name_macs
from macfleet.cli.output import column_width

if TYPE_CHECKING:
    from macfleet.cli.output import Output
    from macfleet.core.errors import MacfleetError
    from macfleet.core.secret import Secret
    from macfleet.fleet.pin import Pin, Scan
    from macfleet.inventory.mac import Inventory, Mac

PasswordStdinOption = Annotated[
    bool, typer.Option("--password-stdin", help="Read the account's password from the first line of stdin instead of asking for it")
]


@dataclass
class Pinned:
    """Which Macs may be talked to now. `waiting`: their key was not pinned, because nobody wanted it or this is a dry run.

    `pins` is what every Mac shows that answers, `newly` what was pinned just now.
    """

    macs: list[Mac] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    errors: dict[str, MacfleetError] = field(default_factory=dict)
    pins: dict[str, Pin] = field(default_factory=dict)
    newly: dict[str, Pin] = field(default_factory=dict)


def pin_first(
    output: Output,
    inventory: Inventory,
    macs: Sequence[Mac],
    consent: Callable[[str], bool],
    *,
    dry_run: bool = False,
    scan: Scan | None = None,
) -> Pinned:
    """Show the keys that nobody has pinned and pin them if wanted: a password goes only to a Mac whose key is.

    A Mac that shows another key than the pinned one is an error: `inventory pin --replace` is for that, with open eyes.
    """
    from macfleet.fleet.pin import PinState, known_hosts_path, look, mismatch, write

    found = Pinned()
    report = look(inventory, macs, scan)
    found.errors.update(report.errors())
    pins = found.pins = report.values()
    found.errors.update({name: mismatch(name, pin) for name, pin in pins.items() if pin.state is PinState.CHANGED})
    new = {name: pin for name, pin in pins.items() if pin.state is PinState.NEW}
    _show(output, new)
    if new and not dry_run and consent(f"Are these the Macs you mean? Pin their keys in {known_hosts_path(inventory)}?"):
        write(inventory, new.values())
        found.newly = new
    elif new:
        found.waiting = list(new)
    found.macs = [mac for mac in macs if mac.name in pins and mac.name not in found.errors and mac.name not in found.waiting]
    return found


def can_be_asked(*, from_stdin: bool) -> bool:
    """Whether there is anybody who could give a password."""
    return from_stdin or os.isatty(0)


def read_password(output: Output, user: str, macs: Sequence[str], *, from_stdin: bool) -> Secret:
    """One password for all of them, typed unseen or piped in; never an argument, which every `ps` shows."""
    from macfleet.core.errors import RequestError
    from macfleet.core.secret import Secret

    if from_stdin:
        line = _first_line_of_stdin()
        if not line:
            raise RequestError("--password-stdin: stdin is empty", hint="pipe the password in, as its first line")
        return Secret(line)
    if not can_be_asked(from_stdin=from_stdin):
        raise RequestError("the password is wanted, and nobody is there to type it", hint="pipe it in with --password-stdin")
    answer = output.ask_secret(f"Password of {user} on {name_macs(macs, of=len(macs))}")
    if not answer.reveal():
        raise RequestError("no password was given", hint="nothing was changed; run the same command again")
    return answer


def _first_line_of_stdin() -> str:
    import sys

    return sys.stdin.readline().rstrip("\r\n")


def _show(output: Output, pins: dict[str, Pin]) -> None:
    if not pins:
        return
    output.talk("nobody has pinned these host keys; each Mac shows its own with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`:")
    width = column_width(list(pins))
    for name, pin in pins.items():
        output.talk(f"  {name:<{width}}  {pin.name} {pin.shown.type} {pin.shown.fingerprint}")
