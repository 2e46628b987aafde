"""Which names an expression uses, and which of them nobody will give it: seen in its text, without a Mac to fill it for."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

import jinja2
from jinja2 import nodes
from pydantic import BaseModel

from macfleet.core.near import did_you_mean
from macfleet.core.template import strict_environment

# What stands behind a name: a class whose attributes are known, a mapping of names, or None: nobody knows before it is filled.
Shape = type | Mapping[str, Any] | None
_ENVIRONMENT = strict_environment()


def problems_of_names(value: Any, known: Mapping[str, Shape]) -> list[str]:
    """What is undefined in the expressions inside `value`, each said once, with the near name. Syntax must be right."""
    match value:
        case dict():
            return [problem for item in value.values() for problem in problems_of_names(item, known)]
        case list():
            return [problem for item in value for problem in problems_of_names(item, known)]
        case str() if "{{" in value or "{%" in value:
            return problems_in_template(_ENVIRONMENT.parse(value), known)
    return []


def problems_of_expression(text: str, known: Mapping[str, Shape]) -> list[str]:
    """The same of a bare expression, such as a `when`."""
    return problems_in_template(_ENVIRONMENT.parse("{{ " + text + " }}"), known)


def problems_in_template(tree: nodes.Template, known: Mapping[str, Shape]) -> list[str]:
    return list(dict.fromkeys(text for _, text in problems_with_lines(tree, known)))


def problems_with_lines(tree: nodes.Template, known: Mapping[str, Shape]) -> Iterator[tuple[int, str]]:
    """Each problem with its line in the template."""
    own = _set_inside(tree)
    shapes = {name: shape for name, shape in known.items() if name not in own}
    for node in tree.find_all((nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Filter, nodes.Test)):
        match node:
            case nodes.Name(ctx="load", name=name) if name not in own and name not in known:
                yield node.lineno, _no_name(name, known)
            case nodes.Getattr() | nodes.Getitem():
                owner, step = _shape(node.node, shapes), _step(node)
                if owner is not None and step is not None and step not in _names_in(owner):
                    yield node.lineno, _there_is_no(step, _names_in(owner))
            case nodes.Filter(name=name) if name not in _ENVIRONMENT.filters:
                yield node.lineno, f'there is no filter "{name}"; {did_you_mean(name, _ENVIRONMENT.filters)}'
            case nodes.Test(name=name) if name not in _ENVIRONMENT.tests:
                yield node.lineno, f'there is no test "{name}"; {did_you_mean(name, _ENVIRONMENT.tests)}'


def _set_inside(tree: nodes.Template) -> set[str]:
    """Names that the text itself brings: a loop's variable, {% set %}, a macro; and Jinja's own."""
    own = {node.name for node in tree.find_all(nodes.Name) if node.ctx != "load"} | set(_ENVIRONMENT.globals)
    own |= {macro.name for macro in tree.find_all(nodes.Macro)}
    own |= {imported.target for imported in tree.find_all(nodes.Import)}
    for imported in tree.find_all(nodes.FromImport):
        own |= {name if isinstance(name, str) else name[1] for name in imported.names}
    return own | ({"loop"} if tree.find(nodes.For) else set()) | ({"caller", "varargs", "kwargs"} if tree.find(nodes.Macro) else set())


def _no_name(name: str, known: Mapping[str, Shape]) -> str:
    variables = known.get("vars")
    if isinstance(variables, Mapping) and name in variables:
        return f'there is no "{name}"; did you mean "vars.{name}"?'
    return _there_is_no(name, list(known))


def _there_is_no(name: str, names: typing.Collection[str]) -> str:
    hint = did_you_mean(name, sorted(names))
    return f'there is no "{name}"' + (f"; {hint}" if hint else "")


def _shape(node: nodes.Node, shapes: Mapping[str, Shape]) -> Shape:
    match node:
        case nodes.Name(name=name):
            return shapes.get(name)
        case nodes.Getattr() | nodes.Getitem():
            owner, step = _shape(node.node, shapes), _step(node)
            match owner:
                case Mapping() if step is not None and step in owner:
                    shape: Shape = owner[step]
                    return shape
                case type() if step is not None:
                    return _attributes(owner).get(step)
    return None


def _step(node: nodes.Getattr | nodes.Getitem) -> str | None:
    if isinstance(node, nodes.Getattr):
        return node.attr
    return node.arg.value if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str) else None


def _names_in(shape: type | Mapping[str, Any]) -> typing.Collection[str]:
    return shape.keys() if isinstance(shape, Mapping) else _attributes(shape).keys()


@cache
def _attributes(owner: type) -> dict[str, Shape]:
    """Every public attribute of one of our classes: fields, properties, methods, with what is behind it."""
    hints = typing.get_type_hints(owner)
    names = [field.name for field in fields(owner)] if is_dataclass(owner) else list(getattr(owner, "model_fields", ()))
    found: dict[str, Shape] = {name: _class_of(hints[name]) for name in names}
    for name in dir(owner):
        if not name.startswith(("_", "model_")) and name not in found:
            member = getattr(owner, name, None)
            returned = typing.get_type_hints(member.fget).get("return") if isinstance(member, property) and member.fget else None
            found[name] = _class_of(returned)
    return found


def _class_of(annotation: Any) -> Shape:
    """The class to look into, if it is one of ours; one that may be None is looked into too."""
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        kept = [argument for argument in typing.get_args(annotation) if argument is not types.NoneType]
        return _class_of(kept[0]) if len(kept) == 1 else None
    is_ours = isinstance(annotation, type) and (is_dataclass(annotation) or issubclass(annotation, BaseModel))
    return annotation if is_ours else None


def parse_template(name: str, text: str) -> nodes.Template | str:
    """The template's tree, or what is wrong with its text: `12: unexpected '}'`."""
    try:
        return _ENVIRONMENT.parse(text, name)
    except jinja2.TemplateSyntaxError as error:
        return f"{error.lineno}: {error.message}"
