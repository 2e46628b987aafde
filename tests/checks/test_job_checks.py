"""Whether macfleet's jobs run and do anything: what launchd and their files say → verdict."""

import pytest

from macfleet.checks.heartbeats import Heartbeats
from macfleet.checks.jobs import Jobs
from macfleet.checks.past import History, Look, Past
from macfleet.macos import (
    launchctl,
    pmset,
)
from macfleet.macos.heartbeats import heartbeats
from macfleet.macos.jobs import jobs
from tests.checks.macs import PMSET, a_mac, job, judge

MAC = a_mac()


def judge_jobs(said, stderr="", past=None, disabled="", **settings):
    values = {
        jobs(MAC.paths): ((0, said, stderr),),
        launchctl.DISABLED: (f"disabled services = {{\n{disabled}}}\n",),
        pmset.CUSTOM: ("AC Power:\n" + "".join(f" {key:<20} {value}\n" for key, value in {**PMSET, **settings}.items()),),
    }
    return judge(Jobs(past or Past()), MAC, values)


DEAD = {"state": "not running", "pid": "(none)"}


@pytest.mark.parametrize(
    ("said", "verdict", "have"),
    [
        ("", "ok", "macfleet has no job here"),
        (job("agent") + job("chat.worker", exit_timeout="120"), "ok", "agent and chat.worker"),
        (job("agent", **{**DEAD, "last exit code": "0"}), "ok", "agent"),
        (job("agent", **{**DEAD, "last exit code": "78: EX_CONFIG"}), "fail", "agent does not run (ended with 78)"),
        (
            job("chat.worker", state="spawn scheduled", pid="(none)", runs="233", **{"last terminating signal": "Killed: 9"}),
            "fail",
            "chat.worker crashes again and again (233 starts, ended by Killed: 9)",
        ),
        (
            job("chat.worker", state="spawn scheduled", pid="(none)", **{"last terminating signal": "Killed: 9"}),
            "fail",
            "chat.worker ended by Killed: 9 and waits to be started again",
        ),
        (
            job("chat.worker", **{**DEAD, "last exit code": "0", "properties": "keepalive | inferred program"}),
            "fail",
            "chat.worker does not run (ended with 0)",
        ),
        (
            job("agent", **{**DEAD, "runs": "0", "pended nondemand spawn": "speculative"}),
            "fail",
            "launchd holds back agent (speculative)",
        ),
        (job("chat.worker", exit_timeout="5"), "warn", "chat.worker gets less than 60 s to end before SIGKILL"),
    ],
)
def test_jobs(said, verdict, have):
    finding = judge_jobs(said)

    assert (finding.verdict, finding.have) == (verdict, have)


@pytest.mark.parametrize(
    ("name", "rows", "hint"),
    [
        ("chat.worker", {}, "`macfleet logs chat` says why"),
        ("agent", {}, "`macfleet exec --mac studio-1 -- tail /var/log/macfleet/agent.log` says why"),
        ("wired-limit", {"stdout path": "/var/log/x.log"}, "`macfleet exec --mac studio-1 -- tail /var/log/x.log` says why"),
    ],
)
def test_a_job_that_does_not_run_is_told_with_its_log(name, rows, hint):
    assert judge_jobs(job(name, **{**DEAD, "last exit code": "1", **rows})).hint == hint


def test_a_job_that_low_power_mode_holds_back_is_the_finding_of_power():
    said = job("agent", **{**DEAD, "runs": "0", "pended nondemand spawn": "inefficient"})

    finding = judge_jobs(said, lowpowermode="1")

    assert (finding.verdict, finding.have) == ("ok", "launchd holds back agent (inefficient), as Low Power Mode makes it do (see power)")


def test_a_job_that_runs_and_was_started_often_since_the_last_look_is_restless():
    past = Past(2.0, {"studio-1": History(Look(1.0, runs={"dev.macfleet.agent": 4}))})

    assert judge_jobs(job("agent", runs="6"), past=past).verdict == "ok"
    assert judge_jobs(job("agent", runs="9"), past=past).have == "agent was started 5 times since the last look"


MISSING = 'Could not find service "dev.macfleet.agent" in domain for system\n'


@pytest.mark.parametrize(
    ("stderr", "disabled", "have"),
    [
        (MISSING, "", "launchd does not know agent, whose plist is there"),
        (MISSING, '\t"dev.macfleet.agent" => disabled\n', "agent is disabled, which lasts over restarts"),
        (MISSING.replace("agent", "wired-limit"), "", "wired-limit"),  # that one is the question of wired-limit-at-boot
    ],
)
def test_a_plist_that_launchd_has_not_loaded(stderr, disabled, have):
    assert judge_jobs("", stderr, disabled=disabled).have == have


def judge_heartbeats(age_s, job_said, pid=812):
    beat = f'/opt/macfleet/services/chat/heartbeat.json\t{{"pid": {pid}, "time": {1795000000 - age_s}, "busy_since": null, "epoch": 1}}'
    values = {heartbeats(MAC.paths): (f"1795000000\n{beat}\n",), jobs(MAC.paths): (job_said,)}
    return judge(Heartbeats(), MAC, values)


@pytest.mark.parametrize(
    ("age_s", "said", "pid", "verdict", "have"),
    [
        (0.4, job("chat.worker", pid="812"), 812, "ok", "chat.worker alive"),
        (37, job("chat.worker", pid="812"), 812, "fail", "chat.worker has been silent for 37 s, though launchd says it runs"),
        (37, job("chat.worker", pid="990"), 812, "ok", "no worker and no gateway runs here"),  # started anew, loading
        (37, job("chat.worker", **DEAD), 812, "ok", "no worker and no gateway runs here"),
        (37, "", 812, "ok", "no worker and no gateway runs here"),  # stopped long ago
    ],
)
def test_a_job_that_runs_and_does_nothing_is_named(age_s, said, pid, verdict, have):
    finding = judge_heartbeats(age_s, said, pid)

    assert (finding.verdict, finding.have) == (verdict, have)


def test_who_would_have_ended_a_silent_job_is_named_where_it_is_missing():
    with_agent = judge_heartbeats(37, job("chat.worker", pid="812") + job("agent"))
    without = judge_heartbeats(37, job("chat.worker", pid="812"))

    assert "look again in a minute" in with_agent.hint
    assert "agent, which would end it, does not run" in without.hint
