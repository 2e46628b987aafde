"""A fleet that serves: provisioned, with smollm2-135m on three of its four Macs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.rehearsal.stage import Stage, rehearsal

MODEL = "smollm2-135m"
SERVICE = "chat"


@contextmanager
def served(folder: Path) -> Iterator[Stage]:
    """The fleet inside the block, its service `chat` ready on the first three Macs."""
    with rehearsal(folder, "--macs", "4") as stage:
        stage.must("lab", "model", MODEL)
        stage.must("provision", "--yes")
        deploy(stage)
        yield stage


def deploy(stage: Stage, *words: str, exit_code: int = 0) -> Any:
    macs = ",".join(macs_of(stage)[:3])
    return stage.must("deploy", "--model", MODEL, "--name", SERVICE, "--macs", macs, "--yes", *words, exit_code=exit_code)


def macs_of(stage: Stage) -> list[str]:
    return list(yaml.safe_load(stage.inventory.read_text())["macs"])


def status_of(stage: Stage) -> dict[str, Any]:
    """The one service there is, as `status --json` shows it, well or not."""
    return stage.type("status", "--json").json["services"][0]


def base_url(stage: Stage) -> str:
    return f"http://127.0.0.1:{status_of(stage)['port']}"


def eventually(is_so: Callable[[], bool], what: str, deadline_s: float = 90) -> None:
    """Wait for a condition, never for a time."""
    end = time.monotonic() + deadline_s
    while not is_so():
        assert time.monotonic() < end, f"not within {deadline_s:.0f} s: {what}"
        time.sleep(0.3)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
