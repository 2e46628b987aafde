"""One simulated Mac as a process: `python -m macfleet.lab.mac DIR/macs/studio-1`. Ends when it is told to or its directory is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from macfleet.lab.calls import Calls
from macfleet.lab.control import Controls
from macfleet.lab.machine import Machine, log
from macfleet.lab.paths import MacDir

WATCH_S = 0.5


async def live(directory: MacDir) -> None:
    """Boot the Mac and keep it until the end of the rehearsal."""
    machine = Machine(directory)
    over = asyncio.Event()
    machine.processes.listen()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, told: log(f"{told['message']}: {told.get('exception')!r}"))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, over.set)
    machine.state.simulator_pid = os.getpid()
    controls = Controls(machine, over.set)
    server = await Calls(machine.world, machine.save, controls.obey, log).listen(machine.state.socket)
    log(f"{directory.name} starts as process {os.getpid()}")
    try:
        await machine.power_on()
        await _watch(directory, machine, over)
    finally:
        server.close()
        await machine.quit()
        with contextlib.suppress(OSError):
            os.unlink(machine.state.socket)
            os.rmdir(os.path.dirname(machine.state.socket))  # the last Mac turns off the light


async def _watch(directory: MacDir, machine: Machine, over: asyncio.Event) -> None:
    """Until told to end, or until somebody deletes the rehearsal: nobody could end it later."""
    told = asyncio.ensure_future(over.wait())
    while not told.done() and directory.state.exists():
        await asyncio.wait([told], timeout=WATCH_S)
        machine.processes.forget_empty_groups()
    told.cancel()


if __name__ == "__main__":
    os.setsid()  # away from the terminal of `lab up`
    os.chdir("/")
    asyncio.run(live(MacDir(Path(sys.argv[1]))))
