"""Unprovision: everything that macfleet changed on a Mac is taken back, and nothing else.

The Mac's own ledger says what that is, whoever did it and from wherever. What could not be taken back stays in the ledger,
with all that is needed to try again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from macfleet.core.errors import Interrupted, MacfleetError, RequestError
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.near import did_you_mean
from macfleet.core.outcome import Outcome, Report
from macfleet.fleet.fleet import Fleet
from macfleet.fleet.journal import Journal
from macfleet.fleet.lock import Hold, holding
from macfleet.inventory.mac import Mac
from macfleet.macos.ledger import Entry, ledger
from macfleet.macos.sudo import PASSWORDLESS
from macfleet.serving.belongings import own_directories, own_jobs, weights
from macfleet.serving.enroll import ENROLL
from macfleet.serving.unprovision_mac import MacUndo, Undo, Undone, Wishes

__all__ = ["Undo", "Undone", "Wishes", "apply", "plan"]

_PURPOSE = "unprovision"


def plan(fleet: Fleet, wishes: Wishes) -> Report[Undo]:
    """What would be taken back, Mac by Mac. Reads for real, writes nothing."""
    report = fleet.read(_questions)
    _refuse_unknown(wishes.leave, {fleet.inventory.mac(name): facts for name, facts in report.values().items()})
    return Report(tuple(_plan(fleet.inventory.mac(outcome.mac), outcome, wishes) for outcome in report))


def apply(fleet: Fleet, plans: Report[Undo], wishes: Wishes, journal: Journal) -> Report[Undone]:
    """Take back what was shown, under the fleet lock. A Mac that refuses something keeps it, and its ledger; its neighbours go on."""
    wanted = {name: undo for name, undo in plans.values().items() if not undo.is_nothing}
    macs = [mac for mac in fleet.macs if mac.name in wanted]
    journal.write(f"{_PURPOSE}-begun", macs={name: len(undo.lines()) for name, undo in wanted.items()})

    def take_back(mac: Mac, line: Any) -> Undone:
        return MacUndo(fleet, mac, line, hold).run(wanted[mac.name], undo_of(mac, hold.facts[mac.name], wishes))

    try:
        with holding(fleet, _PURPOSE, macs, reading=_questions, each_for_itself=True) as hold:
            held = [mac for mac in macs if hold.report[mac.name].ok]
            report = fleet.each(take_back, macs=held, doing="taking back")
    except (KeyboardInterrupt, Interrupted) as error:
        raise _interrupted(journal, list(wanted), error) from None
    done = {outcome.mac: outcome for outcome in report}
    results = Report(tuple(_result(outcome, done, hold) for outcome in plans))
    for outcome in results:
        if outcome.mac in wanted:
            _write_down(journal, outcome)
    return results


def undo_of(mac: Mac, facts: Facts, wishes: Wishes) -> Undo:
    """What would be taken back on a Mac that said this. Raises MacfleetError when nobody can know it."""
    entries: tuple[Entry, ...] = _known(mac, facts, ledger(mac.paths))
    there: tuple[str, ...] = _known(mac, facts, own_directories(mac.paths))
    labels: tuple[str, ...] = _known(mac, facts, own_jobs(mac.paths))
    ours = [_left(entry) if entry.what in wishes.leave else entry for entry in reversed(entries)]
    keeps_ledger = wishes.keep_access and any(entry.by == ENROLL for entry in entries)
    written, models = {entry.what for entry in entries}, facts[weights(mac.paths)]
    undo = Undo(
        mac=mac.name,
        jobs=tuple(label for label in labels if f"launchd {label}" not in written),
        entries=tuple(entry for entry in ours if entry.by != ENROLL),
        directories=tuple(mac.paths.shown(path) for path in there if not (keeps_ledger and path == mac.paths.state)),
        access=() if wishes.keep_access else tuple(entry for entry in ours if entry.by == ENROLL),
        models=() if isinstance(models, Unknown) else models,
        keeps_ledger=keeps_ledger,
        note=_note(entries, there),
    )
    if not undo.is_nothing and facts[PASSWORDLESS] is False:
        raise _sudo_asks(mac)
    return undo


def _left(entry: Entry) -> Entry:
    """Nothing is undone, and so it is only struck out."""
    return replace(entry, undo=(), before="as it is now")


def _questions(mac: Mac) -> tuple[Fact[Any], ...]:
    paths = mac.paths
    return (PASSWORDLESS, ledger(paths), own_jobs(paths), own_directories(paths), weights(paths))


def _plan(mac: Mac, read: Outcome[Facts], wishes: Wishes) -> Outcome[Undo]:
    if read.value is None:
        return Outcome(read.mac, error=read.error, duration_s=read.duration_s)
    try:
        return Outcome(mac.name, undo_of(mac, read.value, wishes), duration_s=read.duration_s)
    except MacfleetError as error:
        return Outcome(mac.name, error=error, duration_s=read.duration_s)


def _note(entries: tuple[Entry, ...], there: tuple[str, ...]) -> str:
    if there and all(entry.by == ENROLL for entry in entries):
        return "its ledger tells of no change: a macfleet from before ledgers was at work, or none; settings stay as they are"
    return ""


def _known(mac: Mac, facts: Facts, fact: Fact[Any]) -> Any:
    value = facts[fact]
    if not isinstance(value, Unknown):
        return value
    if facts[PASSWORDLESS] is False:
        raise _sudo_asks(mac)
    raise MacfleetError(
        f"what macfleet changed on {mac.name} cannot be read: {value.reason}", mac=mac.name, truths=["nothing was changed there"]
    )


def _sudo_asks(mac: Mac) -> MacfleetError:
    return MacfleetError(
        f"sudo asks for a password on {mac.name}, and nobody is there to type it",
        mac=mac.name,
        truths=["nothing was changed there"],
        hint=f"`macfleet enroll {mac.name}` gives macfleet its access back; this command takes that away again, too",
    )


def _refuse_unknown(leave: Collection[str], read: Mapping[Mac, Facts]) -> None:
    ledgers: list[Any] = [facts[ledger(mac.paths)] for mac, facts in read.items()]
    known = {entry.what for entries in ledgers if not isinstance(entries, Unknown) for entry in entries}
    for what in leave:
        if what not in known:
            raise RequestError(f'no Mac has "{what}" in its ledger', hint=did_you_mean(what, sorted(known)) or None)


def _interrupted(journal: Journal, macs: list[str], cause: KeyboardInterrupt | Interrupted) -> Interrupted:
    """How far each Mac came is in its ledger: what was taken back is struck out there."""
    journal.write(_PURPOSE, macs=macs, changes=[], error="interrupted")
    truths = cause.truths if isinstance(cause, Interrupted) else ()  # a second time, while the lock was given back
    return Interrupted(
        f"{_PURPOSE} was interrupted",
        truths=["each Mac's ledger says what is left to take back there", *truths],
        hint="run the same command again: it goes on with what is left",
    )


def _result(planned: Outcome[Undo], done: Mapping[str, Outcome[Undone]], hold: Hold) -> Outcome[Undone]:
    if planned.value is None:
        return Outcome(planned.mac, error=planned.error, duration_s=planned.duration_s)
    if planned.mac in done:
        return done[planned.mac]
    error = hold.report.errors().get(planned.mac)
    return Outcome(planned.mac, None if error else Undone(planned.mac, ()), error, planned.duration_s)


def _write_down(journal: Journal, outcome: Outcome[Undone]) -> None:
    if outcome.value is None:
        journal.write(_PURPOSE, mac=outcome.mac, changes=[], error=str(outcome.error))
        return
    failed = "; ".join(f"{what}: {said}" for what, said in outcome.value.failed)
    journal.write(_PURPOSE, mac=outcome.mac, changes=list(outcome.value.done), error=failed or None)
