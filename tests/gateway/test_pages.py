"""Manners of HTTP: browsers and their pages, HEAD and OPTIONS, clients that leave in the middle of a word."""

import asyncio

import pytest

from tests.gateway.conftest import running_gateway

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
ASK = {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture(scope="module")
async def running(model_dir, tmp_path_factory):
    async with running_gateway(model_dir, tmp_path_factory.mktemp("state")) as running, running.worker():
        await running.reach("ready")
        yield running


async def asked(running, **fields):
    async with running.http() as client:
        return await client.post(CHAT, json=ASK | fields)


async def test_an_answer_names_the_request_as_the_log_does(running, caplog):
    caplog.set_level("INFO")
    whole, stream = await asked(running), await asked(running, stream=True)

    logged = {record.request for record in caplog.records if record.message == "request ended"}
    assert {answer.headers["x-request-id"] for answer in (whole, stream)} <= logged


async def test_who_only_looks_whether_it_is_there_gets_an_answer(running):
    async with running.http() as client:
        looked = [await client.head(path) for path in ("/v1/models", "/health")]
        options = await client.options(CHAT)

    assert [(answer.status_code, answer.content) for answer in looked] == [(200, b"")] * 2
    assert (options.status_code, options.headers["allow"]) == (405, "POST")


def preflight(origin):
    return {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization,x-stainless-os"}


async def test_a_page_that_has_the_key_may_ask_from_anywhere(running):
    async with running.http() as client, running.http(key="wrong") as stranger:
        asked_before = await client.options(CHAT, headers=preflight("https://chat.example"))
        answer = await client.post(CHAT, json=ASK, headers={"origin": "https://chat.example"})
        refused = await stranger.get("/v1/models", headers={"origin": "https://chat.example"})
        health = await client.get("/health", headers={"origin": "https://chat.example"})

    assert asked_before.status_code == 200
    assert asked_before.headers["access-control-allow-headers"] == "authorization,x-stainless-os"
    for response, status in ((answer, 200), (refused, 401)):
        assert (response.status_code, response.headers["access-control-allow-origin"]) == (status, "*")
    assert "access-control-allow-origin" not in health.headers


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:3000", 200),
        ("http://127.0.0.1", 200),
        ("vscode-webview://abc", 200),
        ("https://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("null", 403),
    ],
)
async def test_without_a_key_only_pages_from_this_machine_may_ask(gateway, origin, status):
    async with gateway(api_key=None) as running, running.worker(), running.http(key=None) as client:
        await running.reach("ready")

        answer = await client.post(CHAT, json=ASK, headers={"origin": origin})
        before = await client.options(CHAT, headers=preflight(origin))

    assert answer.status_code == status
    assert answer.headers.get("access-control-allow-origin") == (origin if status == 200 else None)
    assert before.status_code == (200 if status == 200 else 400)


async def test_a_client_that_goes_away_in_the_middle_of_its_question_is_no_error(running, caplog):
    host, port = running.address.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer open sesame\r\ncontent-length: 1000\r\n\r\n"
    writer.write(head.encode() + b'{"model": ')
    await writer.drain()
    writer.close()

    await asked(running)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
