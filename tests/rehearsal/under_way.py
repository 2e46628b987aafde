"""A command that is still running while the story goes on, in a process group of its own as a terminal gives it one."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.rehearsal.stage import MACFLEET, Ended, Stage


class UnderWay:
    """What it says goes to files, so that it never waits for somebody to read it."""

    def __init__(self, stage: Stage, *words: str):
        self.words = words
        self._stdout, self._stderr = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")  # noqa: SIM115  closed by `close`
        self._process = subprocess.Popen(
            [MACFLEET, *words],
            env={**stage.environment, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=self._stdout,
            stderr=self._stderr,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def until_it_says(self, text: str, deadline_s: float = 90) -> None:
        self.until(lambda: text in self.said().stderr, f'it says "{text}"', deadline_s)

    def until(self, is_so: Callable[[], object], what: str, deadline_s: float = 90) -> None:
        """Wait for a condition while the command runs; one that ends before has missed its part in the story."""
        end = time.monotonic() + deadline_s
        while not is_so():
            assert self._process.poll() is None, f"it ended before {what}: {self.said()}"
            assert time.monotonic() < end, f"not within {deadline_s:.0f} s: {what}: {self.said()}"
            time.sleep(0.02)

    def said(self) -> Ended:
        """Everything until now; exit code -1 while it runs."""
        code = self._process.poll()
        return Ended(self.words, -1 if code is None else code, _text(self._stdout), _text(self._stderr))

    def press_ctrl_c(self, deadline_s: float = 60) -> Ended:
        """As a terminal does: SIGINT to the whole group. What it said until its end."""
        self.signal(signal.SIGINT)
        return self.end(deadline_s)

    def signal(self, number: signal.Signals) -> None:
        os.killpg(self.pid, number)

    def end(self, deadline_s: float = 300) -> Ended:
        self._process.wait(timeout=deadline_s)
        return self.said()

    def close(self) -> None:
        if self._process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
        self._stdout.close()
        self._stderr.close()


@contextmanager
def under_way(stage: Stage, *words: str) -> Iterator[UnderWay]:
    """The command runs inside the block and not behind it."""
    running = UnderWay(stage, *words)
    try:
        yield running
    finally:
        running.close()


def _text(file: object) -> str:
    return os.pread(file.fileno(), 1 << 20, 0).decode(errors="replace")  # the command's own place in the file stays
