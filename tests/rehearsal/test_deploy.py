"""A service from its deployment to its end. The stories share one fleet and follow each other."""

import os
import shutil
import signal
import socket

import pytest
from openai import OpenAI

from tests.rehearsal.served import MODEL, SERVICE, answers, base_url, deploy, eventually, macs_of, served, status_of
from tests.rehearsal.stage import Stage

pytestmark = pytest.mark.rehearsal


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    with served(tmp_path_factory.mktemp("served")) as made:
        yield made


@pytest.fixture
def client(stage):
    with OpenAI(base_url=f"{base_url(stage)}/v1", api_key="none", timeout=120, max_retries=0) as client:
        yield client


def ask(client, question="What is the capital of France?"):
    messages = [{"role": "user", "content": question}]
    stream = client.chat.completions.create(model=MODEL, messages=messages, temperature=0, max_tokens=24, stream=True)
    return [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]


def test_three_macs_hold_every_layer_once_and_the_service_is_well(stage):
    service = status_of(stage)

    assert (service["service"], service["state"], service["links"]) == (SERVICE, "ready", "tcp")
    held = [layer for mac in service["macs"] for layer in range(*mac["layers"])]
    assert held == list(range(30))
    assert len(service["macs"]) == 3
    assert service["canary"]


def test_openais_own_client_streams_an_answer_that_makes_sense(client):
    pieces = ask(client)

    assert len([piece for piece in pieces if piece]) > 2
    assert "Paris" in "".join(pieces)


def test_chat_streams_to_the_terminal(stage):
    ended = stage.must("chat", SERVICE, "What is the capital of France?", "--max-tokens", "24", "--temperature", "0")

    assert "Paris" in ended.stdout


def test_a_killed_worker_comes_back_and_the_next_request_is_answered(stage, client):
    victim = status_of(stage)["macs"][1]["worker"]["pid"]

    os.kill(victim, signal.SIGKILL)

    eventually(lambda: status_of(stage)["macs"][1]["worker"]["pid"] not in (victim, None), "launchd starts the worker again")
    eventually(lambda: answers(base_url(stage)), "the gang is complete again")
    assert "Paris" in "".join(ask(client))


def test_a_frozen_worker_is_noticed_and_replaced_and_the_next_request_is_answered(stage, client):
    middle = status_of(stage)["macs"][1]
    stage.must("lab", "fault", "worker-frozen", middle["mac"])

    eventually(lambda: not answers(base_url(stage)), "the gateway notices that a worker is silent", 15)
    eventually(lambda: status_of(stage)["macs"][1]["worker"]["pid"] not in (middle["worker"]["pid"], None), "the watchdog replaces it")
    eventually(lambda: answers(base_url(stage)), "the gang is complete again")
    assert "Paris" in "".join(ask(client))


def test_logs_are_shown_with_the_name_of_their_mac(stage):
    lines = stage.must("logs", SERVICE, "--lines", "3").stdout.splitlines()

    assert {line.split()[0] for line in lines} == set(macs_of(stage)[:3])
    assert {"gateway", "worker"} == {line.split()[1] for line in lines}


def test_a_second_deployment_sends_nothing_and_answers_again(stage):
    ended = deploy(stage)

    assert ended.stderr.count("are there already and true") == 3
    assert "is ended" in ended.stderr
    assert status_of(stage)["state"] == "ready"


def test_a_taken_port_is_said_before_anything_starts(stage):
    ended = stage.must("deploy", "--model", MODEL, "--name", "other", "--macs", macs_of(stage)[0], "--yes", exit_code=3)

    assert "is taken, the gateway of other needs it" in ended.stderr
    assert status_of(stage)["state"] == "ready"


def test_a_truncated_model_is_refused_and_nothing_is_changed(stage, tmp_path):
    from macfleet.models.store import model_store

    shutil.copytree(model_store(os.environ) / MODEL, tmp_path / "broken")
    weights = next((tmp_path / "broken").glob("model*.safetensors"))
    os.truncate(weights, weights.stat().st_size - 1000)
    elsewhere = Stage(stage.folder)
    elsewhere.environment["MACFLEET_MODELS"] = str(tmp_path)

    ended = elsewhere.must("deploy", "--model", "broken", "--dry-run", exit_code=3)

    assert "is truncated" in ended.stderr
    assert "1000 bytes are missing" in ended.stderr


def test_an_interrupted_deployment_leaves_nothing_running_and_the_next_one_works(stage):
    stage.must("stop", SERVICE, "--yes")
    macs = ",".join(macs_of(stage)[:3])
    deploying = stage.start("deploy", "--model", MODEL, "--name", SERVICE, "--macs", macs, "--yes")
    said = iter(deploying.stderr.readline, "")
    assert any("starting 3 workers" in line for line in said)

    deploying.send_signal(signal.SIGINT)
    deploying.communicate(timeout=120)

    assert deploying.returncode == 130
    assert stage.must("status", "--json").json["services"] == []
    assert deploy(stage)


def test_a_stopped_service_leaves_no_job_no_secret_and_a_free_port(stage):
    port = status_of(stage)["port"]

    stage.must("stop", SERVICE, "--yes")

    assert stage.must("status").stdout.strip() == "no service is deployed"
    listed = stage.type("exec", "--", "launchctl", "print", f"system/dev.macfleet.{SERVICE}.worker")
    assert "[exit status 113]" in listed.stdout
    assert list(stage.folder.rglob("worker.json")) == list(stage.folder.rglob("gateway.json")) == []
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def test_stopping_what_is_not_there_is_a_wrong_request(stage):
    ended = stage.must("stop", SERVICE, "--yes", exit_code=2)

    assert f'there is no service "{SERVICE}"' in ended.stderr
