"""Health, metrics, drain and resume."""

import asyncio

import httpx
import pytest

from macfleet.engines.protocol import Work
from macfleet.gateway.http import Face
from macfleet.gateway.service import Service
from tests.gateway.conftest import DEADLINE_S, gateway_config

pytestmark = pytest.mark.anyio

ASK = {"model": "tiny", "prompt": "Hello", "max_tokens": 9}


async def test_health_says_who_is_there_without_a_key(gateway):
    async with gateway(world=2) as running, running.worker(0), running.worker(1), running.http(key=None) as client:
        await running.reach("ready")

        response = await client.get("/health")

    assert response.status_code == 200
    body = response.json()
    assert (body["state"], body["reason"], body["epoch"], body["running"]) == ("ready", None, 1, 0)
    assert [(worker["rank"], worker["mac"], worker["layers"], worker["state"]) for worker in body["workers"]] == [
        (0, "studio-1", [0, 4], "ready"),
        (1, "studio-2", [4, 8], "ready"),
    ]


async def test_health_is_503_until_requests_are_answered(gateway):
    async with gateway() as running, running.http(key=None) as client:
        response = await client.get("/health")

    assert response.status_code == 503
    assert "studio-1" in response.json()["reason"]


async def test_metrics_tell_how_busy_the_stages_are_and_what_they_share(gateway):
    work = Work(
        busy_share=0.75,
        sent_bytes=4096,
        lanes=(4, 3),
        step_s=0.02,
        stage_step_s=(0.015, 0.02),
        prefix_hits=2,
        prefix_tokens=900,
        reused_tokens=450,
    )
    async with gateway() as running, running.worker() as worker:
        await running.reach("ready")
        worker.work = work
        async with running.http() as client, asyncio.timeout(DEADLINE_S):
            while "macfleet_lanes 2.0" not in (text := (await client.get("/metrics")).text):
                await asyncio.sleep(0.02)
            (health,) = (await client.get("/health")).json()["workers"]

    assert 'macfleet_stage_busy_ratio{mac="studio-1",rank="0"} 0.75' in text
    assert 'macfleet_stage_step_seconds{mac="studio-1",rank="0"} 0.015' in text
    assert 'macfleet_link_sent_bytes_total{mac="studio-1",rank="0"} 4096.0' in text
    assert 'macfleet_lane_rows{lane="1"} 3.0' in text
    assert "macfleet_prefix_cache_hits_total 2.0" in text
    assert health["work"] == work.model_dump(mode="json")


async def test_metrics_count_what_happened(gateway):
    async with gateway() as running, running.worker(), running.http() as client:
        await running.reach("ready")
        await client.post("/v1/completions", json=ASK)
        await client.post("/v1/completions", json=ASK | {"max_tokens": 1})

        text = (await client.get("/metrics")).text

    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert lines['macfleet_requests_total{outcome="stop"}'] == "1.0"
    assert lines['macfleet_requests_total{outcome="length"}'] == "1.0"
    assert lines["macfleet_prompt_tokens_total"] == "10.0"
    assert lines["macfleet_generation_tokens_total"] == "7.0"
    assert lines["macfleet_time_to_first_token_seconds_count"] == "2.0"
    assert lines["macfleet_requests_running"] == lines["macfleet_requests_waiting"] == "0.0"
    assert lines["macfleet_gang_ready"] == lines["macfleet_gang_epoch"] == "1.0"
    assert lines['macfleet_worker_up{mac="studio-1",rank="0"}'] == "1.0"


async def test_a_drained_service_finishes_what_runs_and_takes_nothing_new(gateway):
    async with gateway() as running, running.worker(held=True) as worker, running.http() as client:
        await running.reach("ready")
        asking = asyncio.ensure_future(client.post("/v1/completions", json=ASK))
        async with asyncio.timeout(20):
            while not worker.submits:
                await asyncio.sleep(0.01)

        drained = await client.post("/admin/drain")
        refused = await client.post("/v1/completions", json=ASK)
        worker.go.set()
        finished = await asking
        await client.post("/admin/resume")
        again = await client.post("/v1/completions", json=ASK)

    assert (drained.status_code, drained.json()["state"], drained.json()["running"]) == (200, "draining", 1)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_ready")
    assert "drained" in refused.json()["error"]["message"]
    assert (finished.status_code, again.status_code) == (200, 200)


