"""Every plist that macfleet writes is one that launchd can read."""

import plistlib

import pytest

from macfleet.core.data import data_path
from macfleet.core.paths import MacPaths
from macfleet.core.template import render

TEMPLATES = {path.name: path.read_text() for path in data_path("templates").glob("*.j2")}
VALUES = {
    "label": "dev.macfleet.x",
    "user": "fleet",
    "group": "staff",
    "login": "fleet:staff",
    "arguments": ["/opt/macfleet/runtime/bin/python", "-m", "macfleet.worker", "a & b.json"],
    "working_directory": "/opt/macfleet",
    "environment": {"HOME": "/opt/macfleet", "PATH": "/usr/bin:/bin"},
    "exit_timeout_s": 120,
    "log": "/var/log/macfleet/x.log",
    "paths": MacPaths("/"),
    "runtime_id": "0123456789ab",
    "name": "iogpu.wired_limit_mb",
    "value": 458752,
    "script": "/opt/macfleet/bin/x.sh",
}
PLISTS = sorted(name for name in TEMPLATES if name.endswith(".plist.j2") and name != "job.plist.j2")


def plist(name):
    return plistlib.loads(render(name, TEMPLATES, VALUES).encode())


@pytest.mark.parametrize("name", PLISTS)
def test_a_plist_is_xml_with_a_label_and_an_absolute_program(name):
    job = plist(name)

    assert job["Label"] == "dev.macfleet.x"
    assert job["ProgramArguments"][0].startswith("/")
    assert job["RunAtLoad"] is True
    assert job["StandardOutPath"].startswith("/var/log/macfleet/")


@pytest.mark.parametrize("name", ["worker.plist.j2", "gateway.plist.j2"])
def test_a_serving_job_runs_as_its_user_with_a_home_and_time_to_end(name):
    job = plist(name)

    assert (job["UserName"], job["GroupName"]) == ("fleet", "staff")
    assert job["EnvironmentVariables"]["HOME"] == "/opt/macfleet"
    assert job["ExitTimeOut"] == 120
    assert job["ProcessType"] == "Interactive"
    assert job["KeepAlive"] is True
    assert job["ProgramArguments"][3] == "a & b.json"


def test_the_wired_limit_is_set_once_at_boot():
    job = plist("sysctl.plist.j2")

    assert job["ProgramArguments"] == ["/usr/bin/env", "sysctl", "iogpu.wired_limit_mb=458752"]
    assert "KeepAlive" not in job


def test_another_runtime_is_another_agent_plist():
    job = plist("agent.plist.j2")

    assert job["ProgramArguments"][0] == "/opt/macfleet/runtimes/0123456789ab/bin/python"
    assert "UserName" not in job


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_every_template_fills_without_a_hole(name):
    assert "{{" not in render(name, TEMPLATES, VALUES)
