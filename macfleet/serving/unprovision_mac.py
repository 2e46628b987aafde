"""Taking back on one Mac: jobs, entries, directories, access, each only when what stands before it is done.

Jobs end by themselves. Each entry is undone on its own, the last one first. macfleet's own directories go when every entry is
undone, and at the very end, in one root script, the access that `enroll` made: behind it nobody may become root any more.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from macfleet.core.command import command
from macfleet.core.errors import CommandFailed, MacfleetError
from macfleet.core.fact import Unknown
from macfleet.core.result import Result
from macfleet.core.units import format_size
from macfleet.core.words import count
from macfleet.fleet.connection import Connection
from macfleet.fleet.fleet import Fleet, read_facts
from macfleet.fleet.lock import Hold
from macfleet.inventory.mac import Mac
from macfleet.macos.files import remove_if_empty
from macfleet.macos.ledger import Entry, take_back, take_back_as_root
from macfleet.serving import jobs
from macfleet.serving.belongings import own_directories, own_jobs

_CLEAR_TIMEOUT_S = 900.0  # terabytes of weights
# Only the ledger stays, for the entries that are still in it.
_KEEP_LEDGER = 'find "$1" -mindepth 1 -maxdepth 1 ! -name ledger.jsonl -exec rm -rf {} +'


@dataclass(frozen=True)
class Wishes:
    """`keep_access`: what `enroll` made stays. `leave`: these entries stay as they are now, and are forgotten."""

    keep_access: bool = False
    leave: tuple[str, ...] = ()


@dataclass(frozen=True)
class Undo:
    """What would be taken back on one Mac, in this order. `models` are the weights in its directory, with their sizes in bytes.

    `directories` as people on that Mac call them.
    """

    mac: str
    jobs: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()
    directories: tuple[str, ...] = ()
    access: tuple[Entry, ...] = ()
    models: tuple[tuple[str, int], ...] = ()
    keeps_ledger: bool = False
    note: str = ""

    @property
    def is_nothing(self) -> bool:
        return not (self.jobs or self.entries or self.directories or self.access)

    def lines(self) -> list[str]:
        """For people, in the order in which it is done."""
        weights = f" (with {', '.join(f'{name} {format_size(size)}' for name, size in self.models)})" if self.models else ""
        return [
            *(f"job {label} ends and goes" for label in self.jobs),
            *(f"{entry.what} → {entry.before}" for entry in self.entries),
            *(f"{path} → absent{weights if not at else ''}" for at, path in enumerate(self.directories)),
            *(f"{entry.what} → {entry.before}, last of all" for entry in self.access),
        ]

    def asks_more_than(self, shown: Undo) -> bool:
        """The directories do not count: taking the lock makes one."""
        mine, theirs = ({*undo.jobs, *undo.entries, *undo.access} for undo in (self, shown))
        return not mine <= theirs


@dataclass(frozen=True)
class Undone:
    """What became of it: the lines that were done, and what could not be taken back, with what its program said."""

    mac: str
    done: tuple[str, ...]
    failed: tuple[tuple[str, str], ...] = ()


class MacUndo:
    """One Mac, locked by `hold`."""

    def __init__(self, fleet: Fleet, mac: Mac, line: Connection, hold: Hold):
        self._fleet = fleet
        self._mac = mac
        self._line = line
        self._hold = hold

    def run(self, shown: Undo, now: Undo) -> Undone:
        if now.asks_more_than(shown):
            raise _moved(self._mac)
        self._end_jobs(now)
        failed = self._take_back(now.entries)
        lines = dict(zip(now.entries, now.lines()[len(now.jobs) :], strict=False))
        done = [*now.lines()[: len(now.jobs)], *(line for entry, line in lines.items() if entry.what not in failed)]
        if failed:
            return Undone(self._mac.name, tuple(done), tuple(failed.items()))
        with self._fleet.awaiting(self._mac.name, "removing macfleet's own directories"):
            self._clear(now)
        self._must_be_gone(now)
        return Undone(self._mac.name, tuple(now.lines()))

    def _end_jobs(self, undo: Undo) -> None:
        for label in undo.jobs:
            with self._fleet.awaiting(self._mac.name, f"ending {label}"):
                jobs.stop(self._line, label, self._fleet.clock)
                jobs.remove(self._mac, self._line, [self._mac.paths.plist(label)])

    def _take_back(self, entries: Sequence[Entry]) -> dict[str, str]:
        """Each on its own: one that fails keeps no other from being undone. Those that did, with what was said."""
        if not entries:
            return {}
        with self._fleet.awaiting(self._mac.name, f"taking back {count(len(entries), 'change')}"):
            results = self._line.run([take_back(self._mac.paths, entry) for entry in entries])
        return {entry.what: _said(result) for entry, result in zip(entries, results, strict=True) if not result.ok}

    def _clear(self, undo: Undo) -> None:
        """As root, in one trip; the lock goes with its directory."""
        paths = self._mac.paths
        # Directories that had to be made for macfleet's own could not go while those were there.
        empty = [remove_if_empty(path).argv for path in made_for(undo.entries)]
        clear = _script([("rm", "-rf", paths.home, paths.logs), *empty])
        forget = shlex.join(("sh", "-c", _KEEP_LEDGER, "sh", paths.state) if undo.keeps_ledger else ("rm", "-rf", paths.state))
        commands = (
            command("sh", "-c", clear, sudo=True, timeout_s=_CLEAR_TIMEOUT_S),
            take_back_as_root(paths, undo.access, then=forget),
        )
        results = self._line.apply(commands)
        if len(results) < len(commands) or not results[-1].ok:
            raise self._not_cleared(results, undo)
        self._hold.released(self._mac)

    def _must_be_gone(self, undo: Undo) -> None:
        """Read again over the line that still stands: a new login may have to fail by now."""
        directories, labels = own_directories(self._mac.paths), own_jobs(self._mac.paths)
        facts = read_facts(self._line, (directories, labels))
        there, loaded = facts[directories], facts[labels]
        found = (*_known(there), *_known(loaded))
        still = [each for each in found if not (undo.keeps_ledger and each == self._mac.paths.state)]
        if still:
            raise MacfleetError(
                f"still there on {self._mac.name}: {', '.join(still)}", mac=self._mac.name, hint="run the same command again"
            )

    def _not_cleared(self, results: Sequence[Result], undo: Undo) -> CommandFailed:
        is_access_touched = bool(undo.access) and len(results) > 1
        access = "the access that `enroll` made may be gone already" if is_access_touched else "macfleet can still log in there"
        return CommandFailed(
            f"{self._mac.name}: the last of it could not be removed: {_said(results[-1])}",
            mac=self._mac.name,
            truths=["every setting is as it was before macfleet", access],
            hint="run the same command again",
        )


def made_for(entries: Sequence[Entry]) -> list[str]:
    """The directories that these entries would remove as soon as nothing lies in them, the innermost first."""
    words = [argv for entry in entries for argv in entry.undo]
    found = {argv[-1] for argv in words if argv == ("sudo", "-n", *remove_if_empty(argv[-1]).argv)}
    return sorted(found, key=lambda path: (-path.count("/"), path))


def _known(value: tuple[str, ...] | Unknown) -> tuple[str, ...]:
    return () if isinstance(value, Unknown) else value


def _script(steps: Sequence[Sequence[str]]) -> str:
    return " && ".join(shlex.join(step) for step in steps)


def _said(result: Result) -> str:
    lines = (result.stderr.strip() or result.stdout.strip()).splitlines()
    return lines[-1].strip() if lines else result.failure()


def _moved(mac: Mac) -> MacfleetError:
    return MacfleetError(
        f"{mac.name} has other things to take back than when they were shown: nothing was done there",
        mac=mac.name,
        hint="run the same command again and look at the new list",
    )
