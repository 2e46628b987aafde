"""Text with holes, filled strictly: a name that nobody gave is an error that shows the near one, never an empty string."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any
from xml.sax.saxutils import escape

import jinja2

from macfleet.core.errors import RequestError


def render(template: str, templates: Mapping[str, str], values: Mapping[str, Any]) -> str:
    """The template of that name (of `templates`, name → text) filled with `values`.

    A name ending in `.plist.j2` is XML: what is filled in is escaped. Raises RequestError naming the template and its line.
    """
    if template not in templates:
        near = difflib.get_close_matches(template, templates, n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"there are: {', '.join(sorted(templates))}"
        raise RequestError(f'there is no template "{template}"', hint=hint)
    environment = strict_environment(templates)
    try:
        return environment.get_template(template).render(values)
    except jinja2.TemplateSyntaxError as error:
        raise RequestError(f"templates/{error.name or template}:{error.lineno}: {error.message}") from error
    except jinja2.TemplateNotFound as error:
        raise RequestError(f"templates/{template} includes {error.name}, which is not there") from error
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise RequestError(f"templates/{template}{_line_of(error, template)}: {error}") from error


def strict_environment(templates: Mapping[str, str] | None = None) -> jinja2.Environment:
    """Jinja2 as macfleet uses it everywhere: undefined names are errors, lines stay lines."""
    environment = jinja2.Environment(
        undefined=Undefined,
        loader=jinja2.DictLoader(templates or {}),
        autoescape=lambda name: bool(name and name.endswith(".plist.j2")),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["sh"] = _quote
    environment.filters["xml"] = escape
    environment.filters["json"] = json.dumps
    return environment


class Undefined(jinja2.StrictUndefined):
    """Names what was asked for, and the near name that exists."""

    @property
    def _undefined_message(self) -> str:
        message = super()._undefined_message
        owner = self._undefined_obj
        if isinstance(self._undefined_name, str) and (near := difflib.get_close_matches(self._undefined_name, _names_of(owner), n=1)):
            return f'there is no "{self._undefined_name}"; did you mean "{near[0]}"?'
        return message


def _names_of(value: object) -> list[str]:
    match value:
        case Mapping():
            return [str(key) for key in value]
        case _ if is_dataclass(value):
            return [field.name for field in fields(value)]
    return list(getattr(type(value), "model_fields", ()))


def _line_of(error: BaseException, template: str) -> str:
    """`:12`, the line of the template that Jinja2 leaves in the traceback."""
    line, step = "", error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename in (template, "<template>"):
            line = f":{step.tb_lineno}"
        step = step.tb_next
    return line


def _quote(text: object) -> str:
    import shlex

    return shlex.quote(str(text))
