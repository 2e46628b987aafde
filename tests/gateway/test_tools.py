"""Tools, reasoning and JSON, by the official client: what the echo of a prompt makes of it, and what real workers are kept to."""

import json

import openai
import pytest
from tokenizers import Tokenizer

from tests.gateway.test_with_workers import start_worker
from tests.gateway.tiny_model import make_tiny_model
from tests.worker.tiny import LLAMA, make_tiny

pytestmark = pytest.mark.anyio

# What mlx-lm looks for in a template to know how a model writes its calls and its reasoning.
TEMPLATE = (
    "{# <tool_call> tool_call.name #}"
    "{% for message in messages %}{{ message['content'] }}"
    "{% for call in message.tool_calls or [] %}{{ call.function.arguments.city }}{% endfor %}{% endfor %}"
)
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Oslo", "Rome"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}
CALL = '<tool_call>{"name": "weather", "arguments": {"city": "Oslo", "days": 2}}</tool_call>'


@pytest.fixture(scope="module")
def calling_dir(tmp_path_factory):
    return make_tiny_model(tmp_path_factory.mktemp("models") / "calling", TEMPLATE)


@pytest.fixture(scope="module")
def llama_dir(tmp_path_factory):
    directory = make_tiny_model(tmp_path_factory.mktemp("models") / "llama", TEMPLATE)
    return make_tiny(directory, LLAMA | {"vocab_size": 257, "eos_token_id": 256, "num_hidden_layers": 4})


def question(text):
    return [{"role": "user", "content": text}]


async def test_a_call_of_a_tool_is_understood_by_the_official_client(gateway, calling_dir):
    async with gateway(model_dir=calling_dir) as running, running.worker():
        await running.reach("ready")
        client = running.openai()

        whole = await client.chat.completions.create(model="tiny", messages=question(f"Hm. {CALL}"), tools=[WEATHER])
        stream = await client.chat.completions.create(model="tiny", messages=question(CALL), tools=[WEATHER], stream=True)
        chunks = [chunk.choices[0] async for chunk in stream]

    (choice,) = whole.choices
    (call,) = choice.message.tool_calls
    assert (choice.message.content, choice.finish_reason) == ("Hm. ", "tool_calls")
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Oslo", "days": 2})
    (streamed,) = [call for chunk in chunks for call in chunk.delta.tool_calls or ()]
    assert (streamed.index, streamed.function.name, streamed.function.arguments) == (0, "weather", call.function.arguments)
    assert chunks[-1].finish_reason == "tool_calls"


async def test_a_call_and_its_result_go_back_to_the_model(gateway, calling_dir):
    async with gateway(model_dir=calling_dir) as running, running.worker():
        await running.reach("ready")
        client = running.openai()
        messages = question(CALL)
        asked = await client.chat.completions.create(model="tiny", messages=messages, tools=[WEATHER])

        call = asked.choices[0].message.tool_calls[0]
        messages = [asked.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "; rain"}]
        answer = await client.chat.completions.create(model="tiny", messages=messages, tools=[WEATHER])

    assert answer.choices[0].message.content == "Oslo; rain"


@pytest.fixture(scope="module")
def mistral_dir(tmp_path_factory):
    """As Mistral's models: the marks, and a sign inside a call, are tokens of their own that have no text."""
    directory = make_tiny_model(tmp_path_factory.mktemp("models") / "mistral", "{# [TOOL_CALLS] #}{{ messages[0]['content'] }}")
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer.add_special_tokens(["[TOOL_CALLS]", "[ARGS]", "[PAD]"])
    tokenizer.save(str(directory / "tokenizer.json"))
    return make_tiny(directory, LLAMA | {"vocab_size": 260, "eos_token_id": 256, "num_hidden_layers": 4})


async def test_signs_inside_a_call_reach_its_parser_and_no_others_are_shown(gateway, mistral_dir):
    written = '[PAD]Hm.[TOOL_CALLS]weather[ARGS]{"city": "Oslo"}'
    async with gateway(model_dir=mistral_dir) as running, running.worker():
        await running.reach("ready")

        answer = await running.openai().chat.completions.create(model="tiny", messages=question(written), tools=[WEATHER])

    (call,) = answer.choices[0].message.tool_calls
    assert (answer.choices[0].message.content, call.function.name, call.function.arguments) == ("Hm.", "weather", '{"city": "Oslo"}')


