"""Where a run is written down while it goes on, so that `--resume` can go on with it: beside the inventory.

One JSON line for the plan that was agreed to, one for each change that was made, one for each Mac that is as wanted. Only
ever appended to: what a SIGKILL leaves is whole up to its last line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from macfleet.core.errors import RequestError
from macfleet.inventory.mac import Inventory
from macfleet.serving.plan_file import SavedPlan, plan_of


@dataclass(frozen=True)
class Unfinished:
    """A run that was begun and is not done: its plan, the tasks that made their changes, the Macs that are as wanted."""

    plan: SavedPlan
    made: Mapping[str, tuple[str, ...]]
    finished: frozenset[str] = frozenset()

    @property
    def left(self) -> tuple[str, ...]:
        return tuple(mac for mac in self.plan.macs if mac not in self.finished)


class RunFile:
    """The run that stands, if one does. A new run takes its place."""

    def __init__(self, inventory: Inventory):
        self.path = inventory.state_dir / "run.jsonl"

    def begin(self, run: Unfinished) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        neighbour = self.path.with_suffix(".new")
        lines = [
            run.plan.as_json(),
            *({"made": task, "mac": mac} for mac, tasks in run.made.items() for task in tasks),
            *({"finished": mac} for mac in sorted(run.finished)),
        ]
        with open(os.open(neighbour, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())  # on the disk before anything is done because of it
        neighbour.replace(self.path)

    def made(self, mac: str, task: str) -> None:
        self._append({"made": task, "mac": mac})

    def finished(self, mac: str) -> None:
        self._append({"finished": mac})

    def load(self) -> Unfinished | None:
        """None when no run stands. Raises RequestError when nobody understands the file."""
        if not self.path.exists():
            return None
        return parse_run(self.path.read_text(encoding="utf-8", errors="replace"), self.path)

    def standing(self) -> Unfinished | None:
        """`load`, for who does not depend on it: a file that nobody understands is none."""
        try:
            return self.load()
        except RequestError:
            return None

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def _append(self, line: dict[str, str]) -> None:
        # One write for a line: the Macs' threads do not mix theirs. A run goes on without it, and is only resumed less exactly.
        try:
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        except FileNotFoundError:
            return
        try:
            os.write(file, json.dumps(line, ensure_ascii=False).encode() + b"\n")
        finally:
            os.close(file)


def begun(plan: SavedPlan, made: Mapping[str, tuple[str, ...]], finished: Iterable[str], standing: Unfinished | None) -> Unfinished:
    """A new run. What an older one of the same words still has to do on other Macs is not forgotten."""
    if standing is None or not plan.has_the_words_of(standing.plan):
        return Unfinished(plan, made, frozenset(finished))
    others = {mac: standing.plan.macs[mac] for mac in standing.left if mac not in plan.macs}
    made_there = {mac: standing.made[mac] for mac in others if mac in standing.made}
    return Unfinished(replace(plan, macs={**plan.macs, **others}), {**made, **made_there}, frozenset(finished))


def parse_run(text: str, path: Path) -> Unfinished:
    """A last line that was cut short does not count; anything else that is not understood is an error."""
    *lines, _ = text.split("\n")
    try:
        head, *rest = [json.loads(line) for line in lines]
        return _unfinished(plan_of(head), rest)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RequestError(
            f"{path} holds no run that this macfleet understands",
            hint="run the same command again without --resume: what is done already is not done twice",
        ) from error


def _unfinished(plan: SavedPlan, rest: list[dict[str, Any]]) -> Unfinished:
    made: dict[str, tuple[str, ...]] = {}
    for line in rest:
        if "made" in line:
            made[line["mac"]] = (*made.get(line["mac"], ()), line["made"])
    return Unfinished(plan, made, frozenset(line["finished"] for line in rest if "finished" in line))
