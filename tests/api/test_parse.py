import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macfleet.api.errors import ApiError
from macfleet.api.parse import parse_chat, parse_completion
from macfleet.api.request import Endpoint, ToolChoice

MESSAGES = [{"role": "user", "content": "Why is the sky blue?"}]


def chat(**fields):
    return parse_chat(json.dumps({"model": "m", "messages": MESSAGES} | fields).encode())


def completion(**fields):
    return parse_completion(json.dumps({"model": "m", "prompt": "Once"} | fields).encode())


TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}, "strict": True}}]


def error_of(parse, *args, **fields):
    with pytest.raises(ApiError) as caught:
        parse(*args, **fields)
    assert caught.value.status == 400
    return caught.value


def test_a_chat_is_understood():
    request = chat(
        max_tokens=5, temperature=0, top_p=0.5, top_k=-1, seed=7, stop="END", stream=True, stream_options={"include_usage": True}
    )

    assert request.endpoint is Endpoint.CHAT
    assert [dict(message) for message in request.messages] == MESSAGES
    assert (request.max_tokens, request.stop, request.stream, request.include_usage) == (5, ("END",), True, True)
    assert (request.sampling.temperature, request.sampling.top_p, request.sampling.top_k, request.sampling.seed) == (0, 0.5, 0, 7)


def test_what_is_not_said_is_not_known():
    request = chat()

    assert (request.max_tokens, request.sampling.temperature, request.stop, request.stream) == (None, None, (), False)


def test_null_is_the_same_as_not_said():
    names = [
        "max_tokens",
        "temperature",
        "top_p",
        "seed",
        "stop",
        "stream",
        "stream_options",
        "n",
        "tools",
        "logit_bias",
        "response_format",
    ]

    assert chat(**dict.fromkeys(names)) == chat()


def test_unknown_fields_are_ignored():
    assert chat(frobnicate=True, user="somebody", store=False) == chat()


def test_the_new_name_of_max_tokens_wins():
    assert chat(max_tokens=5, max_completion_tokens=9).max_tokens == 9


@pytest.mark.parametrize(
    ("fields", "alternatives"),
    [({}, None), ({"logprobs": False}, None), ({"logprobs": True}, 0), ({"logprobs": True, "top_logprobs": 5}, 5)],
)
def test_a_chat_says_with_two_fields_which_logprobs_it_wants(fields, alternatives):
    assert chat(**fields).sampling.logprobs == alternatives


def test_a_completion_says_with_one_number_which_logprobs_it_wants():
    assert completion().sampling.logprobs is None
    assert completion(logprobs=3).sampling.logprobs == 3


def test_tools_reach_the_template_as_they_were_sent():
    assert [dict(tool) for tool in chat(tools=TOOLS).tools] == TOOLS
    assert chat(tools=TOOLS, tool_choice="none").tools == ()
    assert chat(tools=TOOLS, tool_choice="required").tool_choice == ToolChoice(is_required=True)
    assert chat(tools=TOOLS, tool_choice={"type": "function", "function": {"name": "weather"}}).tool_choice.name == "weather"


def test_an_earlier_call_reaches_the_template_with_its_arguments_as_an_object():
    called = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}],
    }
    request = chat(messages=[called, {"role": "tool", "tool_call_id": "c1", "content": "2"}])

    call, result = (dict(message) for message in request.messages)
    assert call["tool_calls"][0]["function"] == {"name": "f", "arguments": {"a": 1}}
    assert (call["content"], result["tool_call_id"]) == ("", "c1")


def test_a_response_format_is_a_schema_or_nothing():
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}

    assert chat(response_format={"type": "text"}).response_schema is None
    assert chat(response_format={"type": "json_object"}).response_schema == {"type": "object"}
    assert chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}).response_schema == schema


def test_several_answers_may_be_wanted():
    assert (chat().n, chat(n=3).n) == (1, 3)


def test_text_parts_are_joined():
    parts = [{"type": "text", "text": "Why "}, {"type": "text", "text": "blue?"}]

    assert chat(messages=[{"role": "user", "content": parts}]).messages[0]["content"] == "Why blue?"


def test_a_developer_is_the_templates_system():
    assert chat(messages=[{"role": "developer", "content": "Be brief"}, *MESSAGES]).messages[0]["role"] == "system"


def test_what_a_template_may_need_of_a_message_is_kept():
    message = {"role": "tool", "content": "42", "tool_call_id": "call-1"}

    assert dict(chat(messages=[*MESSAGES, message]).messages[1]) == message


