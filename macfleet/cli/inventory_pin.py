"""`macfleet inventory pin`: trust the host keys that the Macs show now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from macfleet.cli.output import column_width
from macfleet.cli.session import (
    DryRunOption,
    GroupOption,
    InventoryOption,
    JsonOption,
    MacOption,
    Options,
    QuietOption,
    Session,
    TagOption,
    YesOption,
)

if TYPE_CHECKING:
    from macfleet.cli.output import Output
    from macfleet.core.outcome import Report
    from macfleet.fleet.pin import Pin


def pin(
    inventory: InventoryOption = None,
    mac: MacOption = None,
    group: GroupOption = None,
    tag: TagOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Also where another key is pinned: the Mac was installed anew")] = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show the host key of each Mac and pin it in the known_hosts that the inventory names.

    Example: `macfleet inventory pin --mac studio-1`

    Nothing vouches for a key that is seen over the network: compare its fingerprint with the one the Mac shows on its own screen,
    `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`. Exits 1 when keys are left unpinned, 3 when a Mac is unreachable or shows
    another key than the pinned one.
    """
    from macfleet.fleet.pin import PinState, known_hosts_path, look, write

    session = Session(Options(inventory, mac, group, tag, json, quiet=quiet))
    report = look(session.inventory, session.macs)
    pins = report.values()
    changed = {name: pin for name, pin in pins.items() if pin.state is PinState.CHANGED and not replace}
    wanted = {name: pin for name, pin in pins.items() if pin.state is not PinState.SAME and name not in changed}
    path = known_hosts_path(session.inventory)
    if not json:
        _show(session.output, pins)
    pinned = bool(wanted) and not dry_run and session.consent(f"pin {_keys(len(wanted))} in {path}?", yes=yes)
    if pinned:
        write(session.inventory, wanted.values())
        session.journal.write("pin", macs={name: pin.shown.fingerprint for name, pin in wanted.items()}, file=str(path))
    _refuse(session.output, report, changed)
    if json:
        session.output.json(_as_json(report, wanted if pinned else {}))
    else:
        done = f"{_keys(len(wanted))} {'' if pinned else 'would be ' if dry_run else 'not '}pinned in {path}"
        rest = f"{len(pins) - len(wanted) - len(changed)} already pinned, {len(changed)} changed, {len(report.errors())} unreachable"
        session.output.answer(f"{done}, {rest}" if wanted else rest)
    raise typer.Exit(3 if changed or not report.ok else 1 if wanted and not pinned else 0)


def _show(output: Output, pins: Mapping[str, Pin]) -> None:
    width = column_width(list(pins))
    for name, pin in pins.items():
        output.mac_line(name, pin.state.value, f"{pin.name} {pin.shown.type} {pin.shown.fingerprint}", width=width)


def _refuse(output: Output, report: Report[Pin], changed: Mapping[str, Pin]) -> None:
    from macfleet.fleet.pin import mismatch

    for error in report.errors().values():
        output.error(error)
    for name, pin in changed.items():
        output.error(mismatch(name, pin))


def _as_json(report: Report[Pin], pinned: Mapping[str, Pin]) -> dict[str, object]:
    macs: list[dict[str, object]] = []
    for outcome in report:
        if outcome.value is None:
            macs.append({"mac": outcome.mac, "outcome": "unreachable", "error": str(outcome.error)})
            continue
        state = "pinned" if outcome.mac in pinned else outcome.value.state.value
        shown = outcome.value.shown
        macs.append(
            {"mac": outcome.mac, "outcome": state, "name": outcome.value.name, "type": shown.type, "fingerprint": shown.fingerprint}
        )
    return {"schema": 1, "macs": macs, "summary": {"macs": len(macs), "pinned_now": len(pinned), "unreachable": len(report.errors())}}


def _keys(number: int) -> str:
    return f"{number} host key" if number == 1 else f"{number} host keys"
