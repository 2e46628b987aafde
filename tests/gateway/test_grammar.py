"""What a grammar lets a model write, asked of llguidance itself with the tokenizer of bytes."""

import json

import pytest
from llguidance import LLMatcher, LLTokenizer
from tokenizers import Tokenizer

from macfleet.api.errors import ApiError
from macfleet.api.request import Endpoint, Request, ToolChoice
from macfleet.gateway.forms import Signs
from macfleet.gateway.grammar import of_calls, of_schema
from macfleet.gateway.model_text import load_model_text
from tests.gateway.tiny_model import make_tiny_model

SIGN = "<|thought|>"  # a token of its own, which has no text
OBJECT = {"type": "object"}
CITY = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"], "additionalProperties": False}
# As the official client's `pydantic_function_tool` writes a model that has another one in it.
VISIT = {"type": "object", "properties": {"city": {"$ref": "#/$defs/City"}}, "required": ["city"], "$defs": {"City": CITY}}
NUMBER = {"type": "object", "properties": {"city": {"$ref": "#/$defs/City"}}, "required": ["city"], "$defs": {"City": {"type": "integer"}}}


def function(name, parameters=None):
    return {"name": name, "parameters": parameters}


@pytest.fixture(scope="module")
def tokenizer(model_dir):
    bytes_and_a_sign = Tokenizer.from_file(str(model_dir / "tokenizer.json"))
    bytes_and_a_sign.add_special_tokens([SIGN])
    return LLTokenizer(bytes_and_a_sign.to_str(), eos_token=256)


@pytest.fixture
def lets(tokenizer):
    """Whether a text is a whole answer in the eyes of a grammar."""

    def lets(grammar, text):
        matcher = LLMatcher(tokenizer, grammar)
        tokens = tokenizer.tokenize_str(text, parse_special=True)
        return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()

    return lets


@pytest.mark.parametrize(
    ("text", "is_let"),
    [
        ('{"name": "Oslo"}', True),
        ('{\n  "name": "Oslo"\n}', True),
        ('{"name": 1}', False),
        ("{}", False),
        ("Sure: {}", False),
        ('{"name":' + " " * 21 + '"Oslo"}', False),
    ],
)
def test_json_keeps_to_its_schema_and_does_not_write_blanks_for_ever(lets, text, is_let):
    assert lets(of_schema(CITY), text) is is_let


@pytest.mark.parametrize(
    ("text", "is_let"),
    [
        ('<call>{"name": "visit", "arguments": {"city": {"name": "Oslo"}}}</call>', True),
        ('<call>\n{"name": "count", "arguments": {"city": 7}}\n</call>', True),
        ('<call>{"name": "any", "arguments": {"a": [1]}}</call>', True),
        ('<call>{"name": "visit", "arguments": {"city": 7}}</call>', False),
        ('<call>{"name": "leave", "arguments": {}}</call>', False),
        ('<call>{"name": "any", "arguments":' + " " * 21 + "{}}</call>", False),
        ("I had rather not.", False),
    ],
)
def test_a_call_is_of_one_of_the_tools_each_with_its_own_definitions(lets, text, is_let):
    tools = [function("visit", VISIT), function("count", NUMBER), function("any")]

    assert lets(of_calls(tools, "<call>", "</call>"), text) is is_let


@pytest.mark.parametrize("signs", [Signs(reasoning_end="</think>"), Signs({SIGN: 257}, reasoning_end=SIGN)])
def test_reasoning_that_the_prompt_has_opened_ends_before_the_answer(lets, signs):
    schema, calls = of_schema(CITY, signs), of_calls([function("any")], "<call>", "</call>", signs)

    assert lets(schema, f'Is it {{"name"}}? <think>\n{signs.reasoning_end}\n\n{{"name": "Oslo"}}')
    assert lets(calls, f'Yes.{signs.reasoning_end}<call>{{"name": "any", "arguments": {{}}}}</call>')
    assert not lets(schema, '{"name": "Oslo"}')


@pytest.mark.parametrize("schema", [{"type": "foo"}, {"$ref": "#/nowhere"}, {"x-guidance": 5}, {"x-guidance": {"whitespace_pattern": 5}}])
def test_a_schema_that_cannot_be_kept_to_is_an_error_of_the_client(schema):
    with pytest.raises(ApiError) as caught:
        of_schema(schema)

    assert (caught.value.status, caught.value.code) == (400, "invalid_schema")


def test_a_model_that_thinks_ends_its_thought_first_where_its_template_has_opened_it(tmp_path, lets):
    marks = ("<think>", "</think>")
    opening, waiting = (
        load_model_text(make_tiny_model(tmp_path / name, template, marks))
        for name, template in (("opening", "{{ messages[0]['content'] }}<think>"), ("waiting", "{{ messages[0]['content'] }}"))
    )
    asked = Request(Endpoint.CHAT, "tiny", messages=({"role": "user", "content": "Q"},), response_schema=CITY)

    assert opening.prepared(asked).section == "reasoning"
    assert "</think>" in opening.prepared(asked).grammar
    assert waiting.prepared(asked).section == "normal"
    assert "</think>" not in waiting.prepared(asked).grammar


def test_a_model_that_must_call_is_held_to_the_function_that_was_named(tmp_path, lets):
    text = load_model_text(make_tiny_model(tmp_path / "calling", "{# <tool_call> tool_call.name #}{{ messages[0]['content'] }}"))
    choice = ToolChoice(is_required=True, name="count")
    tools = tuple({"type": "function", "function": one} for one in (function("visit", VISIT), function("count", OBJECT)))
    asked = Request(Endpoint.CHAT, "tiny", messages=({"role": "user", "content": "Q"},), tools=tools, tool_choice=choice)

    grammar = text.prepared(asked).grammar

    assert lets(grammar, f"<tool_call>{json.dumps({'name': 'count', 'arguments': {}})}</tool_call>")
    assert not lets(grammar, f"<tool_call>{json.dumps({'name': 'visit', 'arguments': {}})}</tool_call>")