async def test_real_workers_call_a_tool_in_a_form_that_is_not_json(gateway, mistral_dir, tmp_path):
    async with gateway(model_dir=mistral_dir) as running:
        worker = start_worker(running, 0, mistral_dir, tmp_path)
        try:
            await running.reach("ready")
            called = await running.openai().chat.completions.create(
                model="tiny", messages=question("Hi"), max_tokens=180, tools=[WEATHER], tool_choice="required", temperature=1, seed=3
            )
        finally:
            worker.end()

    (call,) = called.choices[0].message.tool_calls
    assert json.loads(call.function.arguments)["city"] in ("Oslo", "Rome")
    assert called.choices[0].finish_reason == "tool_calls"


async def test_without_tools_on_offer_the_marks_are_text(gateway, calling_dir):
    async with gateway(model_dir=calling_dir) as running, running.worker():
        await running.reach("ready")
        client = running.openai()

        unasked = await client.chat.completions.create(model="tiny", messages=question(CALL))
        forbidden = await client.chat.completions.create(model="tiny", messages=question(CALL), tools=[WEATHER], tool_choice="none")

    assert unasked.choices[0].message.content == forbidden.choices[0].message.content == CALL
    assert unasked.choices[0].finish_reason == "stop"


async def test_a_model_that_calls_no_tools_says_so(gateway):
    async with gateway() as running, running.worker():
        await running.reach("ready")

        with pytest.raises(openai.BadRequestError, match="no way of calling tools") as caught:
            await running.openai().chat.completions.create(model="tiny", messages=question("Hi"), tools=[WEATHER])

    assert caught.value.body["param"] == "tools"


async def test_reasoning_is_a_field_of_its_own(gateway, tmp_path_factory):
    template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    directory = make_tiny_model(tmp_path_factory.mktemp("models") / "thinking", template, marks=("<think>", "</think>"))
    async with gateway(model_dir=directory) as running, running.worker():
        await running.reach("ready")
        client = running.openai()

        whole = await client.chat.completions.create(model="tiny", messages=question("Q. <think>hm</think>Yes"))
        opened = await client.chat.completions.create(model="tiny", messages=question("<think>a</think>b<think>"))

    assert (whole.choices[0].message.reasoning_content, whole.choices[0].message.content) == ("hm", "Q. Yes")
    assert opened.choices[0].message.reasoning_content == "<think>a"


async def test_real_workers_keep_to_a_schema_and_to_a_tool_that_must_be_called(gateway, llama_dir, tmp_path):
    """Random weights write random bytes, unless they are kept to something."""
    schema = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}, "n": {"enum": [1, 2]}},
        "required": ["ok", "n"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    async with gateway(model_dir=llama_dir) as running:
        worker = start_worker(running, 0, llama_dir, tmp_path)
        try:
            await running.reach("ready")
            client = running.openai()

            free = await client.chat.completions.create(model="tiny", messages=question("Hi"), max_tokens=150)
            kept = await client.chat.completions.create(model="tiny", messages=question("Hi"), max_tokens=150, response_format=form)
            called = await client.chat.completions.create(
                model="tiny", messages=question("Hi"), max_tokens=180, tools=[WEATHER], tool_choice="required", temperature=1, seed=3
            )
        finally:
            worker.end()

    assert not free.choices[0].message.content.startswith("{")
    answer = json.loads(kept.choices[0].message.content)
    assert set(answer) == {"ok", "n"}
    assert answer["n"] in (1, 2)
    assert kept.choices[0].finish_reason == "stop"
    (call,) = called.choices[0].message.tool_calls
    assert json.loads(call.function.arguments)["city"] in ("Oslo", "Rome")
    assert called.choices[0].finish_reason == "tool_calls"


async def test_a_schema_that_cannot_be_kept_to_is_refused_with_its_reason(gateway, calling_dir):
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "foo"}}}
    async with gateway(model_dir=calling_dir) as running, running.worker():
        await running.reach("ready")

        with pytest.raises(openai.BadRequestError, match="foo") as caught:
            await running.openai().chat.completions.create(model="tiny", messages=question("Hi"), response_format=form)

    assert caught.value.body["param"] == "response_format"
