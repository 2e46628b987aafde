"""Clients that hang up at every moment of a request, and what is left of them: nothing."""

import asyncio
import contextlib
import gc
import json
import socket

import pytest

from macfleet.gateway.answer import Writer
from macfleet.gateway.choices import Growing
from macfleet.gateway.desk import Ticket
from tests.gateway.conftest import API_KEY, DEADLINE_S

pytestmark = pytest.mark.anyio

TEXT = "abcdefghij" * 4


def request(**fields):
    body = json.dumps({"model": "tiny", "prompt": TEXT, "max_tokens": 99} | fields).encode()
    head = ["POST /v1/completions HTTP/1.1", "host: x", "connection: close", f"authorization: Bearer {API_KEY}"]
    return "\r\n".join([*head, f"content-length: {len(body)}", "", ""]).encode() + body


async def hang_up_after(running, sent, received):
    """Send this much of a question, read this much of its answer, be gone."""
    host, port = running.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    await writer.drain()
    with contextlib.suppress(asyncio.IncompleteReadError):
        await reader.readexactly(received)
    writer.transport.abort()


async def idle(running):
    async with asyncio.timeout(DEADLINE_S):
        while (health := await running.health())["running"] + health["waiting"]:
            await asyncio.sleep(0.01)


async def nothing_is_kept():
    async with asyncio.timeout(DEADLINE_S):
        while alive():
            await asyncio.sleep(0.05)


def alive():
    gc.collect()
    return [thing for thing in gc.get_objects() if isinstance(thing, Ticket | Growing | Writer)]


@pytest.mark.parametrize("fields", [{"stream": True}, {"stream": True, "n": 3}, {"n": 2}, {"stream": True, "n": 2, "stop": "j"}, {}])
async def test_whenever_a_client_hangs_up_its_place_is_free_and_nothing_is_kept(gateway, fields):
    whole = request(**fields)
    async with gateway(concurrency=4, queue_limit=200) as running, running.worker() as worker:
        worker.step_s = 0.001
        await running.reach("ready")
        moments = [(whole[:cut], 0) for cut in (1, 40, len(whole) - 1)] + [(whole, received) for received in (0, 0, 1, 150, 400, 900, 3000)]

        await asyncio.gather(*(hang_up_after(running, sent, received) for sent, received in moments * 3))
        await idle(running)

        await nothing_is_kept()
        answer = await running.openai().completions.create(model="tiny", prompt=TEXT, max_tokens=99)
        assert answer.choices[0].text == TEXT


async def test_an_answer_that_nobody_reads_waits_in_the_gateway_and_its_place_goes_to_the_next(gateway):
    name = "m" * 4000  # it stands in every chunk: together they are more than the sockets between hold
    async with gateway(concurrency=1, context_tokens=5000, model=name) as running, running.worker() as worker:
        await running.reach("ready")
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            host, port = running.address.removeprefix("http://").split(":")
            deaf.connect((host, int(port)))
            deaf.sendall(request(model=name, prompt="long " * 400, max_tokens=9000, stream=True))
            async with asyncio.timeout(DEADLINE_S):
                while not worker.submits:
                    await asyncio.sleep(0.01)
            await idle(running)

            answer = await running.openai().completions.create(model=name, prompt=TEXT, max_tokens=99)
            assert len(alive()) > 0, "it is still being sent"
        await nothing_is_kept()

    assert answer.choices[0].text == TEXT
