"""The state of a rolling reboot: which Mac stands where. Written down before every step, so that it can be picked up again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any

from macfleet.core.errors import RequestError

_SCHEMA = 1
HOW_TO_START_AGAIN = "look at the Macs with `macfleet verify`, then forget it with `macfleet rolling-reboot --abandon`"


class StateDamaged(RequestError):
    """What was written down cannot be read."""


class Step(StrEnum):
    """Where one Mac stands. What is written down is what is about to be done or may already have been done."""

    PENDING = "pending"  # nothing was done to it
    DRAINING = "draining"  # its services take no new requests
    STOPPING = "stopping"  # its jobs are asked to end
    REBOOTING = "rebooting"  # the reboot is about to be sent, or was sent: only the boot id can tell
    RETURNING = "returning"  # the reboot was sent; waiting for another boot id
    SETTLING = "settling"  # up with another boot id; waiting for it to stay up
    VERIFYING = "verifying"  # its checks must be as good as before
    SERVING = "serving"  # its services must answer and pass their canary
    DONE = "done"


# Of a Mac at which the roll was left, by whoever pressed Ctrl-C.
_LEFT_AT = {
    Step.DRAINING: "was not rebooted; its services take no new requests",
    Step.STOPPING: "was not rebooted; its jobs may be stopped",
    Step.REBOOTING: "may have been told to restart",
    Step.RETURNING: "was told to restart and has not been seen again yet",
    Step.SETTLING: "has restarted and is not verified yet",
    Step.VERIFYING: "has restarted and is not verified yet",
    Step.SERVING: "has restarted and is verified; its services have not answered again yet",
}


@dataclass(frozen=True)
class RollOptions:
    """How long each wait may take."""

    drain_s: float = 120.0
    stop_s: float = 300.0
    return_s: float = 600.0
    settle_s: float = 2.0
    verify_s: float = 180.0
    serve_s: float = 600.0


@dataclass(frozen=True)
class MacRoll:
    """One Mac of the roll. Times are seconds since the epoch; `boot_before` is kern.bootsessionuuid before its reboot."""

    name: str
    services: tuple[str, ...] = ()
    known_failures: tuple[str, ...] = ()  # checks that failed before the roll touched anything
    step: Step = Step.PENDING
    since: float = 0.0
    boot_before: str | None = None
    boot_after: str | None = None
    last_seen: float | None = None
    last_reach: str = ""


@dataclass(frozen=True)
class Halt:
    """Why the roll stands still. `truths` were true at that moment."""

    mac: str
    what: str
    truths: tuple[str, ...]
    hint: str
    at: float


@dataclass(frozen=True)
class Roll:
    """The whole roll. `next_action` moves it on; nothing else does."""

    started: float
    macs: tuple[MacRoll, ...]
    options: RollOptions = RollOptions()
    halt: Halt | None = None

    @property
    def current(self) -> MacRoll | None:
        """The first Mac that is not done: the only one that anything may be done to."""
        return next((mac for mac in self.macs if mac.step is not Step.DONE), None)

    @property
    def is_finished(self) -> bool:
        return self.current is None

    def with_mac(self, changed: MacRoll) -> Roll:
        return replace(self, macs=tuple(changed if mac.name == changed.name else mac for mac in self.macs))

    def standing(self) -> tuple[str, ...]:
        """What is true of every Mac when nothing more is done, one sentence each; the current one first."""
        mac = self.current
        if mac is None or mac.step is Step.PENDING:
            return self.truths()
        return (f"{mac.name} {_LEFT_AT[mac.step]}", *self.truths(but=mac.name))

    def truths(self, *, but: str = "") -> tuple[str, ...]:
        """What is true of the Macs beside `but`, one sentence each."""
        others = [mac for mac in self.macs if mac.name != but]
        done = [mac.name for mac in others if mac.step is Step.DONE]
        untouched = [mac.name for mac in others if mac.step is Step.PENDING]
        sentences = []
        if done:
            sentences.append(f"{_names(done)} {'are' if len(done) > 1 else 'is'} done: rebooted, verified and back in service")
        if untouched:
            sentences.append(f"{_names(untouched)} {'were' if len(untouched) > 1 else 'was'} not touched")
        return tuple(sentences)


def render_roll(roll: Roll) -> str:
    return json.dumps({"schema": _SCHEMA, **asdict(roll)}, indent=2) + "\n"


def parse_roll(text: str, origin: str) -> Roll:
    """The roll in `text`. Raises RequestError naming `origin` when it is damaged or of another version."""
    try:
        data = json.loads(text)
        if data.pop("schema") != _SCHEMA:
            raise ValueError("written by another version of macfleet")
        return Roll(
            started=_seconds(data["started"]),
            macs=tuple(_mac(entry, f"macs/{place}") for place, entry in enumerate(data["macs"])),
            options=RollOptions(**_values(RollOptions, data["options"], "options")),
            halt=None if data["halt"] is None else Halt(**_values(Halt, data["halt"], "halt")),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise StateDamaged(f"{origin}: this is not the state of a rolling reboot: {what}", hint=HOW_TO_START_AGAIN) from error


def _mac(entry: Any, where: str) -> MacRoll:
    return MacRoll(**_values(MacRoll, entry, where))


def _values(kind: type, entry: Any, where: str) -> dict[str, Any]:
    """A value of the right type for every field of `kind`: a file that was edited by hand is not found out in the middle of a roll."""
    if not isinstance(entry, dict):
        raise ValueError(f"{where} is {_shown(entry)}, not an object")
    values = {}
    for field in fields(kind):
        if field.name not in entry:
            raise ValueError(f'{where} has no "{field.name}"')
        try:
            values[field.name] = _READ[str(field.type)](entry[field.name])
        except ValueError as error:
            raise ValueError(f"{where}/{field.name}: {error}") from None
    return values


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise ValueError(f"{_shown(value)} is not a number of seconds")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{_shown(value)} is not a text")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{_shown(value)} is not a list of texts")
    return tuple(map(_text, value))


def _shown(value: Any) -> str:
    return json.dumps(value)[:40]


# How a field is read, by the type that its class gives it.
_READ: dict[str, Callable[[Any], Any]] = {
    "float": _seconds,
    "float | None": lambda value: None if value is None else _seconds(value),
    "str": _text,
    "str | None": lambda value: None if value is None else _text(value),
    "tuple[str, ...]": _texts,
    "Step": lambda value: Step(_text(value)),
}


def _names(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
