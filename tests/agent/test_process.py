"""`python -m macfleet.agent` with a launchctl on its PATH that keeps the jobs of a test."""

import json
import os
import signal
import subprocess
import sys

import pytest

LAUNCHCTL = """#!/bin/sh
echo "$@" >> "$JOBS/asked"
case "$1" in
print) printf 'system/dev.macfleet.chat.worker = {\\n\\tstate = running\\n\\tpid = 4711\\n}\\n' ;;
esac
"""


@pytest.fixture
def agent(tmp_path):
    program = tmp_path / "bin" / "launchctl"
    program.parent.mkdir()
    program.write_text(LAUNCHCTL)
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "JOBS": str(tmp_path)}
    command = [sys.executable, "-m", "macfleet.agent", "--root", str(tmp_path)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_worker_whose_heart_has_stopped_is_woken_and_ended(agent, tmp_path):
    service = tmp_path / "opt/macfleet/services/chat"
    service.mkdir(parents=True)
    (service / "heartbeat.json").write_text('{"pid": 4711, "time": 1.0, "busy_since": null, "epoch": 1}')
    (service / "worker.json").write_text(json.dumps({"service": "chat", "heartbeat_file": str(service / "heartbeat.json")}))

    events = []
    for line in agent.stdout:
        events.append(json.loads(line))
        if events[-1]["event"] == "ending a worker":
            break
    agent.send_signal(signal.SIGTERM)
    rest, _ = agent.communicate(timeout=20)

    assert [event["event"] for event in events] == ["started", "watching", "ending a worker"]
    assert events[-1] | {"time": "", "reason": ""} == {
        "time": "",
        "level": "error",
        "event": "ending a worker",
        "service": "chat",
        "pid": 4711,
        "action": "wake-and-terminate",
        "reason": "",
    }
    assert (tmp_path / "asked").read_text().splitlines() == [
        "print system/dev.macfleet.chat.worker",
        "kill SIGTERM system/dev.macfleet.chat.worker",
        "kill SIGCONT system/dev.macfleet.chat.worker",
    ]
    assert json.loads(rest.splitlines()[-1])["event"] == "ended"
    assert agent.returncode == 0
