"""A service with several API keys: who may do what, who is next, who is told to come back."""

import asyncio

import pytest

from macfleet.core.errors import RequestError
from macfleet.gateway.config import parse_config, render_config
from tests.gateway.conftest import DEADLINE_S, gateway_config

pytestmark = pytest.mark.anyio

ASK = {"model": "tiny", "prompt": "Hello", "max_tokens": 3}
KEYS = {"team-a": {"key": "key of a", "concurrency": 1}, "team-b": {"key": "key of b"}}


async def ask(running, key, prompt="Hello"):
    async with running.http(key) as client:
        return await client.post("/v1/completions", json=ASK | {"prompt": prompt})


async def until(gateway, **wanted):
    async with asyncio.timeout(DEADLINE_S):
        while {name: (health := await gateway.health())[name] for name in wanted} != wanted:
            await asyncio.sleep(0.01)
    return health


async def test_every_key_may_ask_and_only_the_services_own_may_operate(gateway):
    async with gateway(api_keys=KEYS) as running, running.worker():
        await running.reach("ready")
        answers = [await ask(running, key) for key in ("open sesame", "key of a", "key of b", "key of c")]
        async with running.http("key of a") as client:
            drained = await client.post("/admin/drain")
        state = (await running.health())["state"]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 401]
    assert (drained.status_code, drained.json()["error"]["code"]) == (403, "forbidden")
    assert state == "ready"


async def test_keys_take_turns_and_none_has_more_than_its_own_places(gateway):
    async with gateway(concurrency=1, api_keys=KEYS) as running, running.worker(held=True) as worker:
        await running.reach("ready")
        asking = []
        for number, key in enumerate(("key of a", "key of a", "key of a", "key of b", "open sesame")):
            asking.append(asyncio.ensure_future(ask(running, key, "x" * (1 + number))))
            await until(running, running=1, waiting=number)

        worker.go.set()
        answers = await asyncio.gather(*asking)

    assert [answer.status_code for answer in answers] == [200] * 5
    # The first of the others, who came fourth and fifth, are before the second of team-a.
    assert [len(submit.prompt) for submit in worker.submits] == [1, 5, 4, 2, 3]


async def test_a_key_past_its_own_limit_is_told_when_to_come_back_and_the_others_are_answered(gateway):
    async with gateway(concurrency=4, queue_limit=3, api_keys=KEYS) as running, running.worker(held=True) as worker:
        await running.reach("ready")
        asking = [asyncio.ensure_future(ask(running, "key of a")) for _ in range(2)]
        await until(running, running=1, waiting=1)

        refused = await ask(running, "key of a")
        asking.append(asyncio.ensure_future(ask(running, "key of b")))
        await until(running, running=2, waiting=1)
        async with running.http(None) as client:
            metrics = (await client.get("/metrics")).text
        worker.go.set()
        answers = await asyncio.gather(*asking)
        async with running.http(None) as client:
            afterwards = (await client.get("/metrics")).text

    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "key_limit")
    assert refused.json()["error"]["message"].startswith("With this API key 1 request is answered at a time, and 1 wait already")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert 'macfleet_key_requests_running{key="team-a"} 1.0' in metrics
    assert 'macfleet_key_requests_waiting{key="team-a"} 1.0' in metrics
    assert 'macfleet_key_requests_total{key="team-a",outcome="refused"} 1.0' in metrics
    assert 'macfleet_key_requests_total{key="team-a",outcome="length"} 2.0' in afterwards
    assert 'macfleet_key_generation_tokens_total{key="team-b"} 3.0' in afterwards
    assert 'macfleet_key_queue_time_seconds_count{key="team-a"} 2.0' in afterwards
    assert "key of" not in metrics + afterwards


async def test_without_several_keys_there_are_no_metrics_of_them(gateway):
    async with gateway() as running, running.http() as client:
        assert "macfleet_key_requests_running" not in (await client.get("/metrics")).text


async def test_a_client_that_goes_away_frees_the_place_of_its_key(gateway):
    async with gateway(concurrency=4, api_keys=KEYS) as running, running.worker(held=True) as worker:
        await running.reach("ready")
        first = asyncio.ensure_future(ask(running, "key of a"))
        await until(running, running=1)
        second = asyncio.ensure_future(ask(running, "key of a", "World"))
        await until(running, waiting=1)

        first.cancel()
        await until(running, running=1, waiting=0)
        worker.go.set()

        assert (await second).json()["choices"][0]["text"] == "Wor"


async def test_a_lost_gang_leaves_no_place_of_a_key_taken(gateway):
    async with gateway(api_keys=KEYS) as running:
        async with running.worker(held=True):
            await running.reach("ready")
            asking = asyncio.ensure_future(ask(running, "key of a"))
            health = await until(running, running=1)
        async with running.worker():
            assert (await asking).status_code == 503
            await running.reach("ready", after_epoch=health["epoch"])

            assert (await ask(running, "key of a")).status_code == 200


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"api_keys": {"default": {"key": "other"}}}, '"default" is the name of api_key itself'),
        ({"api_keys": {"a": {"key": "same"}, "b": {"key": "same"}}}, "two names have the same key"),
        ({"api_keys": {"a": {"key": "open sesame"}}}, "two names have the same key"),
        ({"api_keys": KEYS, "api_key": None}, "nobody could operate the service"),
        ({"api_keys": {"a": {"key": "k", "concurrency": 0}}}, "greater than or equal to 1"),
    ],
)
async def test_keys_that_tell_nobody_apart_are_refused(model_dir, tmp_path, changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        gateway_config(model_dir, tmp_path, **changes)


async def test_the_keys_of_clients_are_in_the_file_and_nowhere_else(model_dir, tmp_path):
    config = gateway_config(model_dir, tmp_path, api_keys=KEYS)

    assert parse_config(render_config(config), "gateway.json") == config
    assert "key of a" not in repr(config)
    with pytest.raises(RequestError) as refused:
        parse_config(render_config(config).replace('"key of b"', '"key of a"'), "gateway.json")
    assert "two names have the same key" in str(refused.value)
    assert "key of a" not in str(refused.value)
