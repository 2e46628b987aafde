import plistlib

import pytest

from macfleet.core.errors import Unparsable
from macfleet.core.fact import Unknown
from macfleet.macos import launchctl, plist
from macfleet.macos.launchctl import Job
from tests.macos.recordings import answer, recorded

RUNNING = recorded("ops/launchctl_print_system.running.txt")
MISSING = recorded("ops/launchctl_print_system.missing.txt")


def test_a_running_daemon():
    job = launchctl.parse_print(RUNNING)

    assert job == Job(
        label="org.nixos.nix-daemon",
        state="running",
        pid=383,
        runs=1,
        last_exit=None,
        exit_timeout_s=5,
        path="/Library/LaunchDaemons/org.nixos.nix-daemon.plist",
        program="/bin/sh",
        keeps_alive=True,
    )
    assert job.is_running


def test_the_state_of_a_nested_block_is_not_the_jobs():
    text = "system/x = {\n\tcoalition = {\n\t\tstate = active\n\t}\n\tstate = not running\n\tstate = active\n}\n"

    assert launchctl.parse_print(text).state == "not running"


def test_a_crash_loop_shows_in_runs_and_exit():
    text = (
        "system/x = {\n\tstate = spawn scheduled\n\truns = 233\n"
        "\tlast exit code = 78: EX_CONFIG\n\tlast terminating signal = Killed: 9\n}\n"
    )
    job = launchctl.parse_print(text)

    assert (job.runs, job.last_exit, job.last_signal, job.is_running) == (233, 78, "Killed: 9", False)


@pytest.mark.parametrize("text", ["", "{\n}", "system/x = {\n\tstate = running\n", "system/x = {\n\tpid = 3\n}\n"])
def test_half_a_job_is_refused(text):
    with pytest.raises(Unparsable):
        launchctl.parse_print(text)


def test_a_job_that_is_not_loaded_is_an_answer():
    fact = launchctl.job("systems.determinate.nix-daemon")

    assert answer(fact, (113, MISSING)) is None
    assert answer(fact, (113, "", MISSING)) is None
    assert isinstance(answer(fact, (1, "", "Operation not permitted")), Unknown)


def test_disabled_jobs_in_both_spellings():
    text = (
        'disabled services = {\n\t"com.openssh.sshd" => enabled\n\t"a.b" => disabled\n\t"old" => true\n}\nlogin item associations = {\n}\n'
    )

    assert launchctl.parse_disabled(text) == {"com.openssh.sshd": False, "a.b": True, "old": True}
    with pytest.raises(Unparsable):
        launchctl.parse_disabled("")


def test_what_changes_a_job_runs_as_root():
    commands = [
        launchctl.bootstrap("/Library/LaunchDaemons/x.plist"),
        launchctl.bootout("x"),
        launchctl.kickstart("x", kill=True),
        launchctl.kickstart("x"),
        launchctl.enable("x"),
        launchctl.disable("x"),
        launchctl.kill("SIGTERM", "x"),
    ]

    assert [command.shell().removeprefix("sudo -n launchctl ") for command in commands] == [
        "bootstrap system /Library/LaunchDaemons/x.plist",
        "bootout system/x",
        "kickstart -k system/x",
        "kickstart system/x",
        "enable system/x",
        "disable system/x",
        "kill SIGTERM system/x",
    ]


def test_what_a_launch_daemon_asks_for():
    text = plistlib.dumps({"Label": "x", "ProgramArguments": ["/usr/sbin/sysctl", "a=1"], "RunAtLoad": True, "UserName": "llm"}).decode()

    assert plist.parse_job_description(text) == plist.JobDescription("x", ("/usr/sbin/sysctl", "a=1"), True, "llm")


@pytest.mark.parametrize("job", [{}, {"Label": "x"}, {"Label": 1, "Program": "/bin/sh"}, {"Label": "x", "ProgramArguments": [1]}])
def test_a_plist_that_is_no_job_is_refused(job):
    with pytest.raises(Unparsable, match="no Label or no ProgramArguments"):
        plist.parse_job_description(plistlib.dumps(job).decode())
