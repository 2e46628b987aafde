"""What a module says of itself, for whoever writes a playbook: taken from the code that runs, so it cannot be out of date."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from macfleet.modules.base import Module, Repeatable

_TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "object": "mapping"}
_FORMATS = {"ipv4": "address", "ipv4network": "network", "ipv4interface": "address/prefix"}
# Sections that playbooks fill from the inventory, in a word.
_NAMED = {"SecretSource": "secret: {env: NAME}, {file: PATH} or {command: [WORDS]}"}


@dataclass(frozen=True)
class Argument:
    """`default` as it would be written in a playbook, "" for nothing; None where the argument must be given."""

    name: str
    type: str
    default: str | None
    description: str


@dataclass(frozen=True)
class Description:
    """`summary` is half a sentence, `notes` are whole ones."""

    name: str
    summary: str
    notes: str
    arguments: tuple[Argument, ...]
    example: str
    is_repeatable: bool

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def describe(module: Module[Any]) -> Description:
    file = inspect.getdoc(inspect.getmodule(type(module))) or ""
    first, _, rest = file.partition("\n\n")
    notes = " ".join(text for text in (_folded(rest), _folded(_own_docstring(type(module)))) if text)
    return Description(
        module.name,
        _folded(first).partition(": ")[2].removesuffix("."),
        notes,
        tuple(_arguments(module.Args.model_json_schema(), module.Args.model_construct().model_dump(mode="json"))),
        module.example.strip(),
        isinstance(module, Repeatable),
    )


def _own_docstring(kind: type) -> str:
    return inspect.cleandoc(kind.__dict__.get("__doc__") or "")


def _folded(text: str) -> str:
    return " ".join(text.split())


def _arguments(schema: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[Argument]:
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        default = None if name in required else _spelt(defaults[name])
        yield Argument(name, _type(field, schema.get("$defs", {})), default, field.get("description", ""))


def _type(field: Mapping[str, Any], named: Mapping[str, Any]) -> str:
    match field:
        case {"$ref": str(ref)}:
            name = ref.rpartition("/")[2]
            return _NAMED.get(name) or _type(named[name], named)
        case {"anyOf": [*choices]}:
            return " or ".join(dict.fromkeys(_type(choice, named) for choice in choices if choice.get("type") != "null"))
        case {"enum": [*values]}:
            return _either([f"`{value}`" for value in values])
        case {"type": "array", "items": items}:
            return f"list of {_type(items, named)}"
        case {"format": str(form)} if form in _FORMATS:
            return _FORMATS[form]
        case {"type": "string", "examples": [example, *_]}:
            return f"text like {example}"
        case {"type": [*_]}:  # a version, which YAML may take for a number
            return "text"
    return _TYPES.get(field.get("type", ""), "any value")


def _either(choices: Sequence[str]) -> str:
    *firsts, last = choices
    return f"{', '.join(firsts)} or {last}" if firsts else last


def _spelt(default: object) -> str:
    match default:
        case None:
            return ""
        case bool():
            return str(default).lower()
        case [] | () | {}:
            return "none"
    return str(default)
