"""Enrolment: the one login by password, and what it leaves behind so that it was the last.

Look, show (the caller does), change, prove: by a new login with the key, over which sudo must not ask. What is changed is written
into the Mac's ledger first, so that `unenroll` and `unprovision` can take it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from macfleet.core.change import Change
from macfleet.core.command import Command, command
from macfleet.core.errors import AuthenticationFailed, CommandFailed, MacfleetError
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.outcome import Outcome, Report
from macfleet.core.result import Result
from macfleet.core.secret import Secret
from macfleet.fleet.connection import Connection
from macfleet.fleet.fleet import Fleet, read_facts
from macfleet.fleet.public_key import PublicKey
from macfleet.inventory.mac import Mac
from macfleet.macos import authorized_keys, dseditgroup, id, ledger, sudo, uname, visudo
from macfleet.macos.authorized_keys import Listed
from macfleet.macos.files import file_state
from macfleet.serving.by_hand import FACTS as BY_HAND
from macfleet.serving.by_hand import ByHand, by_hand, is_volume_owner

ENROLL = "enroll"  # who made these entries of the ledger


class Need(StrEnum):
    """What stands between macfleet and a Mac."""

    NOTHING = "nothing"
    SUDO = "sudo asks for a password"
    LOGIN = "the key is not let in"


@dataclass(frozen=True)
class EnrolPlan:
    """What one Mac lacks before macfleet can act there. `asks`: its sudo wants a password until this is done."""

    mac: str
    user: str
    changes: tuple[Change, ...]
    asks: bool


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
    report = fleet.read(lambda mac: (sudo.PASSWORDLESS,))
    return Report(tuple(_need(outcome) for outcome in report))


def plan(fleet: Fleet, needs: Report[Need], key: PublicKey) -> Report[EnrolPlan]:
    """What each Mac lacks, read over whatever login `fleet` has there. Writes nothing."""
    need = needs.values()
    macs = [mac for mac in fleet.macs if need.get(mac.name, Need.NOTHING) is not Need.NOTHING]
    return fleet.each(lambda mac, line: _plan(mac, line, need[mac.name], key), macs=macs, doing="looking")


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


def _need(outcome: Outcome[Facts]) -> Outcome[Need]:
    if isinstance(outcome.error, AuthenticationFailed):
        return Outcome(outcome.mac, Need.LOGIN, duration_s=outcome.duration_s)
    if outcome.value is None:
        return Outcome(outcome.mac, error=outcome.error, duration_s=outcome.duration_s)
    need = Need.NOTHING if outcome.value[sudo.PASSWORDLESS] is True else Need.SUDO
    return Outcome(outcome.mac, need, duration_s=outcome.duration_s)


# --- what a Mac lacks


def _plan(mac: Mac, line: Connection, need: Need, key: PublicKey) -> EnrolPlan:
    """Who gets in with another key that the agent holds needs no second one."""
    facts = read_facts(line, _QUESTIONS)
    user, asks = _account(mac, facts), facts[sudo.PASSWORDLESS] is not True
    changes = [*([_rule(mac, line, user)] if asks else ()), *(_key(mac, facts, user, key) if need is Need.LOGIN else ())]
    return EnrolPlan(mac.name, user, tuple(changes), asks)


_QUESTIONS: tuple[Fact[Any], ...] = (
    uname.KERNEL,
    id.USER,
    sudo.PASSWORDLESS,
    authorized_keys.HOME,
    authorized_keys.STATE,
    authorized_keys.TEXT,
)


def _account(mac: Mac, facts: Facts) -> str:
    kernel, user = facts[uname.KERNEL], facts[id.USER]
    if isinstance(kernel, str) and kernel != "Darwin":
        raise MacfleetError(f"{mac.address} is no Mac: its kernel is {kernel}", mac=mac.name, truths=["nothing was changed there"])
    if isinstance(user, Unknown) or user == "root":
        reason = "it logs in as root, whom macOS knows no password of" if user == "root" else str(getattr(user, "reason", user))
        raise MacfleetError(
            f"{mac.name} has no account to enroll: {reason}",
            mac=mac.name,
            truths=["nothing was changed there"],
            hint="name an administrator's account: `user:` in the inventory",
        )
    return user


def _rule(mac: Mac, line: Connection, user: str) -> Change:
    """Asked for only where sudo asks: whether the account may use it at all, and that nobody's file is written over."""
    path = visudo.rule_path(mac.paths, user)
    facts = read_facts(line, (dseditgroup.is_admin(user), file_state(path)))
    if facts[dseditgroup.is_admin(user)] is False:
        raise MacfleetError(
            f"{user} is no administrator on {mac.name}, and macOS lets only administrators use sudo",
            mac=mac.name,
            truths=["nothing was changed there"],
            hint="make it one in System Settings > Users & Groups, or name another account as `user:` in the inventory",
        )
    if facts[file_state(path)] is not None:
        raise MacfleetError(
            f"{mac.paths.shown(path)} is there already on {mac.name}, and still sudo asks for a password",
            mac=mac.name,
            truths=["nothing was changed there"],
            hint=f"see on the Mac what is wrong with it: `sudo visudo -c`; remove it, then `macfleet enroll {mac.name}` again",
        )
    return Change(
        f"sudoers {mac.paths.shown(path)}",
        "absent",
        f"{user} may use sudo without a password",
        (visudo.install_rule(path, visudo.render_rule(user)),),
        undo=(command("rm", "-f", path, sudo=True, timeout_s=10),),
        detail="".join(f"+{text}\n" for text in visudo.render_rule(user).splitlines()),
    )


def _key(mac: Mac, facts: Facts, user: str, key: PublicKey) -> Sequence[Change]:
    home, state, text = facts[authorized_keys.HOME], facts[authorized_keys.STATE], facts[authorized_keys.TEXT]
    if isinstance(home, Unknown) or isinstance(text, Unknown):
        unknown = home if isinstance(home, Unknown) else text
        raise MacfleetError(f"{mac.name}: whose keys {user} lets in cannot be read: {unknown.reason}", mac=mac.name)  # type: ignore[union-attr]
    listed = Listed(home, has_directory=state is not None, text=text)
    if listed.holds(key.line):
        return ()
    before = "absent" if text is None else f"{len(text.splitlines())} lines"
    after = f"lets in {key.fingerprint} ({key.source})"
    add, remove = authorized_keys.add(listed, key.line), authorized_keys.remove(listed, key.line)
    return (Change(f"authorized_keys of {user}", before, after, (add,), undo=(remove,), detail=f"+{key.line}\n"),)


# --- changing it, and the proof


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
