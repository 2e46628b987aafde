"""The few scripts that modules run, in a real `sh`, against programs of a few lines that behave as the real ones were seen to."""

import os
import subprocess
from dataclasses import replace

import pytest

from macfleet.modules.launchd import enter, leave, run
from tests.modules.memory_mac import MAC, MemoryMac
from tests.modules.play import plan

# Each answer is one line of answers/VERB, "EXIT_STATUS text"; the last one is repeated.
PROGRAM = """#!/bin/sh
echo "$*" >>"$ANSWERS/calls"
file="$ANSWERS/$1"
[ -f "$file" ] || exit 0
line=$(head -n 1 "$file")
[ "$(wc -l <"$file")" -gt 1 ] && { tail -n +2 "$file" >"$file.rest"; mv "$file.rest" "$file"; }
printf '%b\\n' "${line#* }"
exit "${line%% *}"
"""
RUNNING, WAITING = r"0 system/x = {\n\tstate = running\n\tpid = 7\n}", r"0 system/x = {\n\tstate = spawn scheduled\n\truns = 3\n}"
NESTED = r"0 system/x = {\n\tstate = not running\n\t\tstate = running\n}"


@pytest.fixture
def act(tmp_path):
    """Run a command without its sudo, with these answers; gives the ended process and the calls of the program."""

    def do(command, program="launchctl", **answers):
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / program).write_text(PROGRAM)
        (tmp_path / "bin" / program).chmod(0o755)
        for verb, lines in answers.items():
            (tmp_path / verb).write_text("".join(f"{line}\n" for line in lines))
        stdin = command.stdin.reveal() if command.stdin else ""
        environment = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "ANSWERS": str(tmp_path)}
        ended = subprocess.run(command.argv, input=stdin, env=environment, capture_output=True, text=True, timeout=30, check=False)
        return ended, (tmp_path / "calls").read_text().splitlines()

    return do


def test_leaving_waits_until_launchd_has_forgotten_the_job(act):
    ended, calls = act(leave("x"), bootout=["36 in progress"], print=["0 there", "0 there", "113 gone"])

    assert ended.returncode == 0
    assert calls == ["bootout system/x", "print system/x", "print system/x", "print system/x"]


def test_a_job_that_was_not_there_has_left(act):
    assert act(leave("x"), bootout=["3 No such process"], print=["113 gone"])[0].returncode == 0


def test_a_job_that_does_not_leave_is_an_error(act):
    ended, _ = act(leave("x", deadline_s=0.5), print=["0 there"])

    assert ended.returncode == 1
    assert "launchd still has x after bootout" in ended.stderr


def test_entering_tries_again_while_launchd_is_busy(act):
    ended, calls = act(enter("/x.plist"), bootstrap=["37 in progress", "5 Input/output error", "0 ok"])

    assert ended.returncode == 0
    assert len(calls) == 3


def test_a_refusal_that_is_not_business_is_final(act):
    ended, calls = act(enter("/x.plist"), bootstrap=["119 disabled"])

    assert ended.returncode == 119
    assert len(calls) == 1


def test_a_job_is_up_when_it_stays_up(act):
    ended, calls = act(run("x", "/x.log"), print=[RUNNING, WAITING, RUNNING])

    assert ended.returncode == 0
    assert len(calls) == 1 + 2 + 4


def test_a_state_inside_a_nested_block_is_not_the_jobs(act):
    assert act(run("x", "/x.log", deadline_s=1), print=[NESTED])[0].returncode == 1


def test_a_job_that_does_not_stay_up_says_its_state_and_its_log(act):
    ended, _ = act(run("x", "/var/log/x.log", deadline_s=1), print=[WAITING])

    assert "x does not stay up: state = spawn scheduled runs = 3" in ended.stderr
    assert "/var/log/x.log" in ended.stderr


@pytest.mark.parametrize("status", [0, 1])
def test_the_auth_key_is_gone_however_the_join_ended(act, tmp_path, status):
    mac = replace(MAC, root=str(tmp_path))
    (tmp_path / "var/db/macfleet").mkdir(parents=True)
    [(_, change)] = plan(MemoryMac(), "tailscale: {hostname: x, auth_key: {env: KEY}}", mac=mac).changes

    ended, calls = act(change.commands[0], program="tailscale", up=[f"{status} said"])

    assert ended.returncode == status
    assert "tskey" not in str(calls)
    assert not (tmp_path / "var/db/macfleet/tailscale-key").exists()
