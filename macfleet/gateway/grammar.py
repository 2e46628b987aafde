"""What an answer must look like, as a grammar that the last stage keeps the model to, token by token (llguidance)."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from macfleet.api.errors import invalid

_ANY_OBJECT = {"type": "object"}
# A small model that may write any number of blanks between two words of JSON writes blanks for ever.
_BLANKS = {"whitespace_pattern": r"[ \n]{0,20}"}


@dataclass(frozen=True)
class Signs:
    """A model's own marks, as far as a grammar needs them. `special`: those that are tokens of their own and have no text.

    `reasoning_end`: set where the prompt has opened the reasoning, so that the model ends it before it answers.
    """

    special: Collection[str] = ()
    reasoning_end: str | None = None


def of_schema(schema: Mapping[str, Any], signs: Signs = Signs()) -> str:
    """The grammar of JSON that keeps to this schema. Raises ApiError for one that cannot be kept to."""
    return _checked("body", {"body": f"%json {json.dumps(_sparing(schema))}"}, signs, "response_format")


def of_calls(tools: Sequence[Mapping[str, Any]], start: str, end: str, signs: Signs = Signs()) -> str:
    """The grammar of one call of one of these tools, between a model's marks, as JSON with a name and arguments."""
    calls = _sparing({"anyOf": [_call(number, tool["function"]) for number, tool in enumerate(tools)]})
    open_, close = (_sign(mark, signs) for mark in (start, end))
    return _checked(f"{open_} ws body ws {close}", {"ws": r"/\n?/", "body": f"%json {json.dumps(calls)}"}, signs, "tools")


def _sparing(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with a limit to the blanks between its words, unless it has one of its own."""
    given = schema.get("x-guidance", {})
    return {**schema, "x-guidance": {**_BLANKS, **given} if isinstance(given, Mapping) else given}


def _call(number: int, function: Mapping[str, Any]) -> dict[str, Any]:
    # With an $id, `#/$defs/…` inside the parameters means their own definitions, as the client wrote them.
    parameters = {"$id": f"urn:macfleet:function:{number}", **(function.get("parameters") or _ANY_OBJECT)}
    return {
        "type": "object",
        "properties": {"name": {"const": function["name"]}, "arguments": parameters},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _sign(mark: str, signs: Signs) -> str:
    return mark if mark in signs.special else json.dumps(mark)


def _checked(start: str, rules: Mapping[str, str], signs: Signs, param: str) -> str:
    from llguidance import LLMatcher

    before = _reasoning(signs)
    grammar = "\n".join(["%llguidance {}", f"start: {'reasoning ' if before else ''}{start}", *_lines({**before, **rules}), ""])
    is_wrong, said = LLMatcher.validate_grammar_with_warnings(grammar)
    if is_wrong:
        raise invalid(f"This schema cannot be kept to: {said[0].splitlines()[0]}.", param=param, code="invalid_schema")
    return grammar


def _reasoning(signs: Signs) -> dict[str, str]:
    """Any text up to the mark that ends it, and the blank line that models write behind it."""
    if signs.reasoning_end is None:
        return {}
    gap = {"gap": r"/\n{0,2}/"}
    if signs.reasoning_end in signs.special:
        return {"reasoning": f"THOUGHT {signs.reasoning_end} gap", "THOUGHT": r"/(.|\n)*/", **gap}
    return {"reasoning": "thought gap", f"thought[suffix={json.dumps(signs.reasoning_end)}]": r"/(.|\n)*/", **gap}


def _lines(rules: Mapping[str, str]) -> list[str]:
    return [f"{name}: {rule}" for name, rule in rules.items()]
