"""What an answer must look like, as a grammar that the last stage keeps the model to, token by token (llguidance)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from macfleet.api.errors import invalid

_ANY_OBJECT = {"type": "object"}
# A small model that may write any number of blanks between two words of JSON writes blanks for ever.
_BLANKS = {"whitespace_pattern": r"[ \n]{0,20}"}


def of_schema(schema: Mapping[str, Any]) -> str:
    """The grammar of JSON that keeps to this schema. Raises ApiError for one that cannot be kept to."""
    from llguidance import LLMatcher

    return _checked(
        LLMatcher.grammar_from_json_schema({**schema, "x-guidance": {**_BLANKS, **schema.get("x-guidance", {})}}), "response_format"
    )


def of_calls(tools: Sequence[Mapping[str, Any]], start: str, end: str, special: Sequence[str]) -> str:
    """The grammar of one call of one of these tools, between a model's marks, as JSON with a name and arguments.

    `special`: the marks that are tokens of their own and have no text.
    """
    calls = {"anyOf": [_call(tool["function"]) for tool in tools]}
    open_, close = (mark if mark in special else json.dumps(mark) for mark in (start, end))
    return _checked(f"%llguidance {{}}\nstart: {open_} ws body ws {close}\nws: /\\n?/\nbody: %json {json.dumps(calls)}\n", "tools")


def _call(function: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"name": {"const": function["name"]}, "arguments": function.get("parameters") or _ANY_OBJECT},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _checked(grammar: str, param: str) -> str:
    from llguidance import LLMatcher

    is_wrong, said = LLMatcher.validate_grammar_with_warnings(grammar)
    if is_wrong:
        raise invalid(f"This schema cannot be kept to: {said[0].splitlines()[0]}.", param=param, code="invalid_schema")
    return grammar
