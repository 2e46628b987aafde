"""How models write a call, as rules of a grammar: for each form that mlx-lm has a parser of and a model can be kept to.

The names are those of mlx-lm's parsers, which read what these rules let a model write. An argument that may be text stands there
as it is; one that may not is JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Function = Mapping[str, Any]  # "name", maybe "parameters", as the client sent it
Rules = dict[str, str]

_ANY_OBJECT: Mapping[str, Any] = {"type": "object"}
# A small model that may write any number of blanks between two words of JSON writes blanks for ever.
_BLANKS = {"whitespace_pattern": r"[ \n]{0,20}"}


@dataclass(frozen=True)
class Signs:
    """A model's own marks, as far as a grammar needs them. `special`: those that are one token and have no text, with its id.

    `reasoning_end`: set where the prompt has opened the reasoning, so that the model ends it before it answers.
    """

    special: Mapping[str, int] = field(default_factory=dict)
    reasoning_end: str | None = None

    def said(self, mark: str) -> str:
        """The mark in a rule."""
        return f"<[{self.special[mark]}]>" if mark in self.special else json.dumps(mark)


def sparing(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with a limit to the blanks between its words, unless it has one of its own."""
    given = schema.get("x-guidance", {})
    return {**schema, "x-guidance": {**_BLANKS, **given} if isinstance(given, Mapping) else given}


def as_json(functions: Sequence[Function], signs: Signs) -> Rules:
    """`{"name": "look", "arguments": {…}}`"""
    # With an $id, `#/$defs/…` inside the parameters means their own definitions, as the client wrote them.
    calls = [
        {
            "type": "object",
            "properties": {"name": {"const": function["name"]}, "arguments": {"$id": f"urn:function:{number}", **_parameters(function)}},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for number, function in enumerate(functions)
    ]
    return {"call": _json({"anyOf": calls})}


def as_kimi(functions: Sequence[Function], signs: Signs) -> Rules:
    """`functions.look:0`, its arguments in JSON, between marks of its own."""
    begin, arguments, end = map(signs.said, ("<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"))
    heads = [f"{begin} {json.dumps('functions.' + function['name'] + ':0')} {arguments}" for function in functions]
    return _with_json(functions, [f"{head} $ {end}" for head in heads])


def as_mistral(functions: Sequence[Function], signs: Signs) -> Rules:
    """`look[ARGS]{…}`"""
    return _with_json(functions, [f"{json.dumps(function['name'])} {signs.said('[ARGS]')} $" for function in functions])


def as_qwen_coder(functions: Sequence[Function], signs: Signs) -> Rules:
    return _with_texts(functions, ("<function=%s>\n", "</function>"), ("<parameter=%s>\n", "\n</parameter>\n"))


def as_minimax(functions: Sequence[Function], signs: Signs) -> Rules:
    return _with_texts(functions, ('<invoke name="%s">\n', "</invoke>"), ('<parameter name="%s">', "</parameter>\n"))


def as_glm(functions: Sequence[Function], signs: Signs) -> Rules:
    return _with_texts(functions, ("%s\n", ""), ("<arg_key>%s</arg_key>\n<arg_value>", "</arg_value>\n"))


# longcat's parser reads JSON as well as its own form.
FORMS: Mapping[str, Callable[[Sequence[Function], Signs], Rules]] = {
    "json_tools": as_json,
    "longcat": as_json,
    "kimi_k2": as_kimi,
    "mistral": as_mistral,
    "qwen3_coder": as_qwen_coder,
    "minimax_m2": as_minimax,
    "glm47": as_glm,
}


def _with_json(functions: Sequence[Function], calls: Sequence[str]) -> Rules:
    """`calls`: a rule for each function, with `$` where its arguments are."""
    arguments = {f"arguments{number}": _json(_parameters(function)) for number, function in enumerate(functions)}
    return {"call": " | ".join(call.replace("$", f"arguments{number}") for number, call in enumerate(calls)), **arguments}


def _with_texts(functions: Sequence[Function], around_call: tuple[str, str], around_argument: tuple[str, str]) -> Rules:
    """Calls whose arguments stand one after the other, each between marks with its name; those that may be left out may be."""
    begin, end = around_call
    rules: Rules = {"call": " | ".join(f"call{number}" for number in range(len(functions)))}
    for number, function in enumerate(functions):
        parameters = _parameters(function)
        names = list(parameters.get("properties", {}))
        marks = [f"argument{number}_{place}{'' if name in parameters.get('required', ()) else '?'}" for place, name in enumerate(names)]
        rules[f"call{number}"] = " ".join([json.dumps(begin % function["name"]), *marks, *([json.dumps(end)] if end else [])])
        for place, name in enumerate(names):
            rules |= dict(_argument(f"{number}_{place}", name, parameters, around_argument))
    return rules


def _argument(place: str, name: str, parameters: Mapping[str, Any], around: tuple[str, str]) -> Iterator[tuple[str, str]]:
    begin, end = around[0] % name, around[1]
    schema = parameters["properties"][name]
    choices = _texts(schema, parameters)
    if choices:
        yield f"argument{place}", f"{json.dumps(begin)} ({' | '.join(map(json.dumps, choices))}) {json.dumps(end)}"
    elif _may_be_text(schema, parameters):
        yield f"argument{place}", f"{json.dumps(begin)} text{place}"
        yield f"text{place}[suffix={json.dumps(end)}]", r"/(.|\n)*/"
    else:
        yield f"argument{place}", f"{json.dumps(begin)} value{place} {json.dumps(end)}"
        yield f"value{place}", _json({**schema, **{word: parameters[word] for word in ("$defs", "definitions") if word in parameters}})


def _texts(schema: Any, root: Mapping[str, Any]) -> list[str]:
    """The texts it may be, if it may be nothing else."""
    found = _resolved(schema, root)
    choices = found.get("enum", [found["const"]] if "const" in found else [])
    return list(choices) if all(isinstance(choice, str) for choice in choices) else []


def _may_be_text(schema: Any, root: Mapping[str, Any], depth: int = 0) -> bool:
    found = _resolved(schema, root)
    parts = [part for word in ("anyOf", "oneOf", "allOf") for part in found.get(word, ())]
    if parts and depth < 8:
        return any(_may_be_text(part, root, depth + 1) for part in parts)
    kinds = found.get("type", "string")
    return "string" in ([kinds] if isinstance(kinds, str) else kinds)


def _resolved(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference to a definition of the root refers to. Not known is any text."""
    for _ in range(8):
        if not isinstance(schema, Mapping) or "$ref" not in schema:
            break
        _, _, path = str(schema["$ref"]).partition("#/")
        word, _, name = path.partition("/")
        schema = root.get(word, {}).get(name) if isinstance(root.get(word), Mapping) else None
    return schema if isinstance(schema, Mapping) else {}


def _parameters(function: Function) -> Mapping[str, Any]:
    return function.get("parameters") or _ANY_OBJECT


def _json(schema: Mapping[str, Any]) -> str:
    return f"%json {json.dumps(sparing(schema))}"
