"""What is awaited right now, in lines: a Mac, what it is doing, for how long. Pure; `output.Watcher` shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from macfleet.cli.folding import fold_names
from macfleet.core.units import format_duration


@dataclass(frozen=True)
class Awaited:
    """Somebody (a Mac, a service) who is doing something since a moment of the monotonic clock."""

    who: str
    doing: str
    since: float


@dataclass
class Progress:
    """Who is under way, and how many have ended since anybody was.

    A Mac may be waited for twice over: a run that asks it something while another question is open. The inner one is what it
    is doing, the outer one goes on afterwards.
    """

    awaited: list[Awaited] = field(default_factory=list)
    ended: int = 0
    failed: int = 0

    def start(self, who: str, doing: str, now: float) -> None:
        if not self.awaited:
            self.ended = self.failed = 0
        self.awaited.append(Awaited(who, doing or "working", now))

    def end(self, who: str, *, ok: bool) -> None:
        last = next((entry for entry in reversed(self.awaited) if entry.who == who), None)
        if last is None:
            return
        self.awaited.remove(last)
        if all(entry.who != who for entry in self.awaited):
            self.ended += 1
            self.failed += not ok

    def sentence(self, now: float) -> str:
        """The one that is awaited longest, and how many more; empty when nobody is."""
        if not self.awaited:
            return ""
        slowest = min(self.awaited, key=lambda entry: entry.since)
        others = len({entry.who for entry in self.awaited}) - 1
        more = f" and {others} more" if others else ""
        return f"{slowest.who}{more}: {slowest.doing} ({format_duration(now - slowest.since)})"

    def lines(self, now: float, room: int) -> list[tuple[str, str, str]]:
        """(who, doing, how long), a line for each, at most `room` of them: too many are folded by what they are doing."""
        inner: Mapping[str, Awaited] = {entry.who: entry for entry in self.awaited}
        rows = [(who, entry.doing, entry.since) for who, entry in inner.items()]
        if len(rows) > room:
            rows = _folded(rows, room)
        lines = [(who, doing, format_duration(max(0.0, now - since))) for who, doing, since in rows]
        return [*lines, *self._tail()] if lines else []

    def _tail(self) -> list[tuple[str, str, str]]:
        if not self.ended:
            return []
        done, failed = self.ended - self.failed, self.failed
        return [("", ", ".join(word for number, word in ((done, f"{done} done"), (failed, f"{failed} failed")) if number), "")]


def _folded(rows: Sequence[tuple[str, str, float]], room: int) -> list[tuple[str, str, float]]:
    """Rows that say the same become one, since the first of them; what is awaited longest stands first and is never cut off."""
    groups: dict[str, list[tuple[str, str, float]]] = {}
    for row in rows:
        groups.setdefault(row[1], []).append(row)
    folded = [(fold_names([who for who, _, _ in group]), doing, min(since for _, _, since in group)) for doing, group in groups.items()]
    folded.sort(key=lambda row: row[2])
    if len(folded) <= room:
        return folded
    hidden = sum(len(groups[doing]) for _, doing, _ in folded[room - 1 :])
    return [*folded[: room - 1], (f"{hidden} more", "at other things", folded[room - 1][2])]
