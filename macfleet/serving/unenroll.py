"""Unenrolment: what `enroll` put on a Mac is taken away, and nothing else. It is the last thing macfleet can do there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from macfleet.core.errors import CommandFailed, MacfleetError
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.outcome import Outcome, Report
from macfleet.core.words import count
from macfleet.fleet.connection import Connection
from macfleet.fleet.fleet import Fleet, read_facts
from macfleet.fleet.lock import Hold, holding
from macfleet.inventory.mac import Mac
from macfleet.macos import authorized_keys, ledger, sudo
from macfleet.macos.ledger import Entry
from macfleet.serving.enroll import ENROLL

# The state directory goes when nothing else is in it; macOS has everything above it.
_FORGET = 'rm -f "$1/ledger.jsonl"; rmdir "$1" 2>/dev/null || :'


@dataclass(frozen=True)
class UnenrolPlan:
    """The entries that `enroll` made on this Mac and that still count."""

    mac: str
    entries: tuple[Entry, ...]


def plan(fleet: Fleet) -> Report[UnenrolPlan]:
    """What would be taken back, Mac by Mac. A Mac on which macfleet has changed more than its own access is an error."""
    report = fleet.read(_questions)
    return Report(tuple(_plan(fleet.inventory.mac(outcome.mac), outcome) for outcome in report))


def apply(fleet: Fleet, plans: Report[UnenrolPlan]) -> Report[UnenrolPlan]:
    """Take it back, as one root script for each Mac: behind it nobody may become root any more."""
    wanted = plans.values()
    macs = [mac for mac in fleet.macs if mac.name in wanted and wanted[mac.name].entries]
    with holding(fleet, "unenroll", macs, reading=_questions) as hold:
        return fleet.each(lambda mac, line: _apply(mac, line, wanted[mac.name], hold), macs=macs, doing="taking back")


def _questions(mac: Mac) -> Sequence[Fact[Any]]:
    return (sudo.PASSWORDLESS, ledger.ledger(mac.paths))


def _plan(mac: Mac, outcome: Outcome[Facts]) -> Outcome[UnenrolPlan]:
    if outcome.value is None:
        return Outcome(mac.name, error=outcome.error, duration_s=outcome.duration_s)
    try:
        return Outcome(mac.name, UnenrolPlan(mac.name, _own_entries(mac, outcome.value)), duration_s=outcome.duration_s)
    except MacfleetError as error:
        return Outcome(mac.name, error=error, duration_s=outcome.duration_s)


def _own_entries(mac: Mac, facts: Facts) -> tuple[Entry, ...]:
    if facts[sudo.PASSWORDLESS] is False:
        raise MacfleetError(
            f"sudo asks for a password on {mac.name}, and nobody is there to type it",
            mac=mac.name,
            truths=["nothing was changed there"],
            hint=f"`macfleet enroll {mac.name}` gives macfleet its access back; then unenroll it",
        )
    entries = facts[ledger.ledger(mac.paths)]
    if isinstance(entries, Unknown):
        raise MacfleetError(f"what macfleet changed on {mac.name} cannot be read: {entries.reason}", mac=mac.name)
    others = [entry for entry in entries if entry.by != ENROLL]
    if others:
        raise MacfleetError(
            f"macfleet has changed more on {mac.name} than its own access: {count(len(others), 'thing')} would stay behind",
            mac=mac.name,
            truths=["nothing was changed there", *(entry.what for entry in others[:4]), *(["…"] if len(others) > 4 else [])],
            hint=f"`macfleet unprovision --mac {mac.name}` takes back everything, this access last",
        )
    return entries


def _apply(mac: Mac, line: Connection, wanted: UnenrolPlan, hold: Hold) -> UnenrolPlan:
    """The lock is given back in the same trip, ahead of the script that ends our access."""
    entries = _own_entries(mac, hold.facts[mac.name])
    forget = ("sh", "-c", _FORGET, "sh", mac.paths.state)
    commands = (hold.release(mac), ledger.take_back_as_root(mac.paths, tuple(reversed(entries)), then=_shell(forget)))
    results = line.run(commands)
    hold.released(mac)
    if not results[-1].ok:
        truths = [f"{entry.what} may be as it was before macfleet, or not yet" for entry in entries]
        raise CommandFailed(results[-1].failure(), mac=mac.name, truths=truths, hint="run the same command again")
    _must_be_gone(mac, read_facts(line, (authorized_keys.TEXT,)), entries)
    return wanted


def _must_be_gone(mac: Mac, facts: Facts, entries: Sequence[Entry]) -> None:
    """Read again over the line that still stands; a new login would have to fail."""
    text = facts[authorized_keys.TEXT]
    if isinstance(text, Unknown):
        raise MacfleetError(f"{mac.name}: whether the key is gone cannot be read: {text.reason}", mac=mac.name)
    taken_back = {word for entry in entries for argv in entry.undo for word in argv}
    if left := taken_back.intersection((text or "").splitlines()):
        raise MacfleetError(f"{mac.name} still lets in {left.pop()}", mac=mac.name, hint="remove that line from ~/.ssh/authorized_keys")


def _shell(words: Sequence[str]) -> str:
    import shlex

    return shlex.join(words)
