"""What stands in the way of a provisioning, in sentences: what happened, on which Mac, what is true there now, what to do."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from macfleet.core.change import Change
from macfleet.core.command import Command
from macfleet.core.errors import CommandFailed, LockHeld, MacfleetError
from macfleet.core.result import Result
from macfleet.core.words import count
from macfleet.inventory.mac import Mac
from macfleet.macos.sudo import how_to_allow
from macfleet.playbook.plan import MacPlan

_LONG_LIST = 4


class NotBegun(MacfleetError):
    """A Mac of a later batch: too many of the earlier ones had failed."""


def failed(mac: Mac, change: Change, results: Sequence[Result], truths: Sequence[str]) -> MacfleetError:
    """What the program said comes first; which program that was, below."""
    last = results[-1] if results else Result(change.commands[0], None, reason="was not run")
    return CommandFailed(f"{mac.name}: {change.what}: {_said(last)}", mac=mac.name, truths=[_ending(last), *truths])


def not_written_down(mac: Mac, change: Change, last: Result, truths: Sequence[str]) -> MacfleetError:
    """The ledger comes first: what could not be written down is not done."""
    return CommandFailed(
        f"{mac.name}: {change.what}: could not be written down first, so it was not begun: {_said(last)}",
        mac=mac.name,
        truths=[_ending(last), *truths],
    )


def taken_meanwhile(mac: Mac, truths: Sequence[str]) -> MacfleetError:
    return LockHeld(
        "somebody else began to change this Mac between two rounds of changes",
        mac=mac.name,
        truths=truths,
        hint="`macfleet lock show` tells who; run the same command again behind it",
    )


def truths_of(done: Sequence[Change], interrupted: Change, waiting: Sequence[Change], *, is_begun: bool = True) -> list[str]:
    """What is true on a Mac whose plan stopped in the middle of `interrupted`. The plan was shown: a long list is not repeated."""
    truths = [f"done: {change.line()}" for change in done]
    if len(done) > _LONG_LIST:
        truths = [f"done: the first {len(done)} changes of its plan, up to {done[-1].what}"]
    if is_begun:
        truths.append(f"{interrupted.what} was {interrupted.before}, and may be half changed now")
    open_ones = list(waiting) if is_begun else [interrupted, *waiting]
    return truths + ([f"not begun: {', '.join(change.what for change in open_ones)}"] if open_ones else [])


def sudo_asks(mac: Mac, plan: MacPlan) -> MacfleetError:
    return MacfleetError(
        f"sudo asks for a password on {mac.name}, and nobody is there to type it: nothing was changed there",
        mac=mac.name,
        truths=[f"{count(len(plan.changes), 'change')} wait there"],
        hint=how_to_allow(mac.user),
    )


def not_a_mac(mac: Mac, kernel: str) -> MacfleetError:
    return MacfleetError(
        f"{mac.address} is a {kernel} machine, not the Mac {mac.name}: nothing was changed there",
        mac=mac.name,
        hint=f"correct the address of {mac.name} in the inventory, then `macfleet inventory pin --mac {mac.name}`",
    )


def changed_meanwhile(mac: Mac, plan: MacPlan, agreed: Collection[tuple[str, str]]) -> MacfleetError:
    """`agreed`: what was to be what, in the plan that was shown."""
    new = [change.line() for _, change in plan.changes if (change.what, change.after) not in agreed]
    more = [f"and {len(new) - _LONG_LIST} more"] if len(new) > _LONG_LIST else []
    return MacfleetError(
        f"{mac.name} differs in other things than when its plan was shown: nothing was done there",
        mac=mac.name,
        truths=[*(f"was not in that plan: {line}" for line in new[:_LONG_LIST]), *more],
        hint="`macfleet provision` shows a new plan",
    )


def not_begun(mac: Mac, failures: int, allowed: int | None) -> MacfleetError:
    return NotBegun(
        f"{mac.name} was not begun: {count(failures, 'Mac')} before it failed, and the playbook allows {allowed or 'none'}",
        mac=mac.name,
        truths=["nothing was changed there"],
        hint="mend what failed, then `--resume` goes on with it and with the rest",
    )


def still_differs(mac: Mac, plan: MacPlan) -> MacfleetError:
    left = _still_wanted(plan)
    if plan.unknown:
        reasons = list(dict.fromkeys(unknown.reason for _, unknown in plan.unknown))
        return MacfleetError(reasons[0], mac=mac.name, truths=[*reasons[1:], *left], hint="mend that, then run the same command again")
    return MacfleetError("every change was made without an error, and still the Mac differs", mac=mac.name, truths=left)


def _still_wanted(plan: MacPlan) -> list[str]:
    if len(plan.changes) <= _LONG_LIST:
        return [f"{change.line()} is still wanted" for _, change in plan.changes]
    return [f"{len(plan.changes)} changes are still wanted, from {plan.changes[0][1].what} on; `--dry-run` shows them"]


def _said(last: Result) -> str:
    lines = (last.stderr.strip() or last.stdout.strip()).splitlines()
    return lines[-1].strip() if lines else last.failure()


def _ending(last: Result) -> str:
    command: Command = last.command
    return f"`{command}` {f'ended with {last.exit_status}' if last.exit_status is not None else last.reason}"
