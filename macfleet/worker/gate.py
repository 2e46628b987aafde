"""The gate before the weights: is the GPU's wired limit in force, and is the wired memory of an earlier process really free?"""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Callable
from typing import TypeVar

from macfleet.core.change import Unsupported
from macfleet.core.command import Command
from macfleet.core.errors import ServiceFailed
from macfleet.core.fact import Fact, Unknown
from macfleet.core.result import Result
from macfleet.core.units import format_size
from macfleet.macos.sysctl import WIRED_LIMIT
from macfleet.macos.vm_stat import MEMORY, Memory
from macfleet.worker.config import WiredGate, WorkerConfig

log = logging.getLogger("macfleet.worker")

T = TypeVar("T")
_ASK_AGAIN_S = 2.0


def wait_for_gpu_memory(config: WorkerConfig) -> None:
    """Return when this Mac's memory is as the config's gate wants it. Raises ServiceFailed when it does not become so in time."""
    gate = config.wired_gate
    if gate is None:
        return
    reason = _wait(gate, time.monotonic, time.sleep)
    if reason is not None:
        raise ServiceFailed(f"no weights were loaded after {gate.wait_s:g} s: {reason}", mac=config.mac, hint="see `macfleet verify`")


def closed_because(gate: WiredGate, limit_mib: int | Unsupported | Unknown, memory: Memory | Unknown) -> str | None:
    """Why the gate is closed; None when it is open. Pure."""
    if gate.limit_mib is not None and limit_mib != gate.limit_mib:
        have = f"is {limit_mib} MiB" if isinstance(limit_mib, int) else f"is not known ({limit_mib.reason})"
        return f"the GPU wired limit {have}, wanted {gate.limit_mib} MiB"
    if gate.most_wired_bytes is None:
        return None
    if isinstance(memory, Unknown):
        return f"wired memory is not known ({memory.reason})"
    if memory.wired_bytes > gate.most_wired_bytes:
        have, most = format_size(memory.wired_bytes), format_size(gate.most_wired_bytes)
        return f"{have} are wired already, at most {most} may be: a process still holds them, or one that was killed leaked them"
    return None


def _wait(gate: WiredGate, now: Callable[[], float], sleep: Callable[[float], None]) -> str | None:
    deadline = now() + gate.wait_s
    while True:
        limit_mib, memory = _ask(WIRED_LIMIT), _ask(MEMORY)
        reason = closed_because(gate, limit_mib, memory)
        if reason is None or now() >= deadline:
            return reason
        log.warning("waiting to load: %s", reason)
        sleep(_ASK_AGAIN_S)


def _ask(fact: Fact[T]) -> T | Unknown:
    return fact.understand([_run(command) for command in fact.commands])


def _run(command: Command) -> Result:
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(command.argv, capture_output=True, timeout=command.timeout_s, env=environment, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Result(command, None, reason=str(error))
    return Result(command, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
