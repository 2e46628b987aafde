"""Expressions in a playbook, strictly: a whole value `{{ x }}` keeps x's type, anything around it makes text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import jinja2
from jinja2.environment import TemplateExpression

from macfleet.core.template import strict_environment

_WHOLE = re.compile(r"\s*\{\{(?P<expression>(?:(?!\}\}|\{\{).)*)\}\}\s*", re.DOTALL)
# Inside text a boolean is written as YAML and macOS's own tools write it, not as Python does.
_ENVIRONMENT = strict_environment().overlay(finalize=lambda value: str(value).lower() if isinstance(value, bool) else value)
_TOO_DEEP = "this nests too deeply"
# What an expression may end in: an unknown name, or arithmetic with the wrong kind of value ("auto" // 1048576).
MISTAKES = (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError)


def check_syntax(value: Any) -> str | None:
    """What is wrong with the expressions inside `value` before any name is looked up; None: nothing."""
    match value:
        case dict():
            return next((problem for item in value.values() if (problem := check_syntax(item))), None)
        case list():
            return next((problem for item in value if (problem := check_syntax(item))), None)
        case str():
            try:
                _ENVIRONMENT.parse(value)
            except jinja2.TemplateSyntaxError as error:
                return f"{error.message} in {value!r}"
            except RecursionError:
                return _TOO_DEEP
    return None


def check_expression(text: str) -> str | None:
    """What is wrong with a bare expression, such as a `when`."""
    if "{{" in text:
        return "this is an expression already; write it without {{ }}"
    try:
        _ENVIRONMENT.compile_expression(text)
    except jinja2.TemplateSyntaxError as error:
        return f"{error.message} in {text!r}"
    except RecursionError:
        return _TOO_DEEP
    return None


def fill(value: Any, values: Mapping[str, Any]) -> Any:
    """`value` with every expression replaced. Raises one of MISTAKES."""
    match value:
        case dict():
            return {key: fill(item, values) for key, item in value.items()}
        case list():
            return [fill(item, values) for item in value]
        case str() if whole := _WHOLE.fullmatch(value):
            return evaluate(whole["expression"], values)
        case str() if "{" in value:
            return str(_template(value).render(values))
    return value


def evaluate(expression: str, values: Mapping[str, Any]) -> Any:
    """The value of a bare expression, in its own type. Raises one of MISTAKES."""
    result = _expression(expression.strip())(**values)
    if isinstance(result, jinja2.Undefined):
        str(result)  # a strict undefined raises, with the near name, as soon as it is looked at
    return result


# Compiling costs a hundred times what filling does, and every Mac fills the same playbook.
@cache
def _expression(text: str) -> TemplateExpression:
    return _ENVIRONMENT.compile_expression(text, undefined_to_none=False)


@cache
def _template(text: str) -> jinja2.Template:
    return _ENVIRONMENT.from_string(text)
