"""Simulated Macs for tests that need no process: their state, their kernel, and the programs asked directly."""

import asyncio
import inspect
from pathlib import Path

from macfleet.core.result import Result
from macfleet.inventory import hardware
from macfleet.lab.commands import PROGRAMS
from macfleet.lab.job import read_job
from macfleet.lab.machine import start_kernel
from macfleet.lab.make import make_fleet
from macfleet.lab.paths import LabDir
from macfleet.lab.state import Power, load_state, save_state
from macfleet.lab.world import Call, World


class IdleLaunchd:
    """Loads jobs and starts none."""

    def __init__(self):
        self.jobs = {}

    def bootstrap(self, path: Path) -> int:
        job = read_job(path)
        job.pid, job.state, job.runs = 4711, "running", 1
        self.jobs[job.label] = job
        return 0


def make_macs(
    directory: Path, *names: str, kind: str = "mac-studio-m3-ultra", memory_gib: int = 512, as_shipped: bool = False
) -> list[World]:
    """These Macs, cabled and booted."""
    lab = LabDir(directory)
    make_fleet(lab, hardware.find(kind), names, [memory_gib] * len(names), as_shipped)
    worlds = [World(load_state(lab.mac(name).state), None, lab.mac(name), IdleLaunchd()) for name in names]
    for world in worlds:
        world.state.power = Power.ON
        start_kernel(world)
        save(world)
    return worlds


def save(world: World) -> None:
    """Let the neighbours see this Mac as it is now."""
    save_state(world.state, world.dir.state)


def run(world: World, *argv: str, is_root: bool = False, cwd: str = "/"):
    """An emulated program's reply."""
    reply = PROGRAMS[argv[0]](world, Call(argv, is_root=is_root, cwd=cwd))
    return asyncio.run(reply) if inspect.isawaitable(reply) else reply


def answer(world: World, fact):
    """What a fact understands of this Mac, asked command by command; `sudo` is only ever answered by a real shell."""
    return fact.understand([_result(world, command) for command in fact.commands])


def _result(world: World, command) -> Result:
    reply = run(world, *command.argv, is_root=command.sudo)
    stdout = reply.stdout if isinstance(reply.stdout, str) else reply.stdout.decode()
    return Result(command, reply.exit_status, stdout, reply.stderr)
