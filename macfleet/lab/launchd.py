"""launchd, as far as a fleet of servers uses it: it really starts, watches, throttles and ends processes."""

from __future__ import annotations

import asyncio
import fnmatch
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from macfleet.lab.job import BadPlist, Job, may_run, read_job
from macfleet.lab.processes import Child, Processes
from macfleet.lab.state import State

# What launchctl prints and exits with; see facts on launchd in the README of the lab's programs.
OK = 0
NO_SUCH_PROCESS = 3
IO_ERROR = 5
IN_PROGRESS = 36
ALREADY_IN_PROGRESS = 37
NOT_FOUND = 113

EX_CONFIG = 78
PENDED = "inefficient"  # what it calls the reason in Low Power Mode

# How long a bootout waits for a quick end before it answers "Operation now in progress".
PATIENCE_S = 0.3
# At shutdown nobody waits for a job's whole ExitTimeOut.
SHUTDOWN_PATIENCE_S = 1.0


class RealLaunchd:
    """The system domain of one Mac, from boot to shutdown."""

    def __init__(
        self,
        state: State,
        processes: Processes,
        environment: Callable[[bool, Mapping[str, str]], dict[str, str]],
        program: Callable[[str], str],
        owner: Callable[[Path], tuple[str, str]],
        log: Callable[[str], None],
    ):
        self.jobs: dict[str, Job] = {}
        self._state = state
        self._processes = processes
        self._environment = environment
        self._program = program
        self._owner = owner
        self._log = log
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._children: dict[str, Child] = {}

    def boot(self, directory: Path) -> None:
        """Load every plist of the directory, as at startup; a bad one is logged and left out."""
        for path in sorted(directory.glob("*.plist")):
            self.bootstrap(path)

    def bootstrap(self, path: Path) -> int:
        try:
            job = self._read(path)
        except BadPlist as error:
            self._log(f"launchd: {path.name} refused: {error}")
            return IO_ERROR
        if self._state.has_fault("plist-refused"):
            self._log(f"launchd: {path.name} refused: a fault of the rehearsal")
            return IO_ERROR
        loaded = self.jobs.get(job.label)
        if loaded is not None:
            return ALREADY_IN_PROGRESS if loaded.is_leaving else IO_ERROR
        self.jobs[job.label] = job
        if job.starts_by_itself:
            self._start_unasked(job)
        return OK

    async def bootout(self, label: str) -> int:
        job = self.jobs.get(label)
        if job is None:
            return NO_SUCH_PROCESS
        if job.is_leaving:
            return ALREADY_IN_PROGRESS
        job.is_leaving = True
        leaving = asyncio.ensure_future(self._leave(job))
        done, _ = await asyncio.wait([leaving], timeout=PATIENCE_S)
        return OK if done else IN_PROGRESS

    async def kickstart(self, label: str, *, kill: bool) -> int:
        job = self.jobs.get(label)
        if job is None or job.is_leaving:
            return NOT_FOUND
        if job.pid is not None and not kill:
            return OK
        job.is_stopping = True
        await self._stop(job)
        job.is_stopping = False
        job.pended = ""
        self._start(job)
        return OK

    def kill(self, label: str, signal_number: int) -> int:
        job = self.jobs.get(label)
        if job is None:
            return NOT_FOUND
        if job.pid is None:
            return NO_SUCH_PROCESS
        os.kill(job.pid, signal_number)
        return OK

    async def shutdown(self) -> None:
        """SIGTERM to every job and a moment to obey; the caller ends what is left."""
        self._stop_keeping()
        running = [child for child in self._children.values() if not child.ended.done()]
        for child in running:
            os.kill(child.pid, signal.SIGTERM)
        if running:
            await asyncio.wait([child.ended for child in running], timeout=SHUTDOWN_PATIENCE_S)
        self.forget()

    def forget(self) -> None:
        """The power is gone, and all jobs with it."""
        self._stop_keeping()
        self.jobs.clear()
        self._tasks.clear()
        self._children.clear()

    def _stop_keeping(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    def _read(self, path: Path) -> Job:
        job = read_job(path)
        owner = self._owner(path)
        if owner != ("root", "wheel"):
            raise BadPlist(f"belongs to {':'.join(owner)}, not to root:wheel")
        if self._state.launchd_overrides.get(job.label, bool(job.plist.get("Disabled", False))):
            raise BadPlist("disabled")
        return job

    def _start_unasked(self, job: Job) -> None:
        """In Low Power Mode launchd takes a job and holds it back, `pended nondemand spawn`, until it is kicked."""
        if self._holds_back:
            job.pended = PENDED
        else:
            self._start(job)

    @property
    def _holds_back(self) -> bool:
        return self._state.pmset.get("lowpowermode", 0) == 1

    def _start(self, job: Job) -> None:
        """Begin to keep the job: from now on its task starts it as often as its plist wants."""
        running = self._tasks.get(job.label)
        if running is not None:
            running.cancel()
        self._tasks[job.label] = asyncio.ensure_future(self._keep(job))

    async def _keep(self, job: Job) -> None:
        while True:
            child = self._spawn(job)
            job.exit_code = await asyncio.shield(child.ended) if child else EX_CONFIG
            job.pid, job.state = None, "not running"
            if child and not job.plist.get("AbandonProcessGroup", False):
                self._processes.signal_group(child.pid, signal.SIGKILL)
            if job.is_leaving or job.is_stopping or not job.wants_restart():
                return
            if self._holds_back:
                job.pended = PENDED
                return
            job.state = "spawn scheduled"
            await asyncio.sleep(max(0.0, job.started_at + job.throttle_s - time.monotonic()))

    def _spawn(self, job: Job) -> Child | None:
        job.runs += 1
        job.started_at = time.monotonic()
        program = self._program(self._faulty(job) or job.arguments[0])
        if not may_run(program):
            self._log(f"launchd: {job.label}: cannot run {program}")
            return None
        try:
            child = self._spawn_with_files(job, program)
        except OSError as error:
            self._log(f"launchd: {job.label}: {error}")
            return None
        self._children[job.label] = child
        job.pid, job.state = child.pid, "running"
        return child

    def _faulty(self, job: Job) -> str:
        """In a crash loop each start is one of `false`."""
        return "false" if fnmatch.fnmatch(job.label, self._state.faults.get("crash-loop", "")) else ""

    def _spawn_with_files(self, job: Job, program: str) -> Child:
        out, error = _open_log(job.plist.get("StandardOutPath")), _open_log(job.plist.get("StandardErrorPath"))
        try:
            return self._processes.spawn(
                [program, *job.arguments[1:]],
                env={**self._environment(job.runs_as_root, job.environment), "XPC_SERVICE_NAME": job.label},
                cwd=str(job.plist.get("WorkingDirectory", "/")),
                stdin=subprocess.DEVNULL,
                stdout=out or subprocess.DEVNULL,
                stderr=error or subprocess.DEVNULL,
            )
        finally:
            for file in (out, error):
                if file:
                    file.close()

    async def _leave(self, job: Job) -> None:
        await self._stop(job)
        self.jobs.pop(job.label, None)
        self._tasks.pop(job.label, None)
        self._children.pop(job.label, None)

    async def _stop(self, job: Job) -> None:
        """SIGTERM, then after ExitTimeOut SIGKILL to the whole group; ends when the process is gone."""
        child = self._children.get(job.label)
        if child is not None and not child.ended.done():
            job.state = "SIGTERMed"
            os.kill(child.pid, signal.SIGTERM)
            done, _ = await asyncio.wait([child.ended], timeout=job.exit_timeout_s)
            if not done:
                self._processes.signal_group(child.pid, signal.SIGKILL)
                await asyncio.wait([child.ended])
        task = self._tasks.get(job.label)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        if child is not None and child.ended.done():
            job.pid, job.exit_code, job.state = None, child.ended.result(), "not running"


def _open_log(path: object) -> IO[bytes] | None:
    """Opened once, appended to, never rotated: as launchd does. A missing directory is the job's failure."""
    return open(str(path), "ab") if path else None
