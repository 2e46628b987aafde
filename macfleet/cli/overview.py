"""The help of `macfleet` itself, in the look of its commands' help.

Those are drawn by rich, and what typer loads of it takes as long (50 ms) as all the rest that `macfleet --help` does. So this
one page, which is also the one that everybody waits for, is drawn here.
"""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

_WIDEST = 100
_BOLD, _DIM, _CYAN, _YELLOW, _PLAIN = "\033[1m", "\033[2m", "\033[1;36m", "\033[33m", "\033[0m"

Row = tuple[str, str]  # what it is called, what it does


@dataclass(frozen=True)
class Overview:
    """What the page says."""

    usage: str
    text: str
    options: Sequence[Row]
    commands: Sequence[Row]
    end: str


class Page(Protocol):
    def write(self, string: str) -> None: ...


def write_overview(page: Page, overview: Overview, *, columns: int | None = None) -> None:
    """Always with colours: who echoes a page takes them out where nobody sees them."""
    width = min(columns or shutil.get_terminal_size().columns, _WIDEST)
    page.write(f"\n {_YELLOW}Usage:{_PLAIN} {_BOLD}{overview.usage}{_PLAIN}\n\n")
    page.write(_paragraph(overview.text, width))
    for title, rows in (("Options", overview.options), ("Commands", overview.commands)):
        page.write("\n".join(_frame(title, rows, width)) + "\n")
    page.write("\n" + _paragraph(overview.end, width))


def _frame(title: str, rows: Sequence[Row], width: int) -> Iterator[str]:
    name_width = max((len(name) for name, _ in rows), default=0)
    room = max(20, width - name_width - 6)
    side = f"{_DIM}│{_PLAIN}"
    yield f"{_DIM}╭─ {title} {'─' * (width - len(title) - 5)}╮{_PLAIN}"
    for name, does in rows:
        for number, line in enumerate(textwrap.wrap(does, room) or [""]):
            shown = f"{name if number == 0 else '':<{name_width}}"
            yield f"{side} {_CYAN}{shown}{_PLAIN}  {_literals(line)}{' ' * (room - len(line))} {side}"
    yield f"{_DIM}╰{'─' * (width - 2)}╯{_PLAIN}"


def _paragraph(text: str, width: int) -> str:
    return "".join(f" {_literals(line)}\n" for line in textwrap.wrap(" ".join(text.split()), width - 2)) + "\n"


def _literals(text: str) -> str:
    """What stands between backticks, in bold."""
    return re.sub(r"`[^`]+`", lambda found: f"{_BOLD}{found[0]}{_PLAIN}", text)
