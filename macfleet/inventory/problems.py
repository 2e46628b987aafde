"""What pydantic found wrong, in the words of the person who wrote the file."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from macfleet.core.near import did_you_mean
from macfleet.inventory.settings import SecretSource, Settings
from macfleet.inventory.yaml_text import Path, Problem, YamlText


def problems_of(
    error: ValidationError, model: type[BaseModel], source: YamlText, counts: Callable[[Path], bool] = lambda path: True
) -> list[Problem]:
    """Each error at its own line, in file order, with the correction or the near name; only those at a path that counts."""
    found = []
    for detail in error.errors(include_url=False):
        path = tuple(step for step in detail["loc"] if step != "[key]")
        if counts(path):
            found.append(source.problem(path, _sentence(dict(detail), path, model)))
    return found


def _sentence(detail: dict[str, Any], path: Path, model: type[BaseModel]) -> str:
    given = _shown(detail["input"], path, model)
    limits = detail.get("ctx", {})
    match detail["type"]:
        case "value_error":
            return str(limits["error"])
        case "extra_forbidden":
            return _unknown_key(path, model)
        case "missing":
            return _missing_key(path, model)
        case _ if detail["input"] is None:
            return "nothing stands here; write a value or remove the key"
        case "int_parsing" | "int_type" | "int_from_float":
            return f"{given} is not a whole number"
        case "float_parsing" | "float_type":
            return f"{given} is not a number"
        case "bool_parsing" | "bool_type":
            return f"{given} is neither true nor false"
        case "greater_than_equal":
            return f"{given} is too small; at least {limits['ge']}"
        case "less_than_equal":
            return f"{given} is too large; at most {limits['le']}"
        case "literal_error" | "enum":
            choices = _choices(_annotation(model, path))
            return f"{given} is not one of {', '.join(choices)}" + _suggestion(detail["input"], choices)
        case "too_short":
            return "nothing stands here; write at least one"
        case "tuple_type" | "list_type":
            return f"write a list: [{given[1:-1]}]" if given.startswith('"') else "write a list: [A, B]"
        case "string_type":
            return "write one value here, not a list or a mapping"
        case "model_type" | "dict_type" | "model_attributes_type":
            return _not_a_mapping(given, _annotation(model, path))
        case "ip_v4_network":
            return f'{given} is not an IPv4 network; write it like "10.55.0.0/16"'
    return str(detail["msg"])


def _shown(value: Any, path: Path, model: type[BaseModel]) -> str:
    """The value for a message; a list or mapping only by its kind, and nothing at all at or below a secret's source."""
    if any(model_in(_annotation(model, path[:depth])) is SecretSource for depth in range(len(path) + 1)):
        return "this"
    if isinstance(value, str | int | float | bool):
        return f'"{value}"'
    return "a list" if isinstance(value, Sequence) else "a mapping"


def _unknown_key(path: Path, model: type[BaseModel]) -> str:
    key, place = str(path[-1]), model_in(_annotation(model, path[:-1]))
    keys = list(place.model_fields) if place else []
    if "settings" in keys and key in Settings.model_fields:
        return f'"{key}" stands one level too high; write it under "settings:"'
    return f'"{key}" is not a key here; {did_you_mean(key, keys)}'


def _missing_key(path: Path, model: type[BaseModel]) -> str:
    place = model_in(_annotation(model, path[:-1]))
    examples = (place.model_fields[str(path[-1])].examples if place else None) or []
    return f'"{path[-1]}" is missing' + (f'; write "{path[-1]}: {examples[0]}"' if examples else "")


def _not_a_mapping(given: str, annotation: Any) -> str:
    place = model_in(annotation)
    return f"{given} stands where keys are wanted" + (f": {', '.join(place.model_fields)}" if place else "")


def _suggestion(value: Any, choices: Sequence[str]) -> str:
    close = did_you_mean(str(value), choices)
    return f"; {close}" if close.startswith("did") else ""


def _choices(annotation: Any) -> list[str]:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [member.value for member in annotation]
    return [str(choice) for choice in get_args(annotation)]


def _annotation(model: type[BaseModel], path: Path) -> Any:
    """The declared type at `path`, or None where nothing is declared."""
    annotation: Any = model
    for step in path:
        inner = model_in(annotation)
        if inner is not None:
            field = inner.model_fields.get(str(step))
            annotation = field.annotation if field else None
        else:
            arguments = [argument for argument in get_args(_bare(annotation)) if argument is not Ellipsis]
            annotation = arguments[-1] if arguments else None
    return _bare(annotation)


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The section that an annotation stands for, if it is one."""
    bare = _bare(annotation)
    return bare if isinstance(bare, type) and issubclass(bare, BaseModel) else None


def _bare(annotation: Any) -> Any:
    """Without Annotated and without None."""
    while True:
        if get_origin(annotation) is typing.Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (typing.Union, types.UnionType):
            kept = [argument for argument in get_args(annotation) if argument is not types.NoneType]
            if len(kept) != 1:
                return annotation
            annotation = kept[0]
        else:
            return annotation
