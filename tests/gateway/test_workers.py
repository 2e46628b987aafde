"""Workers that come, go, freeze and lie."""

import asyncio
from contextlib import AsyncExitStack

import openai
import pytest

from macfleet.engines.protocol import Token
from tests.gateway.conftest import curve_pair

pytestmark = pytest.mark.anyio

QUESTION = [{"role": "user", "content": "Hello, world"}]


async def ask(running, **options):
    return await running.openai().chat.completions.create(model="tiny", messages=QUESTION, **options)


async def answer(running):
    return (await ask(running)).choices[0].message.content


async def submitted(worker, count=1):
    async with asyncio.timeout(20):
        while len(worker.submits) < count:
            await asyncio.sleep(0.01)


async def test_until_the_gang_is_complete_requests_are_told_what_is_missing(gateway):
    async with gateway(world=2) as running, running.worker(0):
        health = await running.reach("waiting")

        with pytest.raises(openai.InternalServerError) as caught:
            await ask(running)

    assert [worker["state"] for worker in health["workers"]][1] == "expected"
    assert caught.value.status_code == 503
    assert "studio-2 (rank 1)" in caught.value.message
    assert "retry-after" in caught.value.response.headers


async def test_a_worker_that_cannot_load_says_why_to_whoever_asks(gateway):
    async with gateway() as running, running.worker(greets=False) as worker:
        await worker.break_("model.safetensors is truncated")
        await worker.leave()
        async with asyncio.timeout(20):
            while (health := await running.health())["workers"][0]["state"] != "failed":
                await asyncio.sleep(0.02)

    assert health["reason"] == "waiting for the worker on studio-1 (rank 0): model.safetensors is truncated"


async def test_a_worker_that_loads_its_weights_shows_as_loading(gateway):
    async with gateway() as running, running.worker(greets=False):
        async with asyncio.timeout(20):
            while (health := await running.health())["workers"][0]["state"] != "loading":
                await asyncio.sleep(0.02)

    assert health["reason"].startswith("waiting for the worker on studio-1")


async def test_a_worker_with_a_foreign_key_is_not_let_in(gateway, caplog):
    async with gateway() as running, running.worker(keys=curve_pair()):
        async with asyncio.timeout(20):
            while "connection refused" not in caplog.text:
                await asyncio.sleep(0.02)
        refused = await running.health()
        async with running.worker():
            await running.reach("ready")

    assert refused["workers"][0]["state"] == "expected"


async def test_a_worker_may_not_speak_for_another_rank(gateway, caplog):
    async with gateway(world=2) as running, running.worker(0) as liar:
        liar.rank = 1
        await liar.hello()
        async with asyncio.timeout(20):
            while "message dropped" not in caplog.text:
                await asyncio.sleep(0.02)
        health = await running.health()

    assert health["workers"][1]["state"] == "expected"


async def test_nonsense_from_a_worker_stops_nobody(gateway, caplog):
    async with gateway() as running, running.worker() as worker:
        await running.reach("ready")
        for nonsense in (b"", b"{", b'{"type": "coup"}'):
            await worker._socket.send(nonsense)

        assert await answer(running) == "Hello, world"
    assert "message dropped" in caplog.text


async def test_a_worker_lost_in_the_middle_of_a_stream_ends_it_with_an_error(gateway):
    async with gateway(world=2, heartbeat_timeout_s=0.5) as running, running.worker(0) as first, AsyncExitStack() as second:
        first.step_s = 0.05
        await second.enter_async_context(running.worker(1))
        await running.reach("ready")
        stream = await ask(running, stream=True)
        first.go.clear()

        await second.aclose()

        with pytest.raises(openai.APIError, match=r"interrupted after .*rank 1\) has been silent"):
            async for _ in stream:
                pass
        assert (await running.health())["epoch"] == 2


async def test_a_worker_lost_before_the_first_token_is_a_503(gateway):
    async with gateway(world=2) as running, running.worker(0, held=True) as first, running.worker(1) as second:
        await running.reach("ready")
        asking = [asyncio.ensure_future(ask(running, stream=stream)) for stream in (True, False)]
        await submitted(first, 2)

        await second.leave()

        errors = await asyncio.gather(*asking, return_exceptions=True)
    assert [error.status_code for error in errors] == [503, 503]
    assert "the worker on studio-2 (rank 1) ended" in errors[0].message


async def test_a_first_worker_that_is_gone_is_noticed_by_the_next_request(gateway):
    async with gateway(heartbeat_timeout_s=600) as running:
        async with running.worker():
            await running.reach("ready")

        with pytest.raises(openai.InternalServerError, match="has closed its connection"):
            await ask(running)

        assert (await running.health())["state"] == "waiting"


async def test_waiting_requests_do_not_wait_for_a_gang_that_is_lost(gateway):
    async with gateway(concurrency=1) as running, running.worker(held=True) as worker:
        await running.reach("ready")
        asking = [asyncio.ensure_future(ask(running)) for _ in range(3)]
        await submitted(worker)

        await worker.leave()

        errors = await asyncio.gather(*asking, return_exceptions=True)
    assert [error.status_code for error in errors] == [503, 503, 503]


async def test_a_worker_that_starts_anew_is_answered_from_again(gateway):
    async with gateway(world=2) as running, running.worker(0):
        async with running.worker(1):
            first = await running.reach("ready")
        async with running.worker(1):
            health = await running.reach("ready", after_epoch=first["epoch"])

            assert await answer(running) == "Hello, world"
    assert health["epoch"] > 1


async def test_a_frozen_worker_is_noticed_and_taken_back_when_it_thaws(gateway):
    async with gateway(heartbeat_timeout_s=1.0) as running, running.worker() as worker:
        await running.reach("ready")

        worker.freeze()
        lost = await running.reach("waiting")
        worker.go.set()
        worker._start(worker._beat())
        await running.reach("ready")

        assert await answer(running) == "Hello, world"
    assert lost["workers"][0]["state"] == "lost"


async def test_a_broken_link_is_assembled_again(gateway):
    async with gateway() as running, running.worker() as worker:
        await running.reach("ready")

        await worker.break_("the link to rank 1 ended")
        health = await running.reach("waiting")
        await running.reach("ready")

        assert await answer(running) == "Hello, world"
    assert health["workers"][0]["state"] == "connected"


async def test_a_request_that_the_workers_cannot_answer_fails_alone(gateway):
    async with gateway() as running, running.worker() as worker:
        await running.reach("ready")
        worker.fail_next = "the cache is full"

        with pytest.raises(openai.InternalServerError, match="the cache is full"):
            await ask(running)

        assert await answer(running) == "Hello, world"


async def test_a_token_out_of_order_never_reaches_a_client(gateway):
    async with gateway() as running, running.worker(held=True) as worker:
        await running.reach("ready")
        asking = asyncio.ensure_future(ask(running))
        await submitted(worker)

        await worker.say(Token(request=worker.submits[0].request, epoch=worker.epoch, index=1, token=7))

        with pytest.raises(openai.InternalServerError, match="token 1 came where 0 was due"):
            await asking


async def test_the_epoch_goes_on_where_it_was_after_a_restart_of_the_gateway(gateway):
    async with gateway() as running, running.worker():
        first = await running.reach("ready")
    async with gateway() as running, running.worker():
        second = await running.reach("ready")

    assert second["epoch"] > first["epoch"]
