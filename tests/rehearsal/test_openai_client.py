"""The official `openai` client against a service that `deploy` has made over three Macs: what it calls, and what it understands.

All stories share one service: SmolLM2's real weights, with a chat template that has tools. It is slow here, so answers are short.
"""

import json
from typing import Literal

import httpx
import openai
import pytest
import yaml
from openai import OpenAI
from pydantic import BaseModel

from tests.rehearsal.served import base_url, eventually, macs_of
from tests.rehearsal.stage import rehearsal
from tests.rehearsal.tool_template import make_model_with_tools

pytestmark = pytest.mark.rehearsal

MODEL = "smollm2-tools"
OWN_KEY = "sk-own"
TEAMS = ("red", "green", "blue")  # each with a key of its own
CAPITAL = [{"role": "user", "content": "What is the capital of France?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}, "unit": {"type": "string", "enum": ["C", "F"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "get_time"}}


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    model = make_model_with_tools(tmp_path_factory.mktemp("models") / MODEL)
    with rehearsal(tmp_path_factory.mktemp("fleet"), "--macs", "3") as stage:
        written = yaml.safe_load(stage.inventory.read_text())
        written["models"] = {MODEL: {"path": str(model)}}
        keys = {"api_key": {"env": "OWN_KEY"}, "api_keys": {team: {"key": {"env": f"KEY_{team}"}, "concurrency": 1} for team in TEAMS}}
        written["services"] = {"chat": {"model": MODEL, "macs": macs_of(stage), "context": 512, **keys}}
        stage.inventory.write_text(yaml.safe_dump(written, sort_keys=False))
        stage.environment |= {"OWN_KEY": OWN_KEY, **{f"KEY_{team}": f"sk-{team}" for team in TEAMS}}
        stage.must("provision", "--yes")
        stage.must("deploy", "--model", MODEL, "--yes")
        yield stage


@pytest.fixture(scope="module")
def url(stage):
    return f"{base_url(stage)}/v1"


@pytest.fixture(scope="module")
def client(url):
    with OpenAI(base_url=url, api_key=OWN_KEY, timeout=120, max_retries=0) as client:
        yield client


@pytest.fixture
def chat(client):
    """A greedy answer to the question about France, unless the story says otherwise."""

    def ask(**options):
        return client.chat.completions.create(
            **{"model": MODEL, "messages": CAPITAL, "temperature": 0, "max_completion_tokens": 7} | options
        )

    return ask


def in_service(url):
    return {name: httpx.get(url.replace("/v1", "/health"), trust_env=False).json()[name] for name in ("running", "waiting")}


def tokens_of(url, text):
    asked = httpx.post(
        url.replace("/v1", "/tokenize"), json={"prompt": text}, headers={"authorization": f"Bearer {OWN_KEY}"}, trust_env=False
    )
    return asked.json()["tokens"]


IDLE = {"running": 0, "waiting": 0}


def test_the_model_is_listed_and_found(client):
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).object == "model"


def test_a_chat(chat):
    answer = chat()

    (choice,) = answer.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", "The capital of France is Paris.", "length")
    assert answer.usage.completion_tokens == 7
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 7


def test_a_stream_with_usage_and_one_without(chat):
    with_usage = list(chat(stream=True, stream_options={"include_usage": True}))
    without = list(chat(stream=True))

    assert [piece.choices[0].delta.content for piece in without[1:-1]] == ["The", " capital", " of", " France", " is", " Paris"]
    assert without[-1].choices[0].finish_reason == "length"
    assert {piece.usage for piece in without} == {None}
    assert with_usage[-1].choices == []
    assert with_usage[-1].usage.completion_tokens == 7


def test_a_completion_of_text_and_of_tokens(client, url):
    ask = {"model": MODEL, "max_tokens": 3, "temperature": 0}
    text = client.completions.create(prompt="One, two, three,", logprobs=2, **ask).choices[0]
    again = client.completions.create(prompt=tokens_of(url, "One, two, three,"), **ask).choices[0]

    assert text.text == again.text == " four, five"
    assert text.logprobs.tokens == [" four", ",", " five"]
    assert [len(row) for row in text.logprobs.top_logprobs] == [2, 2, 2]


def test_logprobs_name_the_likeliest_tokens_first(chat):
    tokens = chat(logprobs=True, top_logprobs=3).choices[0].logprobs.content

    assert "".join(token.token for token in tokens) == "The capital of France is Paris."
    assert [len(token.top_logprobs) for token in tokens] == [3] * 7
    assert all(token.top_logprobs[0].token == token.token for token in tokens), "greedy takes the likeliest"
    assert all(token.top_logprobs[0].logprob >= token.top_logprobs[1].logprob for token in tokens)


def test_several_answers_with_a_seed_are_the_same_again_and_differ_from_each_other(chat):
    asked = {"n": 3, "seed": 7, "temperature": 1.2, "max_completion_tokens": 4}
    first, again = chat(**asked), chat(**asked)

    texts = [choice.message.content for choice in first.choices]
    assert texts == [choice.message.content for choice in again.choices]
    assert len(set(texts)) > 1
    assert first.usage.completion_tokens == 3 * 4


def test_a_stop_string_ends_the_answer_before_it(chat):
    choice = chat(stop=["France is", "never"]).choices[0]

    assert (choice.message.content, choice.finish_reason) == ("The capital of ", "stop")


def test_a_bias_keeps_a_word_out(chat, url):
    (the,) = tokens_of(url, "The")

    answer = chat(logit_bias={str(the): -100}, max_completion_tokens=2)

    assert not answer.choices[0].message.content.startswith("The")


def test_penalties_end_a_repetition(client):
    ask = {"model": MODEL, "prompt": "red blue red blue red blue red blue red", "max_tokens": 4, "temperature": 0}
    free = client.completions.create(**ask).choices[0].text
    kept = client.completions.create(**ask, frequency_penalty=2, presence_penalty=2).choices[0].text

    assert free == " blue blue blue blue"
    assert kept.count("blue") < 2


def test_an_answer_in_json(chat):
    answer = chat(response_format={"type": "json_object"}, max_completion_tokens=60, stop="\n\n")

    assert isinstance(json.loads(answer.choices[0].message.content), dict)


class City(BaseModel):
    name: Literal["Paris", "Rome"]
    is_capital: bool


def test_an_answer_that_is_parsed_by_its_schema(client):
    answer = client.chat.completions.parse(model=MODEL, messages=CAPITAL, response_format=City, temperature=0, max_completion_tokens=60)

    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.parsed == City(name="Paris", is_capital=True)


def test_logprobs_of_an_answer_that_keeps_to_a_schema(client):
    """Most tokens cannot come next: there are fewer alternatives than were asked for."""
    answer = client.chat.completions.parse(
        model=MODEL, messages=CAPITAL, response_format=City, temperature=0, max_completion_tokens=60, logprobs=True, top_logprobs=20
    )

    tokens = answer.choices[0].logprobs.content
    assert "".join(token.token for token in tokens) == answer.choices[0].message.content
    assert all(token.logprob <= 0 for token in tokens)


def test_a_tool_is_called_and_its_result_is_answered(client):
    messages = [{"role": "user", "content": "What is the weather in Paris?"}]
    named = {"type": "function", "function": {"name": "get_weather"}}
    ask = {"model": MODEL, "tools": [CLOCK, WEATHER], "temperature": 0, "max_completion_tokens": 60}

    called = client.chat.completions.create(messages=messages, tool_choice=named, **ask).choices[0]
    (call,) = called.message.tool_calls
    messages += [called.message, {"role": "tool", "tool_call_id": call.id, "content": "Paris: 31 degrees, sunny"}]
    answer = client.chat.completions.create(messages=messages, **ask | {"max_completion_tokens": 16}).choices[0]

    assert (called.finish_reason, called.message.content, call.type, call.function.name) == ("tool_calls", None, "function", "get_weather")
    assert json.loads(call.function.arguments)["city"] == "Paris"
    assert "sunny" in answer.message.content
    assert answer.message.tool_calls is None


def test_a_tool_call_that_is_streamed_is_put_together_by_the_client(client):
    messages = [{"role": "user", "content": "What is the weather in Rome?"}]
    ask = {"model": MODEL, "messages": messages, "tools": [CLOCK, WEATHER], "temperature": 0, "max_completion_tokens": 60}

    with client.chat.completions.stream(tool_choice="required", **ask) as stream:
        kinds = {event.type for event in stream}
        choice = stream.get_final_completion().choices[0]

    (call,) = choice.message.tool_calls
    assert "tool_calls.function.arguments.done" in kinds
    assert (call.function.name, choice.finish_reason) == ("get_weather", "tool_calls")
    assert set(json.loads(call.function.arguments)) == {"city", "unit"}


@pytest.mark.parametrize(
    ("options", "error", "param"),
    [
        ({"max_completion_tokens": -1}, openai.BadRequestError, "max_completion_tokens"),
        ({"model": "gpt-5"}, openai.NotFoundError, "model"),
        ({"messages": [{"role": "user", "content": "a" * 4000}]}, openai.BadRequestError, "messages"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "no"}}}},
            openai.BadRequestError,
            "response_format",
        ),
    ],
)
def test_what_cannot_be_answered_is_an_exception_of_its_own(chat, options, error, param):
    with pytest.raises(error) as caught:
        chat(**options)

    assert caught.value.param == param


