"""A line per Mac with how it ended; what many Macs have in common is one line, with all their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from macfleet.cli.folding import fold_names
from macfleet.cli.output import Output, column_width
from macfleet.core.errors import MacfleetError

_FOLDED_FROM = 9  # up to here every Mac has a line of its own: a shelf is read Mac by Mac
_ADDRESS = re.compile(r"\b\d+(\.\d+){3}(:\d+)?\b")


@dataclass(frozen=True)
class MacLine:
    """How one Mac ended: `status` a word, `text` what more there is to say of it, `notes` lines below."""

    mac: str
    status: str
    text: str = ""
    duration_s: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """One line of the answer; `longest_s` is that of its slowest Mac."""

    names: str
    line: MacLine
    longest_s: float | None


def show_outcomes(output: Output, lines: Sequence[MacLine]) -> None:
    """The answer, Mac by Mac in inventory order; of a large fleet what is alike stands where its first Mac stands."""
    rows = rows_of(lines)
    width = column_width([row.names for row in rows])
    for row in rows:
        output.mac_line(row.names, row.line.status, row.line.text, width=width, duration_s=row.longest_s)
        for note in row.line.notes:
            output.answer(f"  {note}")


def rows_of(lines: Sequence[MacLine]) -> list[Row]:
    """Pure: which lines there will be."""
    if len(lines) < _FOLDED_FROM:
        return [Row(line.mac, line, line.duration_s) for line in lines]
    alike: dict[tuple[str, str, tuple[str, ...]], list[MacLine]] = {}
    for line in lines:
        alike.setdefault((line.status, line.text, line.notes), []).append(line)
    return [_row(group) for group in alike.values()]


def _row(group: Sequence[MacLine]) -> Row:
    durations = [line.duration_s for line in group if line.duration_s is not None]
    return Row(fold_names([line.mac for line in group]), group[0], max(durations, default=None))


def show_errors(output: Output, errors: Sequence[tuple[str, MacfleetError]]) -> None:
    """(Mac, its error), each said; one that differs only in the Mac's own name and address is said once, with all their names."""
    alike: dict[str, list[tuple[str, MacfleetError]]] = {}
    for mac, error in errors:
        alike.setdefault(_without_the_mac(mac, error), []).append((mac, error))
    for (_, first), *others in alike.values():
        truths = (*first.truths, f"the same on {fold_names([mac for mac, _ in others])}") if others else first.truths
        output.error(MacfleetError(first.what, mac=first.mac, truths=truths, hint=first.hint))


def _without_the_mac(mac: str, error: MacfleetError) -> str:
    text = "\n".join((str(error), *error.truths, error.hint or ""))
    return _ADDRESS.sub("ADDRESS", re.sub(rf"(?<![\w-]){re.escape(mac)}(?![\w-])", "MAC", text))
