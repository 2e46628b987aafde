"""launchd of a simulated Mac, with real processes: what it promises to the jobs of a service."""

import asyncio
import os
import plistlib
import signal
import sys
import time
from contextlib import asynccontextmanager

import pytest

from macfleet.lab.launchd import ALREADY_IN_PROGRESS, EX_CONFIG, IN_PROGRESS, IO_ERROR, NO_SUCH_PROCESS, NOT_FOUND, OK, RealLaunchd
from macfleet.lab.processes import Processes
from macfleet.lab.state import State
from tests.processes import is_alive

LABEL = "dev.macfleet.test"
SLEEP = ["/bin/sh", "-c", "exec sleep 600"]
STUBBORN = ["/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"]


class Mac:
    """One Mac's launchd, and a directory for its plists. Everything is root's unless a test says otherwise."""

    def __init__(self, directory):
        self.directory = directory
        self.state = State(name="studio-1", hardware="Mac15,14", memory_bytes=512 * 1024**3)
        self.processes = Processes(directory)
        self.owner = ("root", "wheel")
        self.said = []
        self.launchd = RealLaunchd(
            self.state,
            self.processes,
            environment=lambda is_root, wanted: {"PATH": os.environ["PATH"], "ROOT": str(is_root), **wanted},
            program=lambda program: program,
            owner=lambda path: self.owner,
            log=self.said.append,
        )

    @property
    def job(self):
        return self.launchd.jobs.get(LABEL)

    def write(self, arguments=SLEEP, **keys):
        path = self.directory / f"{LABEL}.plist"
        path.write_bytes(plistlib.dumps({"Label": LABEL, "ProgramArguments": arguments, "ThrottleInterval": 0, **keys}))
        path.chmod(0o644)
        return path

    def load(self, arguments=SLEEP, **keys):
        assert self.launchd.bootstrap(self.write(arguments, **keys)) == OK
        return self.job


@asynccontextmanager
async def mac_in(directory):
    mac = Mac(directory)
    mac.processes.listen()
    try:
        yield mac
    finally:
        await mac.launchd.shutdown()
        await mac.processes.end_all()


async def until(condition, deadline_s=10.0):
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        await asyncio.sleep(0.01)


def on_a_mac(story):
    """The test is a coroutine that gets a Mac."""

    def test(tmp_path):
        async def tell():
            async with mac_in(tmp_path) as mac:
                await story(mac)

        asyncio.run(tell())

    test.__name__ = story.__name__
    return test


@on_a_mac
async def test_a_job_that_runs_at_load_is_started_by_its_bootstrap(mac):
    job = mac.load(RunAtLoad=True)

    await until(lambda: job.pid)

    assert (job.state, job.runs, job.exit_code) == ("running", 1, None)
    os.kill(job.pid, 0)


@on_a_mac
async def test_a_job_without_run_at_load_waits_for_its_kickstart(mac):
    job = mac.load()
    await asyncio.sleep(0)
    assert (job.state, job.pid, job.runs) == ("not running", None, 0)

    assert await mac.launchd.kickstart(LABEL, kill=False) == OK

    await until(lambda: job.pid)


@on_a_mac
async def test_a_killed_job_that_is_kept_alive_comes_back_as_another_process(mac):
    job = mac.load(KeepAlive=True)
    await until(lambda: job.pid)
    first = job.pid

    os.kill(first, signal.SIGKILL)
    await until(lambda: job.pid not in (None, first))

    assert (job.runs, job.exit_code, job.last_end()) == (2, -9, ("last terminating signal", "Killed: 9"))


@on_a_mac
async def test_keep_alive_unless_successful_lets_a_clean_end_be_one(mac):
    job = mac.load(["/bin/sh", "-c", "exit 0"], KeepAlive={"SuccessfulExit": False})

    await until(lambda: job.exit_code == 0)
    await asyncio.sleep(0.1)

    assert (job.runs, job.state) == (1, "not running")


@on_a_mac
async def test_keep_alive_unless_successful_starts_a_failed_job_again(mac):
    job = mac.load(["/bin/sh", "-c", "exit 3"], KeepAlive={"SuccessfulExit": False})

    await until(lambda: job.runs > 1)

    assert job.exit_code == 3


@on_a_mac
async def test_a_job_that_crashes_at_once_is_held_back_for_its_throttle_interval(mac):
    job = mac.load(["/bin/sh", "-c", "exit 1"], KeepAlive=True, ThrottleInterval=3600)

    await until(lambda: job.state == "spawn scheduled")

    assert (job.runs, job.pid, job.exit_code) == (1, None, 1)


@on_a_mac
async def test_a_kickstart_does_not_wait_for_the_throttle(mac):
    job = mac.load(["/bin/sh", "-c", "exit 1"], KeepAlive=True, ThrottleInterval=3600)
    await until(lambda: job.state == "spawn scheduled")

    await mac.launchd.kickstart(LABEL, kill=False)

    await until(lambda: job.runs == 2)


@on_a_mac
async def test_kickstart_k_replaces_the_running_process(mac):
    job = mac.load(RunAtLoad=True)
    await until(lambda: job.pid)
    first = job.pid

    assert await mac.launchd.kickstart(LABEL, kill=True) == OK

    await until(lambda: job.pid not in (None, first))
    assert not is_alive(first)


@on_a_mac
async def test_bootout_of_an_obedient_job_ends_it_and_forgets_it(mac):
    job = mac.load(RunAtLoad=True)
    await until(lambda: job.pid)
    pid = job.pid

    assert await mac.launchd.bootout(LABEL) == OK

    assert mac.job is None
    assert not is_alive(pid)