async def test_draining_wants_the_key(gateway):
    async with gateway() as running, running.http(key="wrong") as client:
        assert (await client.post("/admin/drain")).status_code == 401
        assert (await running.health())["state"] != "draining"


async def test_without_a_key_the_operator_is_whoever_is_on_this_mac(gateway):
    async with gateway(api_key=None) as running, running.http(key=None) as client:
        assert (await client.post("/admin/drain")).status_code == 200
        assert (await client.post("/admin/resume")).status_code == 200


@pytest.mark.parametrize(("client", "status"), [("10.0.0.9", 403), ("fe80::9", 403), ("10.0.0.1", 200), ("127.0.0.1", 200), ("::1", 200)])
async def test_without_a_key_nobody_else_is_the_operator(model_dir, tmp_path, client, status):
    config = gateway_config(model_dir, tmp_path, api_key=None)
    app = Face(Service(config, lambda rank, message: True)).app()
    transport = httpx.ASGITransport(app, client=(client, 50000))

    async with httpx.AsyncClient(transport=transport, base_url="http://10.0.0.1:8080") as http:
        assert (await http.post("/admin/drain")).status_code == status


async def test_a_page_in_a_browser_is_not_the_operator(gateway):
    async with gateway(api_key=None) as running, running.http(key=None) as client:
        response = await client.post("/admin/drain", headers={"origin": "http://evil.example"})

    assert (response.status_code, response.json()["error"]["code"]) == (403, "forbidden")


async def test_a_gateway_that_is_stopped_finishes_what_runs(gateway):
    async with gateway(drain_timeout_s=20) as running, running.worker(held=True) as worker:
        await running.reach("ready")
        async with running.http() as client:
            asking = asyncio.ensure_future(client.post("/v1/completions", json=ASK))
            async with asyncio.timeout(20):
                while not worker.submits:
                    await asyncio.sleep(0.01)

            running.stop.set()
            await running.reach("draining")
            worker.go.set()

            assert (await asking).json()["choices"][0]["text"] == "Hello"


async def test_what_cannot_finish_in_time_is_told_so(gateway):
    async with gateway(drain_timeout_s=0.1) as running, running.worker(held=True), running.http() as client:
        await running.reach("ready")
        asking = asyncio.ensure_future(client.post("/v1/completions", json=ASK))
        async with asyncio.timeout(20):
            while (await running.health())["running"] < 1:
                await asyncio.sleep(0.01)

        running.stop.set()

        answer = await asking
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "interrupted")
    assert "the gateway is being stopped" in answer.json()["error"]["message"]


async def test_tokens_are_counted_as_the_service_counts_them_also_before_its_workers_are_there(gateway):
    async with gateway() as running, running.http() as client:
        async with asyncio.timeout(DEADLINE_S):
            while (await client.post("/tokenize", json={"prompt": "a"})).status_code == 503:  # the tokenizer is being loaded
                await asyncio.sleep(0.02)
        text = (await client.post("/tokenize", json={"model": "tiny", "prompt": "Hä"})).json()
        chat = (await client.post("/tokenize", json={"messages": [{"role": "user", "content": "Hi"}]})).json()
        back = (await client.post("/detokenize", json={"tokens": text["tokens"]})).json()
        refused = [(await client.post("/tokenize", json={})), (await client.post("/detokenize", json={"tokens": [999]}))]

    assert (text["count"], chat["count"], text["max_model_len"]) == (3, 2, 200)
    assert back == {"prompt": "Hä"}
    assert [response.json()["error"]["code"] for response in refused] == ["missing_required_parameter", "invalid_value"]
