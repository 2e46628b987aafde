import json

import pytest

from macfleet.core.errors import RequestError
from macfleet.gateway.config import GatewayConfig, WorkerSeat, parse_config, render_config

KEY = "k" * 40


def seat(rank=0, first=0, last=4):
    return WorkerSeat(rank=rank, mac=f"studio-{rank + 1}", public_key=KEY, first_layer=first, last_layer=last)


def config(**changes):
    values = {
        "service": "chat",
        "model": "smollm2-135m",
        "model_dir": "/models/smollm2",
        "port": 8080,
        "control_bind": "tcp://127.0.0.1:8081",
        "public_key": KEY,
        "secret_key": "s" * 40,
        "workers": (seat(0, 0, 4), seat(1, 4, 9)),
        "context_tokens": 2048,
        "concurrency": 4,
        "api_key": "open sesame",
        "state_dir": "/state",
    }
    return GatewayConfig.model_validate(values | changes)


def test_a_config_survives_its_file():
    assert parse_config(render_config(config()), "gateway.json") == config()


def test_secrets_are_in_the_file_and_nowhere_else():
    assert "open sesame" in render_config(config())
    assert "open sesame" not in repr(config())
    assert "open sesame" not in str(config().model_dump())


@pytest.mark.parametrize(
    ("workers", "complaint"),
    [
        ((seat(0, 0, 4), seat(1, 5, 9)), "layer 4 must come next"),
        ((seat(0, 0, 4), seat(1, 3, 9)), "layer 4 must come next"),
        ((seat(0, 0, 4), seat(1, 4, 4)), "layer 4 must come next"),
        ((seat(1, 0, 4),), "ranks go 0, 1, 2"),
    ],
)
def test_layers_are_covered_exactly_once_in_rank_order(workers, complaint):
    with pytest.raises(ValueError, match=complaint):
        config(workers=workers)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"service": "chat"}', render_config(config()).replace('"model"', '"modle"')])
def test_a_broken_file_is_one_clear_error_without_its_secrets(text):
    with pytest.raises(RequestError) as caught:
        parse_config(text, "/opt/macfleet/services/chat/gateway.json")

    assert "/opt/macfleet/services/chat/gateway.json" in str(caught.value)
    assert "open sesame" not in str(caught.value)


def test_the_wrong_key_is_named():
    broken = json.loads(render_config(config())) | {"concurrency": 0}

    with pytest.raises(RequestError, match=r"gateway\.json: concurrency: "):
        parse_config(json.dumps(broken), "gateway.json")
