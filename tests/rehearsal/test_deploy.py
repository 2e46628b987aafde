"""A service from its deployment to its end. The stories share one fleet and follow each other."""

import os
import shutil
import signal
import socket

import pytest
import yaml
from openai import AuthenticationError, OpenAI

from macfleet.models.shrink import shrunken
from macfleet.models.store import model_store
from macfleet.worker.mlx.tiny import make_tiny
from tests.rehearsal.served import MODEL, SERVICE, answers, base_url, deploy, eventually, macs_of, served, status_of
from tests.rehearsal.stage import Stage
from tests.worker.full_configs import RING_MINI

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


@pytest.fixture
def elsewhere(stage, tmp_path):
    """The same fleet, with other models and other services."""
    operator = Stage(stage.folder)
    written = yaml.safe_load(stage.inventory.read_text())
    keys = {"red": {"key": {"env": "RED_KEY"}, "concurrency": 1}}
    written["services"] = {"strange": {"model": "strange", "macs": macs_of(stage)[:2], "context": 256, "kv_bits": 8, "api_keys": keys}}
    inventory = stage.folder / "strange.yaml"  # beside the other: paths in it are relative
    inventory.write_text(yaml.safe_dump(written, sort_keys=False))
    operator.environment |= {"MACFLEET_MODELS": str(tmp_path), "MACFLEET_INVENTORY": str(inventory), "RED_KEY": "sk-red"}
    return operator


APERTUS = {
    "model_type": "apertus",
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 8,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "max_position_embeddings": 2048,
    "attention_bias": False,
    "mlp_bias": False,
    "post_norm": False,
    "qk_norm": True,
    "tie_word_embeddings": False,
}


def make_strange(folder, config):
    """Weights of a family that is on no list: small and random, with SmolLM2's tokenizer."""
    tokens = {"vocab_size": 49152, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    directory = make_tiny(folder / "strange", config | tokens)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(model_store(os.environ) / MODEL / file, directory / file)


def test_a_family_on_no_list_is_served_once_its_head_has_proved_it(elsewhere, tmp_path):
    make_strange(tmp_path, APERTUS)

    refused = elsewhere.must("deploy", "--model", "strange", "--yes", exit_code=2)
    served = elsewhere.must("deploy", "--model", "strange", "--unproven", "--yes")
    chatted = elsewhere.must("chat", "strange", "Hello", "--max-tokens", "4")
    with OpenAI(base_url=f"{base_url(elsewhere)}/v1", api_key="sk-red", timeout=60, max_retries=0) as client:
        answer = client.completions.create(model="strange", prompt="Hello", max_tokens=4)
    with pytest.raises(AuthenticationError), OpenAI(base_url=f"{base_url(elsewhere)}/v1", api_key="sk-blue", max_retries=0) as client:
        client.models.list()

    assert 'models of the family "apertus" are not served' in refused.stderr
    assert 'the family "apertus" is proved on studio-1 with mlx-lm' in served.stderr
    assert "their KV caches in 8 bits" in served.stderr
    assert answer.usage.completion_tokens == 4
    assert chatted.stdout.strip()
    elsewhere.must("stop", "strange", "--yes")


def test_a_family_that_goes_wrong_without_an_error_is_not_served(elsewhere, tmp_path):
    make_strange(tmp_path, next(shrunken(RING_MINI)))

    refused = elsewhere.must("deploy", "--model", "strange", "--name", "other", "--unproven", "--yes", exit_code=1)

    assert 'the proof of the family "bailing_moe_linear" failed on studio-1: layers' in refused.stderr
    assert "no weight was sent, no job was started" in refused.stderr
    assert elsewhere.must("status", "--json").json["services"] == []


def test_stopping_what_is_not_there_is_a_wrong_request(stage):
    ended = stage.must("stop", SERVICE, "--yes", exit_code=2)

    assert f'there is no service "{SERVICE}"' in ended.stderr
