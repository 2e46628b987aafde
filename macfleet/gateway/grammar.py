"""What an answer must look like, as a grammar that the last stage keeps the model to, token by token (llguidance)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from macfleet.api.errors import invalid
from macfleet.gateway.forms import Function, Rules, Signs, as_json, sparing

_NONE = Signs()


def of_schema(schema: Mapping[str, Any], signs: Signs = _NONE) -> str:
    """The grammar of JSON that keeps to this schema. Raises ApiError for one that cannot be kept to."""
    return _checked("body", {"body": f"%json {json.dumps(sparing(schema))}"}, signs, "response_format")


def of_calls(
    functions: Sequence[Function], start: str, end: str, signs: Signs = _NONE, form: Callable[[Sequence[Function], Signs], Rules] = as_json
) -> str:
    """The grammar of one call of one of these functions, between a model's marks. Raises ApiError as `of_schema` does."""
    try:
        rules = form(functions, signs)
    except (AttributeError, TypeError, ValueError, KeyError) as error:  # parameters that are no schema: {"properties": 7}
        raise invalid("The parameters of a tool are no JSON schema.", param="tools", code="invalid_schema") from error
    close = f" ws {signs.said(end)}" if end else ""
    return _checked(f"{signs.said(start)} ws call{close}", {"ws": r"/\n?/", **rules}, signs, "tools")


def _checked(start: str, rules: Rules, signs: Signs, param: str) -> str:
    from llguidance import LLMatcher

    before = _reasoning(signs)
    grammar = "\n".join(["%llguidance {}", f"start: {'reasoning ' if before else ''}{start}", *_lines({**before, **rules}), ""])
    is_wrong, said = LLMatcher.validate_grammar_with_warnings(grammar)
    if is_wrong:
        raise invalid(f"This schema cannot be kept to: {said[0].splitlines()[0]}.", param=param, code="invalid_schema")
    return grammar


def _reasoning(signs: Signs) -> Rules:
    """Any text up to the mark that ends it, and the blank line that models write behind it."""
    end = signs.reasoning_end
    if end is None:
        return {}
    gap = {"gap": r"/\n{0,2}/"}
    if end in signs.special:
        return {"reasoning": f"THOUGHT {signs.said(end)} gap", "THOUGHT": r"/(.|\n)*/", **gap}
    return {"reasoning": "thought gap", f"thought[suffix={json.dumps(end)}]": r"/(.|\n)*/", **gap}


def _lines(rules: Rules) -> list[str]:
    return [f"{name}: {rule}" for name, rule in rules.items()]