def test_a_bias_is_by_token_id():
    assert chat(logit_bias={"17": -100, "4": 2.5}).sampling.logit_bias == {17: -100.0, 4: 2.5}


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"max_tokens": -1}, "max_tokens", "below_min_value"),
        ({"max_tokens": 0}, "max_tokens", "below_min_value"),
        ({"max_tokens": "5"}, "max_tokens", "invalid_type"),
        ({"max_tokens": 5.5}, "max_tokens", "invalid_type"),
        ({"max_tokens": True}, "max_tokens", "invalid_type"),
        ({"max_completion_tokens": -3}, "max_completion_tokens", "below_min_value"),
        ({"temperature": 2.1}, "temperature", "above_max_value"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"temperature": float("nan")}, "temperature", "invalid_value"),
        ({"top_p": 0}, "top_p", "below_min_value"),
        ({"seed": 2**64}, "seed", "above_max_value"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage", "invalid_type"),
        ({"stop": 3}, "stop", "invalid_type"),
        ({"stop": ["a", ""]}, "stop", "string_below_min_length"),
        ({"stop": ["a"] * 17}, "stop", "array_above_max_length"),
        ({"logit_bias": {"a": 1}}, "logit_bias", "invalid_type"),
        ({"logit_bias": {"1": 101}}, "logit_bias", "invalid_value"),
        ({"logit_bias": {"1": True}}, "logit_bias", "invalid_value"),
        ({"model": 7}, "model", "invalid_type"),
        ({"model": ""}, "model", "empty_string"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": "hello"}, "messages", "invalid_type"),
        ({"messages": ["hello"]}, "messages[0]", "invalid_type"),
        ({"messages": [{"content": "hello"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{"role": "robot", "content": "hello"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content", "invalid_type"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content", "unsupported_content"),
        ({"messages": [{"role": "user", "content": ["hello"]}]}, "messages[0].content", "invalid_type"),
        ({"n": 0}, "n", "below_min_value"),
        ({"n": 17}, "n", "above_max_value"),
        ({"tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter"),
        ({"tools": [{"type": "retrieval", "function": {"name": "f"}}]}, "tools[0].type", "invalid_value"),
        ({"tool_choice": "maybe"}, "tool_choice", "invalid_value"),
        ({"tool_choice": "required"}, "tool_choice", "invalid_value"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "sea"}}}, "tool_choice", "invalid_value"),
        ({"tools": TOOLS, "tool_choice": "required", "response_format": {"type": "json_object"}}, "tool_choice", "invalid_value"),
        ({"response_format": {"type": "yaml"}}, "response_format", "invalid_value"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}}, "response_format", "missing_required_parameter"),
        ({"logprobs": 3}, "logprobs", "invalid_type"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "above_max_value"),
        ({"top_logprobs": 2}, "top_logprobs", "invalid_value"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_wrong(fields, param, code):
    error = error_of(chat, **fields)

    assert (error.param, error.code) == (param, code)
    assert f"'{param}'" in error.message


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"model": "m", "messages": [}', b"[" * 10000])
def test_bad_json_is_said_to_be_bad_json(body):
    assert error_of(parse_chat, body).code == "invalid_json"


@pytest.mark.parametrize("body", [b"[]", b"3", b"null", b'"hello"'])
def test_the_body_must_be_an_object(body):
    assert "must be a JSON object" in error_of(parse_chat, body).message


def test_a_missing_field_is_named():
    assert error_of(parse_chat, b'{"model": "m"}').param == "messages"


@pytest.mark.parametrize(
    ("prompt", "understood"), [("Once", "Once"), (["Once"], "Once"), ([1, 2, 3], (1, 2, 3)), ([[1, 2, 3]], (1, 2, 3)), ("", "")]
)
def test_a_prompt_is_text_or_token_ids(prompt, understood):
    assert completion(prompt=prompt).prompt == understood


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ([], "empty_array"),
        ([[]], "empty_array"),
        (["a", "b"], "unsupported_value"),
        ([[1], [2]], "unsupported_value"),
        ([1, -2], "invalid_type"),
        ([1, True], "invalid_type"),
        ([1, "a"], "invalid_type"),
        (None, "invalid_type"),
        ({}, "invalid_type"),
    ],
)
def test_a_wrong_prompt_is_refused(prompt, code):
    error = error_of(completion, prompt=prompt)

    assert (error.param, error.code) == ("prompt", code)


def test_a_completion_writes_sixteen_tokens_unless_told():
    assert completion().max_tokens == 16
    assert completion(max_tokens=3).max_tokens == 3


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "type", "text", "1"]), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = ["messages", "prompt", "model", "max_tokens", "stop", "logit_bias", "stream_options", "tools", "n", "temperature", "seed", "top_k"]


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4))
def test_whatever_comes_is_a_request_or_one_error_that_names_the_field(fields):
    body = json.dumps({"model": "m", "messages": MESSAGES, "prompt": "Once"} | fields).encode()
    assert named_by(parse_chat, body) in (None, *FIELDS)
    assert named_by(parse_completion, body) in (None, *FIELDS)


def named_by(parse, body):
    """The top field that the error names; None when there is no error."""
    try:
        parse(body)
    except ApiError as error:
        return re.split(r"[.\[]", error.param)[0]
    return None


@given(st.binary(max_size=50))
def test_no_bytes_are_worse_than_an_error(body):
    with pytest.raises(ApiError):
        parse_chat(body)