@on_a_mac
async def test_bootout_of_a_stubborn_job_goes_on_in_the_background_until_sigkill(mac):
    log = mac.directory / "log"
    job = mac.load(STUBBORN, RunAtLoad=True, ExitTimeOut=1, StandardOutPath=str(log))
    await until(lambda: log.exists() and "ready" in log.read_text())
    pid = job.pid

    assert await mac.launchd.bootout(LABEL) == IN_PROGRESS
    assert mac.launchd.bootstrap(mac.write()) == ALREADY_IN_PROGRESS
    assert is_alive(pid)

    await until(lambda: mac.job is None)
    assert not is_alive(pid)
    assert mac.launchd.bootstrap(mac.write()) == OK


@on_a_mac
async def test_the_end_of_a_job_is_the_end_of_its_process_group(mac):
    log = mac.directory / "log"
    job = mac.load(["/bin/sh", "-c", "sleep 600 & echo $!; wait"], RunAtLoad=True, StandardOutPath=str(log))
    await until(lambda: log.exists() and log.read_text().strip())
    child = int(log.read_text())

    os.kill(job.pid, signal.SIGKILL)

    await until(lambda: not is_alive(child))


@on_a_mac
async def test_a_frozen_job_still_gets_sigkill(mac):
    job = mac.load(RunAtLoad=True, ExitTimeOut=0.2)
    await until(lambda: job.pid)
    os.kill(job.pid, signal.SIGSTOP)

    await mac.launchd.bootout(LABEL)

    await until(lambda: mac.job is None)


@on_a_mac
async def test_output_is_appended_and_the_environment_is_the_plists(mac):
    log = mac.directory / "log"
    log.write_text("before\n")
    job = mac.load(
        ["/bin/sh", "-c", "echo $GREETING $XPC_SERVICE_NAME $ROOT; pwd >&2"],
        RunAtLoad=True,
        EnvironmentVariables={"GREETING": "hello"},
        WorkingDirectory=str(mac.directory),
        StandardOutPath=str(log),
        StandardErrorPath=str(log),
    )

    await until(lambda: job.exit_code == 0)

    assert log.read_text() == f"before\nhello {LABEL} True\n{mac.directory}\n"


@on_a_mac
async def test_a_job_of_another_user_is_not_root(mac):
    log = mac.directory / "log"
    job = mac.load(["/bin/sh", "-c", "echo $ROOT"], RunAtLoad=True, UserName="admin", StandardOutPath=str(log))

    await until(lambda: job.exit_code == 0)

    assert log.read_text() == "False\n"


@pytest.mark.parametrize("keys", [{"StandardOutPath": "/nonexistent/log"}, {"arguments": ["/nonexistent/program"]}])
def test_a_job_that_cannot_be_started_ends_with_ex_config(tmp_path, keys):
    async def tell():
        async with mac_in(tmp_path) as mac:
            job = mac.load(RunAtLoad=True, **keys)

            await until(lambda: job.exit_code is not None)

            assert (job.exit_code, job.last_end()) == (EX_CONFIG, ("last exit code", "78: EX_CONFIG"))

    asyncio.run(tell())


@on_a_mac
async def test_what_is_not_loaded_cannot_be_booted_out_started_or_killed(mac):
    assert await mac.launchd.bootout(LABEL) == NO_SUCH_PROCESS
    assert await mac.launchd.kickstart(LABEL, kill=True) == NOT_FOUND
    assert mac.launchd.kill(LABEL, signal.SIGTERM) == NOT_FOUND


@on_a_mac
async def test_a_job_is_loaded_once(mac):
    path = mac.write()

    assert [mac.launchd.bootstrap(path), mac.launchd.bootstrap(path)] == [OK, IO_ERROR]


@on_a_mac
async def test_a_plist_that_is_not_roots_own_is_refused(mac):
    mac.owner = ("admin", "staff")

    assert mac.launchd.bootstrap(mac.write()) == IO_ERROR
    assert "belongs to admin:staff" in mac.said[0]


@on_a_mac
async def test_a_plist_that_others_may_write_is_refused(mac):
    path = mac.write()
    path.chmod(0o664)

    assert mac.launchd.bootstrap(path) == IO_ERROR


@on_a_mac
async def test_a_file_that_is_no_plist_is_refused(mac):
    path = mac.write()
    path.write_text("<plist>")

    assert mac.launchd.bootstrap(path) == IO_ERROR


@on_a_mac
async def test_a_disabled_job_is_refused_until_it_is_enabled(mac):
    mac.state.launchd_overrides[LABEL] = True
    path = mac.write()
    assert mac.launchd.bootstrap(path) == IO_ERROR

    mac.state.launchd_overrides[LABEL] = False

    assert mac.launchd.bootstrap(path) == OK


@on_a_mac
async def test_at_boot_every_plist_of_the_directory_is_loaded_and_a_bad_one_is_left_out(mac):
    mac.write(RunAtLoad=True)
    (mac.directory / "broken.plist").write_text("?")

    mac.launchd.boot(mac.directory)

    await until(lambda: mac.job.pid)
    assert list(mac.launchd.jobs) == [LABEL]
    assert "broken.plist refused" in mac.said[0]


@on_a_mac
async def test_a_shutdown_leaves_no_process_of_the_mac(mac):
    pids = mac.directory / "pids"
    away = f"{sys.executable} -c 'import os, time; os.setsid(); time.sleep(600)'"
    script = f"{away} & echo $! >> {pids}; sleep 601 & echo $! >> {pids}; echo $$ >> {pids}; wait"
    mac.load(["/bin/sh", "-c", script], KeepAlive=True)
    await until(lambda: pids.exists() and len(pids.read_text().split()) == 3)

    await mac.launchd.shutdown()
    await mac.processes.end_all()

    await until(lambda: not any(is_alive(int(pid)) for pid in pids.read_text().split()))
    assert mac.launchd.jobs == {}