def test_a_wrong_key_is_an_exception_of_its_own(url):
    with OpenAI(base_url=url, api_key="sk-wrong", max_retries=0) as stranger, pytest.raises(openai.AuthenticationError) as caught:
        stranger.models.list()

    assert caught.value.code == "invalid_api_key"
    assert "sk-wrong" not in str(caught.value)


def test_a_stream_that_is_closed_frees_its_place(chat, url):
    stream = chat(stream=True, max_completion_tokens=400, n=4)
    next(iter(stream))
    assert in_service(url)["running"] == 4

    stream.close()

    eventually(lambda: in_service(url) == IDLE, "its places are free", 20)


def test_past_its_limit_a_key_is_told_when_to_come_back(chat, url):
    """One place, and room for sixteen that wait."""
    ask = {"model": MODEL, "messages": CAPITAL, "max_completion_tokens": 400, "n": 16, "stream": True}
    with OpenAI(base_url=url, api_key="sk-red", timeout=60, max_retries=0) as red:
        first = red.chat.completions.create(**ask)
        with pytest.raises(openai.RateLimitError) as caught:
            red.chat.completions.create(**ask)
        others_meanwhile = chat(max_completion_tokens=1)
        first.close()

    assert caught.value.code == "key_limit"
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 60
    assert others_meanwhile.choices
    eventually(lambda: in_service(url) == IDLE, "its places are free", 20)
