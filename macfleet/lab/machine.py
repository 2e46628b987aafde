"""One simulated Mac as a machine: it boots, waits at a locked disk, sleeps, restarts and loses power."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine
from typing import Any

from macfleet.lab.commands.last import record
from macfleet.lab.environment import job_environment, program_path
from macfleet.lab.launchd import RealLaunchd
from macfleet.lab.ownership import owner_of
from macfleet.lab.paths import MacDir
from macfleet.lab.preferences import stored_bridge
from macfleet.lab.processes import Processes
from macfleet.lab.sshd import Sshd
from macfleet.lab.state import Kernel, Power, State, load_state, save_text
from macfleet.lab.world import World

# A real Mac takes one to three minutes; a rehearsal only has to be away long enough to be noticed.
RESTART_S = 1.0


class Machine:
    """Holds all that runs on one Mac. Every change of power is written to state.json, where the neighbours look."""

    def __init__(self, directory: MacDir):
        self.dir = directory
        self.state: State = load_state(directory.state)
        self.processes = Processes(directory.path)
        self.sshd = Sshd(directory, self.state, self.processes)
        self.launchd = RealLaunchd(
            self.state,
            self.processes,
            environment=lambda is_root, wanted: job_environment(directory, is_root, wanted),
            program=lambda program: program_path(directory, program),
            owner=lambda path: owner_of(self.state, path),
            log=log,
        )
        self.world = World(self.state, Kernel(), directory, self.launchd, restart=self.restart, halt=self.halt)
        self._saved = ""
        self._going: asyncio.Task[None] | None = None

    def save(self) -> None:
        """Written only when something changed: every writing makes the neighbours read."""
        text = self.state.model_dump_json(indent=1)
        if text != self._saved and self.dir.state.exists():  # a deleted rehearsal stays deleted
            save_text(text, self.dir.state)
            self._saved = text

    async def power_on(self) -> None:
        """From cold. With FileVault on the Mac stops at its locked disk, where only a password helps.

        Not the very first time: somebody sat before it in Setup Assistant.
        """
        self.state.ssh_port = self.sshd.port
        if self.state.filevault and self.state.boots:
            self._become(Power.LOCKED)
            await self.sshd.lock(lambda: self._go(self._boot))
            return
        await self._boot()

    async def power_off(self) -> None:
        """The plug is pulled: nobody gets a signal they could answer."""
        self.sshd.close()
        self.launchd.forget()
        await self.processes.end_all()
        self._become(Power.OFF)

    async def unlock(self) -> None:
        if self.state.power is Power.LOCKED:
            await self._boot()

    def restart(self) -> None:
        self._go(self._restart)

    def halt(self) -> None:
        self._go(self._shut_down)

    def sleep(self) -> None:
        """Everything stands still: connections stay open and silent, processes keep what they hold."""
        self.sshd.freeze()
        self.processes.signal_all(signal.SIGSTOP)
        self._become(Power.ASLEEP)

    async def wake(self) -> None:
        self.processes.signal_all(signal.SIGCONT)
        await self.sshd.open()
        self.sshd.thaw()
        self._become(Power.ON)

    async def quit(self) -> None:
        """The simulation ends, and nothing of this Mac runs on. No power cut: the next start will be a clean one."""
        if self.state.power in (Power.ON, Power.ASLEEP):
            record(self.state, "shutdown", time.time())
        await self.power_off()

    def _go(self, steps: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin what takes a moment. A Mac that is already on its way somewhere is not sent twice."""
        if self._going is None or self._going.done():
            self._going = asyncio.ensure_future(_logged(steps))

    async def _restart(self) -> None:
        await self._shut_down()
        await asyncio.sleep(RESTART_S)
        if not self.state.has_fault("mac-down"):  # with it, the Mac does not come back until it is healed
            await self.power_on()

    async def _shut_down(self) -> None:
        record(self.state, "shutdown", time.time())
        self.sshd.close()
        await self.launchd.shutdown()
        await self.power_off()

    async def _boot(self) -> None:
        start_kernel(self.world)
        self._become(Power.ON)
        self.launchd.boot(self.dir.root / "Library/LaunchDaemons")
        await self.sshd.open()

    def _become(self, power: Power) -> None:
        self.state.power = power
        if power is not Power.ON and power is not Power.ASLEEP:
            self.state.has_rdma = False
        self.save()


def start_kernel(world: World) -> None:
    """What a boot makes new: session and clock, every sysctl, RDMA as its switch stands, and the bridge.

    configd makes the bridge that the stored preferences name, and puts their ports into it, at every boot.
    """
    stored = stored_bridge(world.dir)
    world.kernel = Kernel(
        has_bridge=stored is not None,
        bridge_is_up=stored is not None,
        bridge_members=[each for each in stored or [] if world.port_of(each)],
    )
    world.state.faults.pop("wired-leak", None)
    world.state.boots += 1
    record(world.state, "reboot", world.kernel.booted_at)
    world.state.boot_session = world.kernel.boot_session
    world.state.has_rdma = world.state.rdma_enabled and world.hardware.has_rdma


async def _logged(steps: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        await steps()
    except Exception as error:
        log(f"{steps.__name__}: {error!r}")
        raise


def log(line: str) -> None:
    """The simulator's own log: its stdout, which `lab up` sends to a file."""
    print(time.strftime("%H:%M:%S"), line, flush=True)
