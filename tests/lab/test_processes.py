"""The processes of a simulated Mac, found without `ps` where there is none."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from macfleet.lab.down import is_simulator
from macfleet.lab.paths import MacDir
from macfleet.lab.processes import Processes, command_line

WAITS = "import sys; print(flush=True); sys.stdin.read()"


@pytest.fixture
def waiting():
    """`waiting(*words)`: a Python process with these words as its arguments, ended at the end."""
    started = []

    def start(*words):
        started.append(subprocess.Popen([sys.executable, "-c", WAITS, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        started[-1].stdout.read(1)  # it runs: between fork and exec it has no command line of its own
        return started[-1]

    yield start
    for process in started:
        with process:  # closes its pipes, which ends it, and waits
            pass


def test_a_command_line_is_the_program_with_its_arguments(waiting):
    assert command_line(waiting("one", "two words").pid) == f"{sys.executable} -c {WAITS} one two words"


def test_a_process_that_has_ended_has_none(waiting):
    process = waiting()
    process.stdin.close()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    assert "macfleet" not in command_line(process.pid)  # a zombie: macOS shows "<defunct>"
    process.wait()
    assert command_line(process.pid) == ""


def test_a_simulator_is_known_by_its_mac_and_not_by_its_number(waiting, tmp_path):
    pid = waiting("-m", "macfleet.lab.mac", str(tmp_path / "studio-1")).pid

    assert is_simulator(pid, MacDir(tmp_path / "studio-1"))
    assert not is_simulator(pid, MacDir(tmp_path / "studio-2"))
    assert not is_simulator(0, MacDir(tmp_path / "studio-1"))


async def listed(directory):
    processes = Processes(directory)
    processes.listen()
    child = processes.spawn(["/bin/sh", "-c", "echo; exec sleep 600"], env=dict(os.environ), cwd="/", stdout=subprocess.PIPE)
    child.popen.stdout.read(1)
    lines = dict(processes.list_all())
    await processes.end_all()
    child.popen.stdout.close()
    return child.pid in lines


def test_the_processes_of_a_mac_are_listed(tmp_path):
    assert asyncio.run(listed(Path(tmp_path)))
