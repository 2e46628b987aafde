"""`python -m macfleet.gateway CONFIG` as launchd starts it."""

import json
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from macfleet.gateway.config import GatewayConfig, WorkerSeat, render_config
from macfleet.health.heartbeat import parse_beat
from tests.gateway.conftest import curve_pair
from tests.gateway.echo import ending


@pytest.fixture
def config_file(model_dir, tmp_path):
    def write(**changes):
        public, secret = curve_pair()
        values = {
            "service": "chat",
            "model": "tiny",
            "model_dir": model_dir,
            "port": 0,
            "control_bind": "tcp://localhost:0",
            "public_key": public,
            "secret_key": secret,
            "workers": (WorkerSeat(rank=0, mac="studio-1", public_key=curve_pair()[0], first_layer=0, last_layer=4),),
            "context_tokens": 200,
            "concurrency": 2,
            "state_dir": tmp_path,
        }
        path = tmp_path / "gateway.json"
        path.write_text(render_config(GatewayConfig.model_validate(values | changes)))
        return path

    return write


def gateway(*arguments):
    return subprocess.Popen([sys.executable, "-m", "macfleet.gateway", *map(str, arguments)], stdout=subprocess.PIPE, text=True)


def lines_until(process, event):
    for line in process.stdout:
        entry = json.loads(line)
        yield entry
        if entry["event"] == event:
            return


def test_it_beats_once_it_can_answer(config_file, tmp_path):
    heartbeat = tmp_path / "gateway-heartbeat.json"

    with ending(gateway(config_file(heartbeat_file=heartbeat))) as process:
        list(lines_until(process, "tokenizer loaded"))
        deadline = time.monotonic() + 20
        while not heartbeat.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)

    assert parse_beat(heartbeat.read_text()).pid == process.pid


def test_it_logs_json_lines_and_ends_with_0_when_asked_to(config_file):
    with ending(gateway(config_file())) as process:
        listening, loaded = lines_until(process, "tokenizer loaded")
        health = httpx.get(listening["address"] + "/health").json()

        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=20)

    assert (health["state"], health["service"]) == ("waiting", "chat")
    assert loaded["level"] == "info"
    assert json.loads(output.splitlines()[-1])["event"] == "ended"
    assert process.returncode == 0


def test_a_port_already_taken_is_one_clear_line_and_status_3(config_file):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with ending(gateway(config_file(port=port))) as process:
            output, _ = process.communicate(timeout=20)

    (entry,) = [json.loads(line) for line in output.splitlines()]
    assert entry["event"] == f"127.0.0.1:{port} cannot be bound: Address already in use"
    assert f"lsof -nP -iTCP:{port}" in entry["hint"]
    assert process.returncode == 3


def test_a_control_port_already_taken_is_one_clear_line_and_status_3(config_file):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        control = f"tcp://127.0.0.1:{taken.getsockname()[1]}"

        with ending(gateway(config_file(control_bind=control))) as process:
            output, _ = process.communicate(timeout=20)

    (entry,) = [json.loads(line) for line in output.splitlines()]
    assert entry["event"].startswith(f"the control port {control} cannot be bound")
    assert process.returncode == 3


def test_a_missing_config_is_status_2(tmp_path):
    with ending(gateway(tmp_path / "gateway.json")) as process:
        output, _ = process.communicate(timeout=20)

    assert "gateway.json cannot be read" in json.loads(output)["event"]
    assert process.returncode == 2


def test_a_model_directory_without_a_tokenizer_is_status_3(config_file, tmp_path):
    with ending(gateway(config_file(model_dir=tmp_path / "nothing"))) as process:
        output, _ = process.communicate(timeout=20)

    assert "has no config.json" in json.loads(output.splitlines()[-1])["event"]
    assert process.returncode == 3


def test_a_gateway_needs_neither_mlx_nor_torch(model_dir):
    program = f"""
import sys
from pathlib import Path
import macfleet.gateway.__main__, macfleet.gateway.server
from macfleet.api.request import Endpoint, Request
from macfleet.gateway.model_text import load_model_text
text = load_model_text(Path({str(model_dir)!r}))
chat = Request(Endpoint.CHAT, "tiny", messages=({{"role": "user", "content": "Hello"}},))
assert text.decode(text.prompt(chat)) == "Hello"
print([name for name in sys.modules if name.split(".")[0] in ("mlx", "torch", "fabric", "paramiko")])
"""
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
