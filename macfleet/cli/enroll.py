"""`macfleet enroll`: the one login by password, and what it leaves behind so that it was the last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from macfleet.cli.completion import mac_names
from macfleet.cli.enroll_answer import Enrolment, answer, as_json
from macfleet.cli.first_login import PasswordStdinOption, Pinned, can_be_asked, pin_first, read_password
from macfleet.cli.folding import fold, name_macs
from macfleet.cli.session import (
    DryRunOption,
    GroupOption,
    InventoryOption,
    JsonOption,
    Options,
    QuietOption,
    Session,
    TagOption,
    VerboseOption,
    YesOption,
)
from macfleet.core.words import count

if TYPE_CHECKING:
    from macfleet.cli.output import Watcher
    from macfleet.core.outcome import Report
    from macfleet.fleet.fleet import Connect, Fleet
    from macfleet.fleet.public_key import PublicKey
    from macfleet.inventory.mac import Mac
    from macfleet.serving.enroll_plan import EnrolPlan

MacsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="MAC", help="Which Macs; wildcards allowed; all without any", autocompletion=mac_names),
]


def enroll(
    macs: MacsArgument = None,
    inventory: InventoryOption = None,
    group: GroupOption = None,
    tag: TagOption = None,
    password_stdin: PasswordStdinOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Let macfleet into new Macs: pin their host keys, log in once by password, install your key and a checked sudoers rule.

    Then it logs in again with the key alone, proves that sudo does not ask and that the account owns the volume, and says what still
    needs a hand at the Mac. Macs that are enrolled already are left as they are. `macfleet unenroll` takes it back.

    Example: `macfleet enroll studio-1 studio-2`

    Exits 1 when the account is no volume owner (its password installs no updates) or something was only shown, 3 when a Mac could
    not be enrolled; its error says what is true there.
    """
    from macfleet.fleet.public_key import find_public_key

    session = Session(Options(inventory, macs, group, tag, json, verbose, quiet))
    key = find_public_key(session.inventory.ssh)
    run = Enrolment(session.macs)
    _enroll(session, run, key, _Manner(password_stdin, dry_run, yes))
    if json:
        session.output.json(as_json(run))
    else:
        answer(session.output, run)
    raise typer.Exit(run.exit_code)


@dataclass(frozen=True)
class _Manner:
    password_stdin: bool
    dry_run: bool
    yes: bool


def _enroll(session: Session, run: Enrolment, key: PublicKey, manner: _Manner) -> None:
    """Host keys, what is needed, the password, the plan, the changes, the proof; each Mac comes as far as it can."""
    from macfleet.core.errors import Interrupted

    def consent(question: str) -> bool:
        return session.consent(question, yes=manner.yes)

    pinned = pin_first(session.output, session.inventory, run.macs, consent, dry_run=manner.dry_run)
    run.errors.update(pinned.errors)
    run.waiting.update(pinned.waiting)
    try:
        with session.output.watching() as watcher:
            plans = _change(session, run, pinned.macs, key, manner, watcher)
            _prove(session, run, plans, watcher)
    except KeyboardInterrupt:
        for name in run.under_way():
            run.errors[name] = Interrupted("interrupted: nobody has looked how far it came", mac=name)
        raise Interrupted(
            "enroll was interrupted",
            truths=[
                "what was changed on a Mac stands in its ledger",
                "a Mac that was not enrolled to the end is as it was, or half enrolled",
            ],
            hint="run the same command again: it goes on with what is left",
        ) from None
    finally:
        _write_down(session, run, pinned)


def _change(session: Session, run: Enrolment, macs: Sequence[Mac], key: PublicKey, manner: _Manner, watcher: Watcher) -> Report[EnrolPlan]:
    """The password is asked for only when some Mac wants it."""
    from macfleet.core.outcome import Report
    from macfleet.fleet.password import PasswordLogin
    from macfleet.serving.enroll import apply, look, plan
    from macfleet.serving.enroll_plan import Need

    with _fleet(session, macs, watcher) as fleet:
        needs = look(fleet)
    run.errors.update(needs.errors())
    wanting = [mac for mac in macs if needs.values().get(mac.name, Need.NOTHING) is not Need.NOTHING]
    if not wanting or (manner.dry_run and not can_be_asked(from_stdin=manner.password_stdin)):
        run.waiting.update(mac.name for mac in wanting)
        return Report(())
    names = [mac.name for mac in wanting]
    password = read_password(session.output, _users(wanting), names, from_stdin=manner.password_stdin)
    with _fleet(session, wanting, watcher, PasswordLogin(password, [name for name in names if needs[name].value is Need.LOGIN])) as fleet:
        plans = plan(fleet, needs, key)
        run.errors.update(plans.errors())
        run.changes.update({mac: planned.changes for mac, planned in plans.values().items()})
        run.waiting.update(plans.values())
        if _wanted(session, plans, manner):
            run.waiting.difference_update(plans.values())
            run.errors.update(apply(fleet, plans, password).errors())
    return plans


def _prove(session: Session, run: Enrolment, plans: Report[EnrolPlan], watcher: Watcher) -> None:
    from macfleet.serving.enroll import prove

    finished = [mac for mac in run.macs if mac.name not in run.errors and mac.name not in run.waiting]
    with _fleet(session, finished, watcher) as fleet:
        proved = prove(fleet, plans)
    run.errors.update(proved.errors())
    run.enrolled.update(proved.values())


def _fleet(session: Session, macs: Sequence[Mac], watcher: Watcher, connect: Connect | None = None) -> Fleet:
    from macfleet.fleet.fleet import Fleet

    return Fleet(session.inventory, macs, connect=connect, observer=watcher)


def _users(macs: Sequence[Mac]) -> str:
    import getpass

    return " and ".join(dict.fromkeys(mac.user or getpass.getuser() for mac in macs))


def _wanted(session: Session, plans: Report[EnrolPlan], manner: _Manner) -> bool:
    """The changes, shown; then the yes to them."""
    changes = plans.values()
    said = {mac: [(change.line(), change.detail) for change in planned.changes] for mac, planned in changes.items()}
    for (line, detail), macs in fold(said):
        session.output.talk(f"  {line}{f'  [{name_macs(macs, of=len(changes))}]' if len(changes) > 1 else ''}")
        for row in detail.splitlines() if manner.dry_run or session.options.verbose else ():
            session.output.talk(f"    {row}")
    if manner.dry_run or not changes:
        return False
    number = sum(len(planned.changes) for planned in changes.values())
    return session.consent(f"Make {count(number, 'change')} on {count(len(changes), 'Mac')}?", yes=manner.yes)


def _write_down(session: Session, run: Enrolment, pinned: Pinned) -> None:
    """A line for each Mac whose host key was pinned, or where something was changed."""
    planned = {mac: changes for mac, changes in run.changes.items() if mac not in run.waiting}
    for mac in [mac.name for mac in run.macs if mac.name in planned or mac.name in pinned.newly]:
        key, error = pinned.newly.get(mac), run.errors.get(mac)
        session.journal.write(
            "enroll",
            mac=mac,
            pinned=key.shown.fingerprint if key else None,
            changes=[change.as_json() for change in planned.get(mac, ())],
            error=str(error) if error else None,
        )
