"""Enrolment: the one login by password, and what it leaves behind so that it was the last.

Look, show (the caller does), change, prove: by a new login with the key, over which sudo must not ask. What is changed is written
into the Mac's ledger first, so that `unenroll` and `unprovision` can take it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from macfleet.core.change import Change
from macfleet.core.command import Command, command
from macfleet.core.errors import AuthenticationFailed, CommandFailed, MacfleetError
from macfleet.core.fact import Facts
from macfleet.core.outcome import Outcome, Report
from macfleet.core.result import Result
from macfleet.core.secret import Secret
from macfleet.fleet.connection import Connection
from macfleet.fleet.fleet import Fleet, read_facts
from macfleet.fleet.public_key import PublicKey
from macfleet.inventory.mac import Mac
from macfleet.macos import id, ledger, sudo, uname
from macfleet.serving.by_hand import FACTS as BY_HAND
from macfleet.serving.by_hand import ByHand, by_hand, is_volume_owner
from macfleet.serving.enroll_plan import EnrolPlan, Need, no_mac, plan_mac

ENROLL = "enroll"  # who made these entries of the ledger


@dataclass(frozen=True)
class Enrolled:
    """A Mac whose key login and sudo were proved. `owns_volume` None: nobody could tell."""

    mac: str
    user: str
    done: tuple[Change, ...]
    owns_volume: bool | None
    by_hand: tuple[ByHand, ...]


def look(fleet: Fleet) -> Report[Need]:
    """What each Mac still wants, by a login with the key. A Mac that cannot be reached at all is an error, as everywhere."""
    report = fleet.read(lambda mac: (uname.KERNEL, sudo.PASSWORDLESS))
    return Report(tuple(_need(fleet.inventory.mac(outcome.mac), outcome) for outcome in report))


def plan(fleet: Fleet, needs: Report[Need], key: PublicKey) -> Report[EnrolPlan]:
    """What each Mac lacks, read over whatever login `fleet` has there. Writes nothing."""
    need = needs.values()
    macs = [mac for mac in fleet.macs if need.get(mac.name, Need.NOTHING) is not Need.NOTHING]
    return fleet.each(lambda mac, line: plan_mac(mac, line, need[mac.name], key), macs=macs, doing="looking")


def apply(fleet: Fleet, plans: Report[EnrolPlan], password: Secret | None) -> Report[EnrolPlan]:
    """Make the changes that were shown. A Mac that refuses one keeps what it had; its neighbours go on."""
    wanted = plans.values()
    macs = [mac for mac in fleet.macs if mac.name in wanted and wanted[mac.name].changes]
    now = datetime.fromtimestamp(fleet.clock.now(), UTC).isoformat(timespec="seconds")
    return fleet.each(lambda mac, line: _apply(mac, line, wanted[mac.name], password, now), macs=macs, doing="enrolling")


def prove(fleet: Fleet, plans: Report[EnrolPlan]) -> Report[Enrolled]:
    """A new login with the key alone: sudo must not ask there. Then what is still to be done by hand."""
    done = {mac: planned.changes for mac, planned in plans.values().items()}
    report = fleet.each(lambda mac, line: _prove(mac, line, done.get(mac.name, ())), doing="logging in with the key")
    return Report(tuple(_explained(outcome, done.get(outcome.mac, ())) for outcome in report))


def _need(mac: Mac, outcome: Outcome[Facts]) -> Outcome[Need]:
    if isinstance(outcome.error, AuthenticationFailed):
        return Outcome(mac.name, Need.LOGIN, duration_s=outcome.duration_s)
    if outcome.value is None:
        return Outcome(mac.name, error=outcome.error, duration_s=outcome.duration_s)
    if error := no_mac(mac, outcome.value):
        return Outcome(mac.name, error=error, duration_s=outcome.duration_s)
    need = Need.NOTHING if outcome.value[sudo.PASSWORDLESS] is True else Need.SUDO
    return Outcome(mac.name, need, duration_s=outcome.duration_s)


def _apply(mac: Mac, line: Connection, wanted: EnrolPlan, password: Secret | None, now: str) -> EnrolPlan:
    """Over one channel, and stopped at the first failure: the ledger, the rule, the key."""
    entries = [entry for change in wanted.changes if (entry := ledger.entry_of(change, ENROLL, now)) is not None]
    changes = [ledger.record(mac.paths, entries), *(each for change in wanted.changes for each in change.commands)]
    check = sudo.check_password(password) if wanted.asks and password is not None else command("true")
    commands = [check, *(_as_root(each, wanted, password) for each in changes)]
    results = line.apply(commands)
    if len(results) < len(commands) or not results[-1].ok:
        raise _failed(mac, wanted, results)
    return wanted


def _as_root(wanted: Command, plan: EnrolPlan, password: Secret | None) -> Command:
    if not wanted.sudo or not plan.asks or password is None:
        return wanted
    return sudo.by_password(wanted, password)


def _failed(mac: Mac, wanted: EnrolPlan, results: Sequence[Result]) -> MacfleetError:
    last = results[-1]
    said = (last.stderr.strip() or last.stdout.strip() or last.failure()).splitlines()[-1]
    if "incorrect password attempt" in last.stderr:
        hint = f"Macs with another password are enrolled one by one: `macfleet enroll {mac.name}`"
        return CommandFailed(
            f"sudo does not take this password from {wanted.user}", mac=mac.name, truths=["nothing was changed there"], hint=hint
        )
    made = wanted.changes[: max(0, len(results) - 3)]  # the check and the ledger come first, and the last one failed
    truths = _lines(made) or ["nothing was changed there"]
    return CommandFailed(f"{mac.name} could not be enrolled: {said}", mac=mac.name, truths=truths, hint=_hint(last))


def _hint(last: Result) -> str | None:
    if "syntax error" in last.stderr or "parse error" in last.stderr:
        return "the rule was checked before it counted, and thrown away; sudo works as before"
    return None


def _prove(mac: Mac, line: Connection, done: tuple[Change, ...]) -> Enrolled:
    facts = read_facts(line, (sudo.PASSWORDLESS, *BY_HAND))
    if facts[sudo.PASSWORDLESS] is not True:
        raise MacfleetError(
            f"the rule is there, and still sudo asks for a password on {mac.name}",
            mac=mac.name,
            truths=_lines(done),
            hint="see on the Mac whether /etc/sudoers still includes /etc/sudoers.d: `sudo visudo -c`",
        )
    user = facts[id.USER]
    return Enrolled(mac.name, user if isinstance(user, str) else mac.user, done, is_volume_owner(facts), by_hand(mac, facts))


def _explained(outcome: Outcome[Enrolled], done: tuple[Change, ...]) -> Outcome[Enrolled]:
    """A key that was put there and is not let in: sshd looks at the modes of everything above the file."""
    error = outcome.error
    if isinstance(error, AuthenticationFailed) and done:
        error.truths = (*_lines(done), *error.truths)
        error.hint = (
            "sshd ignores keys that others could change: on the Mac, `chmod go-w ~ ~/.ssh ~/.ssh/authorized_keys`;"
            " and see `PubkeyAuthentication` in /etc/ssh/sshd_config"
        )
    return outcome


def _lines(done: Sequence[Change]) -> list[str]:
    return [f"done: {change.line()}" for change in done]
