"""What must be true of every Mac before the first one is rebooted. With N of N Macs needed, a roll that cannot end must not begin."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from macfleet.window.roll import Halt

FILEVAULT = "filevault"
UNHEALTHY = "unhealthy-service"
RISKS = {
    FILEVAULT: "a Mac with FileVault stops before its boot until somebody enters a password",
    UNHEALTHY: "a service that does not answer before the roll cannot prove that it answers after it",
}


@dataclass(frozen=True)
class Before:
    """What was seen of one Mac before the roll. None: could not be seen."""

    mac: str
    unreachable: str = ""  # why it cannot be talked to; empty when it can
    may_sudo: bool | None = None
    filevault_is_on: bool | None = None


@dataclass(frozen=True)
class _Refusal:
    mac: str
    sentence: str
    risk: str = ""  # the name under which it may be accepted


def preflight(seen: Sequence[Before], sick_services: Mapping[str, str], accepted: Collection[str], now: float) -> Halt | None:
    """Why the roll must not begin, all reasons at once; None when it may. `sick_services`: name → what is wrong with it."""
    refusals = [refusal for before in seen for refusal in _judge(before)]
    refusals += [_Refusal("", f"the service {name} is not healthy: {what}", UNHEALTHY) for name, what in sick_services.items()]
    standing = [refusal for refusal in refusals if refusal.risk not in accepted]
    if not standing:
        return None
    macs = {refusal.mac for refusal in standing}
    return Halt(
        mac=macs.pop() if len(macs) == 1 else "",
        what="the roll did not begin: " + (standing[0].sentence if len(standing) == 1 else f"{len(standing)} things stand in its way"),
        truths=(*(refusal.sentence for refusal in standing if len(standing) > 1), "no Mac was rebooted by this run"),
        hint=_hint(standing),
        at=now,
    )


def _judge(before: Before) -> Sequence[_Refusal]:
    if before.unreachable:
        return (_Refusal(before.mac, f"{before.mac} cannot be reached: {before.unreachable}"),)
    refusals = []
    if not before.may_sudo:
        refusals.append(_Refusal(before.mac, f"{before.mac}: sudo asks for a password, so it cannot be told to reboot"))
    if before.filevault_is_on is None:
        refusals.append(_Refusal(before.mac, f"{before.mac}: nobody knows whether FileVault would lock it", FILEVAULT))
    if before.filevault_is_on:
        refusals.append(_Refusal(before.mac, f"{before.mac}: FileVault is on, it would wait for a password before its boot", FILEVAULT))
    return refusals


def _hint(standing: Sequence[_Refusal]) -> str:
    risks = sorted({refusal.risk for refusal in standing if refusal.risk})
    accept = "".join(f" --accept-risk {risk}" for risk in risks)
    again = "mend it, then run `macfleet rolling-reboot --resume`"
    may_be_accepted = all(refusal.risk for refusal in standing)
    return f"{again}; or accept it by name: `macfleet rolling-reboot --resume{accept}`" if may_be_accepted else again
