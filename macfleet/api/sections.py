"""What a model writes besides its answer, by the marks it puts around it: reasoning, tool calls, headers. Pure.

Text is matched and not token ids, because a mark's last sign may have been drawn into one token with what follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Section(StrEnum):
    """Sections that mean something to a client; what a model has besides (a header) is shown to nobody."""

    ANSWER = "normal"  # mlx-lm's names
    REASONING = "reasoning"
    TOOL = "tool"


@dataclass(frozen=True)
class Marks:
    """Section → the marks that end it, each with the section that begins there. Without marks all is answer."""

    edges: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    first: str = Section.ANSWER

    def without(self, *sections: str) -> Marks:
        """As if the model had no such sections: their text is answer."""
        edges = {
            name: [(mark, into) for mark, into in found if into not in sections]
            for name, found in self.edges.items()
            if name not in sections
        }
        return Marks(edges, self.first)


class Sections:
    """Cuts a text that arrives in pieces at the marks, and leaves the marks out."""

    def __init__(self, marks: Marks, first: str | None = None):
        self._marks = marks
        self._section = first or marks.first
        self._held = ""

    @property
    def section(self) -> str:
        """Where the text stands now."""
        return self._section

    def push(self, text: str) -> list[tuple[str, str]]:
        """(section, text) of what is certain now. What may be the beginning of a mark waits for the next piece."""
        cut, rest = [], self._held + text
        while (hit := self._next_mark(rest)) is not None:
            at, mark, into = hit
            cut.append((self._section, rest[:at]))
            self._section, rest = into, rest[at + len(mark) :]
        keep = self._doubtful(rest)
        self._held = rest[len(rest) - keep :]
        cut.append((self._section, rest[: len(rest) - keep]))
        return cut

    def flush(self) -> tuple[str, str]:
        """The end: what waited was no mark after all."""
        held, self._held = self._held, ""
        return self._section, held

    def _next_mark(self, text: str) -> tuple[int, str, str] | None:
        """The mark that comes first; of two at one place the longer."""
        found = [(text.find(mark), mark, into) for mark, into in self._edges() if mark in text]
        return min(found, key=lambda hit: (hit[0], -len(hit[1]))) if found else None

    def _doubtful(self, text: str) -> int:
        """How many signs at the end may begin a mark."""
        marks = [mark for mark, _ in self._edges()]
        longest = min(max((len(mark) - 1 for mark in marks), default=0), len(text))
        tails = (count for count in range(longest, 0, -1) if any(mark.startswith(text[-count:]) for mark in marks))
        return next(tails, 0)

    def _edges(self) -> Sequence[tuple[str, str]]:
        return self._marks.edges.get(self._section, ())
