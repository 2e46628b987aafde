"""One open line to one Mac."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from macfleet.core.command import Command
from macfleet.core.result import Result


class Connection(Protocol):
    """Runs commands on one Mac. Every method raises an `Unreachable` (or its subclasses) when the line is lost."""

    def run(self, commands: Sequence[Command], then: Sequence[Command] = ()) -> list[Result]:
        """All commands, one after another, as one framed script over one channel. One Result per command, in order.

        A command past its `timeout_s` is stopped and has `exit_status` None; the ones behind it still run.
        `then` only looks: it runs behind them, and its commands may run side by side.
        """
        ...

    def read(self, commands: Sequence[Command]) -> list[Result]:
        """Like `run`, for commands that only read: they may run side by side on the Mac."""
        ...

    def apply(self, commands: Sequence[Command], then: Sequence[Command] = (), last: Sequence[Command] = ()) -> list[Result]:
        """Like `run`, but stops behind the first command that fails: the result list may be shorter than `commands`.

        When none has failed, `then` looks at what came of it, side by side, and `last` runs behind that; both to their end,
        whatever their commands end with.
        """
        ...

    def put(
        self, source: bytes | Path | Iterable[bytes], path: str, *, mode: int = 0o644, owner: str | None = None, sudo: bool = False
    ) -> None:
        """Write a whole file, atomically: a temporary neighbour, checked by SHA-256, then renamed. Streams a Path and pieces."""
        ...

    def get(self, path: str, *, sudo: bool = False) -> bytes: ...

    def follow(self, command: Command, on_line: Callable[[str], None]) -> Result:
        """Run one command without end (`tail -f`) and hand over each line as it comes."""
        ...

    def tunnel(self, port: int, host: str = "127.0.0.1") -> AbstractContextManager[int]:
        """A local port that leads to `host:port` as seen from the Mac."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether the line still stands, as far as anybody has noticed."""
        ...

    def abort(self) -> None:
        """End what is under way, from another thread, and keep the line: its commands are stopped on the Mac."""
        ...

    def close(self) -> None: ...
