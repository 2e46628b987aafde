"""What the lab may do to a simulated Mac from outside: the hand on the plug, on the switch in Recovery, on a process."""

from __future__ import annotations

import fnmatch
import os
import signal
from collections.abc import Callable, Mapping
from typing import Any

from macfleet.lab.machine import Machine
from macfleet.lab.state import Power, State

# Starts of a crash loop before anybody looked: one each ten seconds, for half an hour.
CRASHED_BEFORE = 180


class Controls:
    """Each public method is a verb of `remote.ask`; `finish` ends the simulation of this Mac."""

    def __init__(self, machine: Machine, finish: Callable[[], None]):
        self._machine = machine
        self._finish = finish

    async def obey(self, message: Mapping[str, Any]) -> Any:
        arguments = {key: value for key, value in message.items() if key != "verb"}
        return await getattr(self, f"do_{message['verb']}")(**arguments)

    async def do_report(self) -> dict[str, Any]:
        """Everything `lab status` shows of a Mac."""
        machine = self._machine
        jobs = [
            {"label": job.label, "state": job.state, "pid": job.pid, "runs": job.runs, "last_exit": job.exit_code}
            for job in machine.launchd.jobs.values()
        ]
        links = {port.receptacle: machine.world.link(port) for port in machine.state.ports}
        ports = [
            {
                "receptacle": port.receptacle,
                "interface": port.interface,
                "peer": f"{link.peer.name} Thunderbolt {link.peer_port.receptacle}" if link else None,
                "speed_gb_s": link.speed_gb_s if link else None,
            }
            for port in machine.state.ports
            for link in (links[port.receptacle],)
        ]
        processes = [{"pid": pid, "command": command} for pid, command in machine.processes.list_all()]
        return {"state": machine.state.model_dump(mode="json"), "jobs": jobs, "ports": ports, "processes": processes}

    async def do_change(self, changes: dict[str, Any]) -> None:
        """Set fields of the Mac's state, checked against their types."""
        state = self._machine.state
        for key, value in changes.items():
            if key not in State.model_fields:
                raise ValueError(f"a Mac has no {key}")
            setattr(state, key, value)
        self._machine.save()

    async def do_set_fault(self, name: str, detail: str) -> None:
        self._machine.state.faults[name] = detail
        self._machine.save()

    async def do_clear_fault(self, name: str) -> None:
        self._machine.state.faults.pop(name, None)
        self._machine.save()

    async def do_enable_rdma(self) -> None:
        """The trip to Recovery: the switch, and the restart that makes it count, without the restart."""
        state = self._machine.state
        state.rdma_enabled = self._machine.world.hardware.has_rdma
        state.has_rdma = state.rdma_enabled and state.power is Power.ON
        self._machine.save()

    async def do_power_off(self) -> None:
        await self._machine.power_off()

    async def do_power_on(self) -> None:
        if self._machine.state.power is Power.OFF:
            await self._machine.power_on()

    async def do_restart(self) -> None:
        """Returns when the Mac is on its way down; it is back a moment later."""
        self._machine.restart()

    async def do_lock(self) -> None:
        """Cut the power and bring it back, with FileVault on: the Mac waits at its locked disk."""
        await self._machine.power_off()
        self._machine.state.filevault = True
        await self._machine.power_on()

    async def do_unlock(self) -> None:
        await self._machine.unlock()

    async def do_sleep(self) -> None:
        if self._machine.state.power is Power.ON:
            self._machine.sleep()

    async def do_wake(self) -> None:
        if self._machine.state.power is Power.ASLEEP:
            await self._machine.wake()

    async def do_signal(self, jobs: str, number: int) -> list[str]:
        """Send a signal to the processes of all running jobs whose label matches; the labels that were hit."""
        hit = [job for job in self._machine.launchd.jobs.values() if job.pid is not None and fnmatch.fnmatch(job.label, jobs)]
        for job in hit:
            os.kill(job.pid or 0, number)
        return [job.label for job in hit]

    async def do_crash(self, jobs: str) -> list[str]:
        """The jobs like this are in a crash loop by now: many starts, each ended at once. Their labels."""
        hit = await self.do_signal(jobs, signal.SIGKILL)
        for label in hit:
            self._machine.launchd.jobs[label].runs += CRASHED_BEFORE
        return hit

    async def do_restart_jobs(self, jobs: str) -> None:
        """As a bootout and a bootstrap leave them: running, and counted anew."""
        for label in fnmatch.filter(list(self._machine.launchd.jobs), jobs):
            self._machine.launchd.jobs[label].runs = 0
            await self._machine.launchd.kickstart(label, kill=True)

    async def do_quit(self) -> None:
        self._finish()
