"""The fleet lock: one operator changes a Mac at a time, and the other is told who it is.

A directory on every Mac concerned, because mkdir either makes it or not, and because every operator's laptop sees the
same Macs. It is kept over a reboot of the Mac; a lock whose owner died is broken by a person, by name.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import platform
import secrets
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from macfleet.core.command import Command, command
from macfleet.core.errors import Interrupted, LockHeld, MacfleetError, Unreachable
from macfleet.core.fact import Fact, Facts
from macfleet.core.outcome import Outcome, Report
from macfleet.core.result import Result
from macfleet.core.units import format_duration
from macfleet.fleet.connection import Connection
from macfleet.fleet.expect import expect_ok
from macfleet.fleet.fleet import Fleet, questions, understand
from macfleet.inventory.mac import Mac

HELD = 75  # EX_TEMPFAIL: come back later
TRIES = 6
PAUSE_S = 0.5

_TAKE = f"""
if mkdir "$1" 2>/dev/null; then
  cat >"$1/owner.json" || {{ rm -r "$1"; exit 1; }}
elif [ -d "$1" ]; then
  exit {HELD}
else
  mkdir "$1"  # for what it says
fi
"""
_RELEASE = 'if grep -q "$2" "$1/owner.json"; then rm -r "$1"; fi'


@dataclass(frozen=True)
class Lock:
    """Who holds a Mac. `token` is that one run's own; `since` is the owner's time, in UTC."""

    who: str
    host: str
    machine: str
    pid: int
    since: str
    purpose: str
    token: str

    @classmethod
    def parse(cls, text: str) -> Lock | None:
        """None when the text is not (yet) a lock: its owner has made the directory and is about to write."""
        try:
            return cls(**json.loads(text))
        except (json.JSONDecodeError, TypeError):
            return None

    def is_left_behind(self) -> bool:
        """Whether its owner was a process of this user on this very machine and is gone: killed, or the machine crashed."""
        return (self.who, self.host, self.machine) == _here() and not _is_alive(self.pid)

    def sentence(self, now: float) -> str:
        started = datetime.fromisoformat(self.since)
        ago = format_duration(max(0.0, now - started.timestamp()))
        return f"{self.who} on {self.host} (process {self.pid}): {self.purpose}, since {started.astimezone():%H:%M:%S}, {ago} ago"


Reading = Callable[[Mac], Sequence[Fact[Any]]]


def _nothing(mac: Mac) -> Sequence[Fact[Any]]:
    return ()


class Hold:
    """The Macs that a run holds, and what they said while they were taken.

    A Mac can be given back, and taken again, by a command that travels with others: `released` and `taken` tell of it.
    """

    def __init__(self, mine: Lock, taken: Report[tuple[Lock, Facts]]):
        self.report = Report(tuple(Outcome(it.mac, it.value[0] if it.value else None, it.error, it.duration_s) for it in taken))
        self.facts = {mac: facts for mac, (_, facts) in taken.values().items()}
        self._mine = mine
        self._given_back: set[str] = set()

    def holds(self, mac: Mac) -> bool:
        return mac.name not in self._given_back

    def release(self, mac: Mac) -> Command:
        return _remove(mac, self._mine)

    def released(self, mac: Mac) -> None:
        self._given_back.add(mac.name)

    def take(self, mac: Mac) -> tuple[Command, ...]:
        """Fails with HELD when somebody else has taken the Mac meanwhile."""
        return _commands_to_take(mac, self._mine)

    def taken(self, mac: Mac) -> None:
        self._given_back.discard(mac.name)


@contextlib.contextmanager
def holding(
    fleet: Fleet, purpose: str, macs: Sequence[Mac] | None = None, *, reading: Reading = _nothing, each_for_itself: bool = False
) -> Iterator[Hold]:
    """`fleet_lock`, and each Mac is read in the same trip, behind the lock: what it says then holds until we change it.

    `each_for_itself`: a Mac that cannot be locked for a reason of its own (its disk is full, its sudo asks) is an error in the
    report as well, and stops no neighbour. Somebody else's lock stops all, as ever.
    """
    chosen = fleet.macs if macs is None else tuple(macs)
    mine = _own_lock(fleet, purpose)
    hold: Hold | None = None
    try:
        hold = Hold(mine, _take_all(fleet, chosen, mine, reading, LockHeld if each_for_itself else MacfleetError))
        yield hold
    finally:
        _release(fleet, [mac for mac in chosen if hold is None or hold.holds(mac)], mine)


@contextlib.contextmanager
def fleet_lock(fleet: Fleet, purpose: str, macs: Sequence[Mac] | None = None) -> Iterator[Report[Lock]]:
    """Holds every Mac that answers while the block runs; a Mac that cannot be reached is an error in the report, not locked.

    Raises LockHeld when somebody else holds one of them: then none is held by us. Released at the end of the block, also
    after Ctrl-C (Interrupted after a second one); who loses the line to a Mac leaves its lock there.
    """
    with holding(fleet, purpose, macs) as hold:
        yield hold.report


def read_locks(fleet: Fleet, macs: Sequence[Mac] | None = None) -> Report[Lock | None]:
    """Who holds each Mac; None where nobody does."""
    return fleet.each(lambda mac, connection: _holder(mac, connection.read([_ask(mac)])[0]), macs=macs, doing="reading the lock")


def break_locks(fleet: Fleet, macs: Sequence[Mac] | None = None) -> Report[Lock | None]:
    """Takes the lock away whoever holds it; the report says who that was."""

    def break_one(mac: Mac, connection: Connection) -> Lock | None:
        asked, removed = connection.run([_ask(mac), command("rm", "-rf", _path(mac), sudo=True)])
        expect_ok(mac, [removed])
        return _holder(mac, asked)

    return fleet.each(break_one, macs=macs, doing="breaking the lock")


def _take_all(fleet: Fleet, macs: Sequence[Mac], mine: Lock, reading: Reading, fatal: type[MacfleetError]) -> Report[tuple[Lock, Facts]]:
    """All or none. Two who start in the same moment: who got the first contested Mac goes on, the other gives way."""
    for attempt in range(TRIES):
        report = fleet.each(lambda mac, connection: _take(fleet, mac, connection, mine, reading(mac)), macs=macs, doing="taking the lock")
        others = {name: error for name, error in report.errors().items() if isinstance(error, fatal) and not isinstance(error, Unreachable)}
        if not others:
            return report
        first_is_mine = next(outcome.ok for outcome in report if outcome.ok or outcome.mac in others)
        is_contest = all(isinstance(error, LockHeld) for error in others.values())
        if not (first_is_mine and is_contest) or attempt == TRIES - 1:
            raise next(iter(others.values()))
        fleet.clock.sleep(PAUSE_S)
    raise AssertionError("the last attempt returns or raises")


def _take(fleet: Fleet, mac: Mac, connection: Connection, mine: Lock, reading: Sequence[Fact[Any]]) -> tuple[Lock, Facts]:
    holder, facts = _try_to_take(mac, connection, mine, reading)
    if holder is not None and holder.is_left_behind():
        expect_ok(mac, connection.run([_remove(mac, holder)]))
        holder, facts = _try_to_take(mac, connection, mine, reading)
    if holder is None or holder == mine:
        return mine, facts
    raise LockHeld(
        "somebody else is changing this Mac",
        mac=mac.name,
        truths=(holder.sentence(fleet.clock.now()), "nothing was changed"),
        hint="wait until that run is over; if its process is dead, `macfleet lock break` removes what it left",
    )


def _try_to_take(mac: Mac, connection: Connection, mine: Lock, reading: Sequence[Fact[Any]]) -> tuple[Lock | None, Facts]:
    """None when it is ours now, else who has it, and what was read behind it; one trip either way."""
    made, taken, asked, *answers = connection.run([*_commands_to_take(mac, mine), _ask(mac)], questions(reading))
    expect_ok(mac, [made])
    facts = understand(reading, answers)
    if taken.exit_status == HELD:
        return _holder(mac, asked) or _NOBODY_YET, facts
    expect_ok(mac, [taken])
    return None, facts


def _commands_to_take(mac: Mac, mine: Lock) -> tuple[Command, ...]:
    return (
        command("mkdir", "-p", mac.paths.state, sudo=True),
        Command(("sh", "-c", _TAKE, "sh", _path(mac)), stdin=json.dumps(asdict(mine)).encode(), sudo=True),
    )


def _release(fleet: Fleet, macs: Sequence[Mac], mine: Lock) -> None:
    # Its report is not looked at: a Mac that is gone by now was reported by the run itself, and the next one says who holds it.
    # A Mac that is still being dialled (Ctrl-C came early) holds nothing of ours.
    answering = [mac for mac in macs if not fleet.is_dialling(mac)]
    try:
        fleet.each(lambda mac, connection: connection.run([_remove(mac, mine)]), macs=answering, doing="releasing the lock")
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted while the lock of {', '.join(mac.name for mac in answering)} was given back",
            truths=("nobody knows whether it is still held",),
            hint="`macfleet lock show` tells; the next run of yours on this machine takes over what is left",
        ) from None


def _remove(mac: Mac, lock: Lock) -> Command:
    return command("sh", "-c", _RELEASE, "sh", _path(mac), lock.token, sudo=True)


def _ask(mac: Mac) -> Command:
    return command("cat", f"{_path(mac)}/owner.json", sudo=True)


def _holder(mac: Mac, asked: Result) -> Lock | None:
    if asked.ok:
        return Lock.parse(asked.stdout) or _NOBODY_YET
    if "No such file" not in asked.stderr:
        expect_ok(mac, [asked])
    return None


def _path(mac: Mac) -> str:
    return f"{mac.paths.state}/lock"


def _own_lock(fleet: Fleet, purpose: str) -> Lock:
    since = datetime.fromtimestamp(fleet.clock.now(), UTC).isoformat(timespec="seconds")
    return Lock(*_here(), os.getpid(), since, purpose, secrets.token_hex(8))


def _here() -> tuple[str, str, str]:
    return getpass.getuser(), platform.node(), f"{uuid.getnode():x}"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


# Between mkdir and the writing of its file a lock has no name; a crash in between leaves it so.
_NOBODY_YET = Lock("somebody", "an unknown machine", "", 0, datetime.fromtimestamp(0, UTC).isoformat(), "it does not say what", "-")
