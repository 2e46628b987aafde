"""Requests that cannot be answered: each gets one clear error with the right status, and the next one is answered."""

import asyncio

import openai
import pytest

from macfleet.gateway.http import MOST_BODY_BYTES
from tests.gateway.conftest import running_gateway

pytestmark = pytest.mark.anyio

QUESTION = [{"role": "user", "content": "Hello"}]
CHAT = "/v1/chat/completions"


async def post(running, body, path=CHAT, key="open sesame", **options):
    async with running.http(key) as client:
        how = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await client.post(path, **how, **options)


@pytest.fixture(scope="module")
async def steady(model_dir, tmp_path_factory):
    """One gateway for all requests that leave it as it was."""
    async with running_gateway(model_dir, tmp_path_factory.mktemp("state")) as running, running.worker() as worker:
        await running.reach("ready")
        yield running
    assert worker.submits == []


@pytest.mark.parametrize(
    ("body", "status", "param", "code"),
    [
        (b"{", 400, None, "invalid_json"),
        (b"[]", 400, None, "invalid_type"),
        ({"model": "tiny", "messages": QUESTION, "max_tokens": -1}, 400, "max_tokens", "below_min_value"),
        ({"model": "tiny", "messages": []}, 400, "messages", "empty_array"),
        ({"model": "huge", "messages": QUESTION}, 404, "model", "model_not_found"),
        ({"model": "tiny", "messages": [{"role": "user", "content": "a" * 200}]}, 400, "messages", "context_length_exceeded"),
        ({"model": "tiny", "messages": [{"role": "tool", "content": "42"}]}, 400, "messages", "template_error"),
        ({"model": "tiny", "messages": [{"role": "user", "content": ""}]}, 400, "messages", "empty_prompt"),
    ],
)
async def test_a_wrong_request_is_told_what_is_wrong(steady, body, status, param, code):
    response = await post(steady, body)

    assert response.status_code == status
    error = response.json()["error"]
    assert (error["param"], error["code"]) == (param, code)


async def test_a_prompt_that_just_fits_is_answered(gateway):
    async with gateway() as running, running.worker():
        await running.reach("ready")

        response = await post(running, {"model": "tiny", "prompt": "a" * 199}, "/v1/completions")

    assert response.json()["usage"] == {"prompt_tokens": 199, "completion_tokens": 1, "total_tokens": 200}


@pytest.mark.parametrize(("param", "value"), [("prompt", [1, 257]), ("logit_bias", {"257": 1})])
async def test_token_ids_that_the_model_does_not_have_are_refused(steady, param, value):
    response = await post(steady, {"model": "tiny", "prompt": "Hello"} | {param: value}, "/v1/completions")

    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("key", "code"), [("wrong", "invalid_api_key"), ("open sesam", "invalid_api_key"), ("schlüssel", "invalid_api_key")]
)
async def test_a_wrong_key_is_refused(steady, key, code, caplog):
    async with steady.http(key=None) as client:
        headers = {"authorization": f"Bearer {key}".encode()}
        answers = [await client.post(CHAT, content=b"{", headers=headers), await client.get("/v1/models", headers=headers)]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].json()["error"]["code"] == code
    assert key not in caplog.text
    assert key not in answers[0].text


async def test_no_key_is_refused_and_says_how_to_send_one(steady):
    async with steady.http(key=None) as client:
        answer = await client.get("/v1/models")

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "Authorization: Bearer" in answer.json()["error"]["message"]


async def test_without_a_configured_key_everybody_who_can_connect_may_ask(gateway):
    async with gateway(api_key=None) as running, running.http(key=None) as client:
        assert (await client.get("/v1/models")).status_code == 200


async def test_the_official_client_understands_the_errors(steady):
    with pytest.raises(openai.BadRequestError, match="max_tokens"):
        await steady.openai().chat.completions.create(model="tiny", messages=QUESTION, max_tokens=-5)
    with pytest.raises(openai.AuthenticationError):
        await steady.openai(key="wrong").models.list()
    with pytest.raises(openai.NotFoundError, match="huge"):
        await steady.openai().chat.completions.create(model="huge", messages=QUESTION)


async def test_unknown_paths_and_methods_have_openais_shape_too(steady):
    async with steady.http() as client:
        nowhere, wrong_method = await client.get("/v1/nothing"), await client.get(CHAT)

    assert (nowhere.status_code, nowhere.json()["error"]["code"]) == (404, "not_found")
    assert (wrong_method.status_code, wrong_method.json()["error"]["code"]) == (405, "method_not_allowed")


async def test_a_body_that_is_too_large_is_refused(steady):
    async with steady.http() as client:
        response = await client.post(CHAT, content=b" " * (MOST_BODY_BYTES + 1))

    assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")


async def test_past_the_queue_a_request_is_told_when_to_come_back(gateway):
    async with gateway(concurrency=1, queue_limit=1) as running, running.worker(held=True) as worker:
        await running.reach("ready")
        body = {"model": "tiny", "messages": QUESTION}
        accepted = [asyncio.ensure_future(post(running, body)) for _ in range(2)]
        async with asyncio.timeout(20):
            while (health := await running.health())["waiting"] < 1:
                await asyncio.sleep(0.01)

        refused = await post(running, body)
        worker.go.set()
        answers = await asyncio.gather(*accepted)

    assert (health["running"], health["waiting"]) == (1, 1)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_full")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert [answer.status_code for answer in answers] == [200, 200]
