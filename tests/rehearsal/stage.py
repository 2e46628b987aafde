"""A rehearsal fleet for a story: the real command line in real processes, taken down at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MACFLEET = str(Path(sys.executable).with_name("macfleet"))


@dataclass(frozen=True)
class Ended:
    """One command of the story, as its operator saw it."""

    words: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def lines(self) -> dict[str, str]:
        """Mac → what the line about it says first."""
        return {line.split()[0]: line.split()[1] for line in self.stdout.splitlines() if line.startswith("studio-")}

    def __str__(self) -> str:
        return f"$ macfleet {' '.join(self.words)}\n{self.stdout}{self.stderr}[exit {self.exit_code}]"


class Stage:
    """A fleet in `folder`, and an operator who types commands."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.inventory = folder / "inventory.yaml"
        self.environment = {**os.environ, "MACFLEET_INVENTORY": str(self.inventory), "COLUMNS": "200", "NO_COLOR": "1"}

    def root(self, mac: str) -> Path:
        """Where this Mac's files are on this machine."""
        return self.folder / "macs" / mac / "root"

    def type(self, *words: str, timeout_s: float = 300) -> Ended:
        ended = subprocess.run(
            [MACFLEET, *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Ended(words, ended.returncode, ended.stdout, ended.stderr)

    def must(self, *words: str, exit_code: int = 0, timeout_s: float = 300) -> Ended:
        """Type a command that has to end with `exit_code`; the whole session is shown when it does not."""
        ended = self.type(*words, timeout_s=timeout_s)
        assert ended.exit_code == exit_code, str(ended)
        return ended

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A command that is still running while the story goes on; the story ends it."""
        return subprocess.Popen(
            [MACFLEET, *words], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )


@contextmanager
def rehearsal(folder: Path, *lab_options: str) -> Iterator[Stage]:
    """A fleet that is up inside the block and gone after it, whatever happened."""
    stage = Stage(folder)
    try:
        stage.must("lab", "up", "--dir", str(folder), *lab_options)
        yield stage
    finally:
        stage.type("lab", "down", "--dir", str(folder))
