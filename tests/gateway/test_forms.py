"""Calls in the forms of several models: what a grammar lets them write, mlx-lm's own parser understands."""

import contextlib
import json
from importlib import import_module

import pytest
from llguidance import LLMatcher, LLTokenizer

from macfleet.api.errors import ApiError
from macfleet.gateway.forms import FORMS, Signs
from macfleet.gateway.grammar import of_calls

WEATHER = {
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"$ref": "#/$defs/Unit"},
            "days": {"type": "integer"},
            "near": {"type": "array", "items": {"$ref": "#/$defs/Unit"}},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["city", "days"],
        "$defs": {"Unit": {"enum": ["C", "F"], "type": "string"}},
    },
}
CLOCK = {"name": "clock", "parameters": None}
ASKED = {"city": "Nižný <Hrad>\n2", "unit": "C", "days": 3, "near": ["C", "F"], "note": "soon"}

AS_JSON = json.dumps(ASKED, ensure_ascii=False)

WRITTEN = {
    "json_tools": json.dumps({"name": "weather", "arguments": ASKED}, ensure_ascii=False),
    "longcat": json.dumps({"name": "weather", "arguments": ASKED}, ensure_ascii=False),
    "kimi_k2": f"<|tool_call_begin|>functions.weather:0<|tool_call_argument_begin|>{AS_JSON}<|tool_call_end|>",
    "mistral": f"weather[ARGS]{AS_JSON}",
    "qwen3_coder": "<function=weather>\n"
    + "".join(f"<parameter={name}>\n{value}\n</parameter>\n" for name, value in (ASKED | {"near": '["C", "F"]'}).items())
    + "</function>\n",
    "minimax_m2": '<invoke name="weather">\n'
    + "".join(f'<parameter name="{name}">{value}</parameter>\n' for name, value in (ASKED | {"near": '["C", "F"]'}).items())
    + "</invoke>\n",
    "glm47": "weather\n"
    + "".join(f"<arg_key>{name}</arg_key>\n<arg_value>{value}</arg_value>\n" for name, value in (ASKED | {"near": '["C", "F"]'}).items()),
}


@pytest.fixture(scope="module")
def tokenizer(model_dir):
    return LLTokenizer((model_dir / "tokenizer.json").read_text(), eos_token=256)


@pytest.fixture
def lets(tokenizer):
    def lets(kind, text, functions=(WEATHER, CLOCK)):
        parser = import_module(f"mlx_lm.tool_parsers.{kind}")
        grammar = of_calls(functions, parser.tool_call_start, parser.tool_call_end, Signs(), FORMS[kind])
        matcher = LLMatcher(tokenizer, grammar)
        tokens = tokenizer.tokenize_str(f"{parser.tool_call_start}{text}{parser.tool_call_end}")
        assert not matcher.is_error(), matcher.get_error()
        return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()

    return lets


def test_every_form_has_its_case():
    assert WRITTEN.keys() == FORMS.keys()


@pytest.mark.parametrize("kind", FORMS)
def test_what_a_model_is_let_write_its_parser_reads(lets, kind):
    parser = import_module(f"mlx_lm.tool_parsers.{kind}")

    found = parser.parse_tool_call(WRITTEN[kind], [{"type": "function", "function": WEATHER}])

    assert lets(kind, WRITTEN[kind])
    (call,) = found if isinstance(found, list) else [found]
    assert (call["name"], call["arguments"]) == ("weather", ASKED)


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize(
    ("right", "wrong"),
    [("weather", "whether"), ("C", "K"), ('"days": 3', '"days": "three"'), ("\n3\n", "\nthree\n"), (">3<", ">three<")],
)
def test_what_is_not_of_the_schema_is_not_let(lets, kind, right, wrong):
    spoilt = WRITTEN[kind].replace(right, wrong, 1)

    assert lets(kind, spoilt) is (spoilt == WRITTEN[kind])


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("json_tools", '{"name": "clock", "arguments": {}}'),
        ("mistral", "clock[ARGS]{}"),
        ("qwen3_coder", "<function=clock>\n</function>"),
        ("minimax_m2", '<invoke name="clock">\n</invoke>'),
        ("glm47", "clock\n"),
    ],
)
def test_a_call_without_arguments(lets, kind, text):
    found = import_module(f"mlx_lm.tool_parsers.{kind}").parse_tool_call(text, None)

    assert lets(kind, text)
    assert found == {"name": "clock", "arguments": {}}


@pytest.mark.parametrize(
    "parameters", [{"properties": 7}, {"properties": {"a": 7}}, {"type": "object", "properties": {"a": {"$ref": "#/no"}}}]
)
@pytest.mark.parametrize("kind", FORMS)
def test_strange_parameters_are_an_error_of_the_client_or_any_text(lets, kind, parameters):
    with contextlib.suppress(ApiError):
        lets(kind, "", ({"name": "odd", "parameters": parameters},))
