"""What people's tools send, field by field."""

import json

import pytest

from tests.gateway.conftest import running_gateway
from tests.gateway.tiny_model import make_tiny_model

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "Hello"}]
LOOK = {"type": "function", "function": {"name": "look", "description": "Look it up", "parameters": {"type": "object", "properties": {}}}}
# Several calls at once, where a client may have asked for one.
CALLS = "".join(f'<tool_call>{{"name": "look", "arguments": {{"for": "{what}"}}}}</tool_call>' for what in ("a", "b"))

OPEN_WEBUI = {
    "model": "tiny",
    "messages": [{"role": "system", "content": "S."}, *HELLO],
    "stream": True,
    "stream_options": {"include_usage": True},
    "temperature": 0.8,
    "max_tokens": 50,
    "stop": None,
    "tool_ids": None,
    "files": None,
    "features": {"web_search": False},
    "variables": {"{{USER_NAME}}": "x"},
    "session_id": "s",
    "chat_id": "c",
    "id": "i",
    "background_tasks": {"title_generation": True},
    "metadata": {},
}
LLM = {"model": "tiny", "messages": HELLO, "stream": True, "stream_options": {"include_usage": True}}
CONTINUE = {
    "model": "tiny",
    "messages": [
        {"role": "developer", "content": "S."},
        {"role": "user", "content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]},
    ],
    "max_tokens": 64,
    "temperature": 0.1,
    "top_p": None,
    "frequency_penalty": None,
    "presence_penalty": None,
    "stop": [],
    "stream": True,
    "stream_options": {"include_usage": True},
    "tools": [],
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": "x"},
    "reasoning_effort": "low",
}
LANGCHAIN = {
    "model": "tiny",
    "messages": [{"role": "system", "content": "S.", "name": None}, {"role": "user", "content": "Hello", "name": "example"}],
    "n": 1,
    "stream": False,
    "temperature": 0.7,
    "logprobs": None,
    "top_logprobs": None,
    "seed": None,
    "response_format": {"type": "text"},
    "modalities": ["text"],
    "service_tier": "auto",
    "store": False,
    "user": "somebody",
}
FOLLOWING = {
    "model": "tiny",
    "messages": [
        {
            "role": "assistant",
            "content": [{"type": "refusal", "refusal": "S."}],
            "refusal": None,
            "audio": None,
            "function_call": None,
            "tool_calls": None,
            "annotations": [],
            "reasoning_content": None,
        },
        *HELLO,
    ],
}


@pytest.fixture(scope="module")
async def running(tmp_path_factory):
    """A model whose echo may be a call, and whose template shows what it should not be given: nulls."""
    template = (
        "{# <tool_call> tool_call.name #}{% for message in messages %}{{ message.content }}"
        "{% if message.reasoning_content is defined %}{{ message.reasoning_content }}{% endif %}{% endfor %}"
        "{% if reasoning_effort == 'high' %}!{% endif %}"
    )
    directory = make_tiny_model(tmp_path_factory.mktemp("models") / "calling", template)
    async with running_gateway(directory, tmp_path_factory.mktemp("state"), context_tokens=1000) as running, running.worker():
        await running.reach("ready")
        yield running


async def answered(running, body, path=CHAT):
    async with running.http() as client:
        return await client.post(path, json=body)


@pytest.mark.parametrize("body", [OPEN_WEBUI, LLM, CONTINUE, LANGCHAIN, FOLLOWING])
async def test_a_question_is_understood_as_this_client_writes_it(running, body):
    response = await answered(running, body)

    assert response.status_code == 200, response.text
    said = "S.Hello" if len(body["messages"]) == 2 else "Hello"
    assert (streamed if body.get("stream") else whole)(response) == said


def whole(response):
    return response.json()["choices"][0]["message"]["content"]


def streamed(response):
    *events, done = [line.removeprefix("data: ") for line in response.text.splitlines() if line]
    chunks = [json.loads(event) for event in events]
    assert done == "[DONE]"
    assert chunks[-1]["usage"]["completion_tokens"] > 1
    return "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]}, "messages[0].content"),
        ({"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}, "modalities"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"functions": [{"name": "look"}]}, "functions"),
        ({"chat_template_kwargs": {"chat_template": "{% for _ in range(10**9) %}{% endfor %}"}}, "chat_template_kwargs"),
        ({"chat_template_kwargs": {"return_tensors": "pt"}}, "chat_template_kwargs"),
    ],
)
async def test_what_cannot_be_honoured_is_said_and_not_left_out(running, fields, param):
    response = await answered(running, {"model": "tiny", "messages": HELLO} | fields)

    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


async def test_effort_reaches_a_template_that_knows_it(running):
    answers = [await answered(running, LANGCHAIN | {"reasoning_effort": effort}) for effort in ("low", "high")]

    assert [whole(answer) for answer in answers] == ["S.Hello", "S.Hello!"]


@pytest.mark.parametrize(("fields", "made"), [({}, ["a", "b"]), ({"parallel_tool_calls": False}, ["a"])])
async def test_who_wants_one_call_at_a_time_gets_one(running, fields, made):
    body = {"model": "tiny", "messages": [{"role": "user", "content": CALLS}], "tools": [LOOK]}

    choice = (await answered(running, body | fields)).json()["choices"][0]

    assert [json.loads(call["function"]["arguments"])["for"] for call in choice["message"]["tool_calls"]] == made
    assert choice["finish_reason"] == "tool_calls"
