"""The only place that prints. stdout is the answer, stderr the conversation; colour repeats what the words say."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, NoReturn

from rich.console import Console
from rich.text import Text

from macfleet.cli import first_word
from macfleet.cli.progress import Progress
from macfleet.core.errors import MacfleetError
from macfleet.core.finding import Finding, Verdict
from macfleet.core.outcome import Outcome
from macfleet.core.result import Result
from macfleet.core.secret import Secret
from macfleet.core.units import format_duration

_STYLES = {
    "ok": "green",
    "done": "green",
    "ready": "green",
    "as wanted": "green",
    "running": "green",
    "changed": "yellow",
    "would change": "yellow",
    "differs": "yellow",
    "warn": "yellow",
    "unknown": "magenta",
    "fail": "red",
    "failed": "red",
    "unreachable": "red",
    "down": "red",
}

_REDRAW_S = 0.1
_MOST_LINES = 24


class Output:
    """What one command says. `quiet` silences the conversation, never the answer or an error."""

    def __init__(
        self,
        *,
        json_wanted: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        stdout: IO[str] | None = None,
        stderr: IO[str] | None = None,
    ):
        self.json_wanted = json_wanted
        self.quiet = quiet
        self.verbose = verbose
        first_word.take_back()
        self._out = _Answers(file=stdout or sys.stdout, highlight=False, markup=False, soft_wrap=True)
        self._err = Console(file=stderr or sys.stderr, highlight=False, markup=False, soft_wrap=True)
        self._lock = threading.Lock()
        self._watcher: Watcher | None = None

    @property
    def is_terminal(self) -> bool:
        return self._err.is_terminal

    # --- the answer (stdout)

    def answer(self, text: str | Text = "") -> None:
        with self._lock:
            (self._err if self._is_under_a_live_line() else self._out).print(text)

    def fragment(self, text: str) -> None:
        """A piece of an answer that is still coming: printed at once, without a line end, and not behind the live line."""
        if self._watcher is not None and self._watcher.is_live:
            self._watcher.rest()
        self._write(text)

    def json(self, value: object) -> None:
        self._write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def _write(self, text: str) -> None:
        with self._lock:
            try:
                self._out.file.write(text)
                self._out.file.flush()
            except BrokenPipeError:
                _nobody_reads_on()

    def mac_line(self, mac: str, status: str, text: str = "", *, width: int = 0, duration_s: float | None = None) -> None:
        """`studio-1  changed  sysctl iogpu.wired_limit_mb 0 → 458752  0.4 s`."""
        line = Text(f"{mac:<{width}}  ") + Text(f"{status:<12}", style=_STYLES.get(status, ""))
        if text:
            line += Text(f" {text}")
        if duration_s is not None:
            line += Text(f"  {format_duration(duration_s)}", style="dim")
        self.answer(line)

    def finding(self, finding: Finding, *, on: str = "") -> None:
        """One finding: a line when it is as wanted; where, want, why and hint when it is not."""
        head = Text(f"{finding.check:<22}") + Text(f"{finding.verdict.value:<8}", style=_STYLES[finding.verdict.value])
        self.answer(head + Text(finding.have))
        if finding.verdict is Verdict.OK:
            return
        for word, said in (("on", on), ("want", finding.want), ("why", finding.why), ("hint", finding.hint)):
            if said:
                self.answer(Text(f"{'':<22}{word + ':':<8}", style="dim") + Text(said, style="cyan" if word == "hint" else ""))

    def _is_under_a_live_line(self) -> bool:
        """On a terminal that shows both, who draws the live line prints above it; else the answer would begin behind it."""
        return self._watcher is not None and self._watcher.is_live and self._out.is_terminal and self._err.is_terminal

    # --- the conversation (stderr)

    def talk(self, text: str | Text) -> None:
        if not self.quiet:
            with self._lock:
                self._err.print(text)

    def warn(self, text: str) -> None:
        self.talk(Text("warning: ", style="yellow") + Text(text))

    def next_step(self, command: str) -> None:
        """The next command, to copy."""
        self.talk(Text("next: ", style="dim") + Text(command, style="cyan"))

    def error(self, error: MacfleetError) -> None:
        lines = [Text("error: ", style="red") + Text(str(error))]
        lines += [Text(f"  {truth}") for truth in error.truths]
        if error.hint:
            lines.append(Text("  hint: ", style="cyan") + Text(error.hint, style="cyan"))
        with self._lock:
            for line in lines:
                self._err.print(line)

    def ask(self, question: str) -> bool:
        """Yes or no from the terminal; only an explicit yes is one."""
        if self._watcher is not None:
            self._watcher.rest()
        with self._lock:
            self._err.print(Text(f"{question} [y/N] "), end="")
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def ask_secret(self, question: str) -> Secret:
        """A line that is typed unseen, on the terminal itself: what is piped into the command is never taken for it."""
        import getpass

        if self._watcher is not None:
            self._watcher.rest()
        with self._lock:
            return Secret(getpass.getpass(f"{question}: "))

    @contextmanager
    def watching(self) -> Iterator[Watcher]:
        """An observer for `Fleet` that says what is awaited, on which Mac, for how long."""
        watcher = self._watcher = Watcher(self, self._err)
        try:
            yield watcher
        finally:
            self._watcher = None
            watcher.stop()


class _Answers(Console):
    """stdout."""

    def on_broken_pipe(self) -> None:
        _nobody_reads_on()


def _nobody_reads_on() -> NoReturn:
    """`macfleet verify | head -1`. rich and typer both end with 1 then, which here means that Macs differ; without an errno
    typer lets the error pass to `cli/app.py`."""
    raise BrokenPipeError from None


class Watcher:
    """Shows which Macs are at work: a live line for each on a terminal, a line every ten seconds elsewhere, each command with -v."""

    def __init__(self, output: Output, console: Console):
        self._output = output
        self._console = console
        self._progress = Progress()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._dark = threading.Event()  # no live line is on the terminal
        self._dark.set()
        self._thread: threading.Thread | None = None

    def started(self, mac: str, doing: str) -> None:
        with self._lock:
            self._progress.start(mac, doing, time.monotonic())
            if self._thread is None and not self._output.quiet:
                self._thread = threading.Thread(target=self._show, name="watcher", daemon=True)
                self._thread.start()

    def result(self, mac: str, result: Result) -> None:
        if self._output.verbose:
            status = "?" if result.exit_status is None else str(result.exit_status)
            self._output.talk(Text(f"{mac}  {result.command}  exit {status}  {format_duration(result.duration_s)}", style="dim"))

    def finished(self, mac: str, outcome: Outcome[Any]) -> None:
        with self._lock:
            self._progress.end(mac, ok=outcome.ok)

    @property
    def is_live(self) -> bool:
        return not self._dark.is_set()

    def rest(self) -> None:
        """Wait until the live lines are gone: they would be drawn over a question again and again."""
        self._dark.wait(timeout=5)

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _show(self) -> None:
        if self._console.is_terminal:
            while not self._stopped.wait(_REDRAW_S):
                self._show_live()
            return
        pause_s = 2.0  # nothing is said of what ends sooner
        while not self._stopped.wait(pause_s):
            pause_s = 10.0
            with self._lock:
                awaited = self._progress.sentence(time.monotonic())
            if awaited:
                self._output.talk(awaited if ": waiting " in awaited else f"waiting for {awaited}")

    def _show_live(self) -> None:
        """The live lines, as long as anything is awaited."""
        from rich.live import Live

        self._dark.clear()  # before the look: who waits for the dark must not slip in between
        if (lines := self._lines()) is not None:
            with Live(lines, console=self._console, transient=True, auto_refresh=False) as live:
                while (lines := self._lines()) is not None and not self._stopped.wait(_REDRAW_S):
                    live.update(lines, refresh=True)
        self._dark.set()

    def _lines(self) -> Text | None:
        """A line for each Mac, in columns; None when nothing is awaited."""
        width, height = self._console.size
        with self._lock:
            lines = self._progress.lines(time.monotonic(), room=max(1, min(_MOST_LINES, height - 4)))
        if not lines:
            return None
        names = min(column_width([who for who, _, _ in lines]), width // 3)
        middle = min(column_width([doing for _, doing, _ in lines]), max(10, width - names - 12))
        shown = []
        for who, doing, how_long in lines:
            line = Text(f"{_cut(who, names):<{names}}  {_cut(doing, middle):<{middle}}  ") + Text(how_long, style="dim")
            line.rstrip()
            shown.append(line)
        return Text("\n").join(shown)


def _cut(text: str, width: int) -> str:
    """A line of the terminal is a line: one that wrapped could not be taken away again."""
    first = text.splitlines()[0] if text else ""
    return first if len(first) <= width else first[: width - 1] + "…"


def column_width(names: Sequence[str]) -> int:
    """The width of a first column that holds these names."""
    return max((len(name) for name in names), default=0)
