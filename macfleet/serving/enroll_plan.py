"""What one Mac lacks before macfleet can act there: a key that is let in, and a sudo that does not ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from macfleet.core.change import Change
from macfleet.core.command import command
from macfleet.core.errors import MacfleetError
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.fleet.connection import Connection
from macfleet.fleet.fleet import read_facts
from macfleet.fleet.public_key import PublicKey
from macfleet.inventory.mac import Mac
from macfleet.macos import authorized_keys, dseditgroup, id, sudo, uname, visudo
from macfleet.macos.authorized_keys import Listed
from macfleet.macos.files import file_state
from macfleet.modules.detail import text_diff


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


def plan_mac(mac: Mac, line: Connection, need: Need, key: PublicKey) -> EnrolPlan:
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
    user = facts[id.USER]
    if error := no_mac(mac, facts):
        raise error
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
        detail=text_diff(mac.paths.shown(path), None, visudo.render_rule(user)),
    )


def _key(mac: Mac, facts: Facts, user: str, key: PublicKey) -> Sequence[Change]:
    home, state, text = facts[authorized_keys.HOME], facts[authorized_keys.STATE], facts[authorized_keys.TEXT]
    if isinstance(home, Unknown) or isinstance(text, Unknown):
        unknown = home if isinstance(home, Unknown) else text
        raise MacfleetError(f"{mac.name}: whose keys {user} lets in cannot be read: {unknown.reason}", mac=mac.name)  # type: ignore[union-attr]
    listed = Listed(home, has_directory=state is not None, text=text)
    if listed.holds(key.line):
        return ()
    # Named by the key: a Mac that two operators have enrolled has two such entries in its ledger.
    what, after = f"key {key.fingerprint} of {user}", f"let in ({key.source})"
    add, remove = authorized_keys.add(listed, key.line), authorized_keys.remove(listed, key.line)
    detail = text_diff(authorized_keys.FILE, text, f"{key.line}\n{text or ''}")
    return (Change(what, "not let in", after, (add,), undo=(remove,), detail=detail),)


def no_mac(mac: Mac, facts: Facts) -> MacfleetError | None:
    """A server with the wrong address gets no sudoers rule, and is asked for no password."""
    kernel = facts[uname.KERNEL]
    if isinstance(kernel, Unknown) or kernel == uname.MACS_KERNEL:
        return None
    hint = "check its address in the inventory"
    return MacfleetError(f"{mac.address} is no Mac: its kernel is {kernel}", mac=mac.name, truths=["nothing was changed there"], hint=hint)
