"""`template`: a file with the text of a template, filled with this Mac's values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from macfleet.core.change import Diff
from macfleet.core.fact import Fact, Facts, Unknown
from macfleet.core.template import render
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict
from macfleet.macos.files import file_state
from macfleet.modules.base import Surroundings
from macfleet.modules.files import AbsolutePath, Mode, Owner, file_change


class TemplateArgs(Strict):
    template: str
    path: AbsolutePath
    mode: Mode = "644"
    owner: Owner = "root:wheel"
    vars: dict[str, Any] = Field({})


def template_values(mac: Mac, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The names that every template may use, and the task's own."""
    return {"mac": mac, "settings": mac.settings, "paths": mac.paths, **variables}


class Template:
    name = "template"
    Args = TemplateArgs
    looks_around: tuple[Fact[Any], ...] = ()
    example = """
template:
  template: newsyslog.conf.j2
  path: "{{ mac.paths.at('/etc/newsyslog.d/macfleet.conf') }}"
  vars: {owner: fleet:staff}
"""

    def facts(self, args: TemplateArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return (file_state(args.path),)

    def diff(self, args: TemplateArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        have = facts[file_state(args.path)]
        if isinstance(have, Unknown):
            return (have,)
        content = render(args.template, around.templates, template_values(mac, args.vars)).encode()
        change = file_change(args.path, content, args.mode, args.owner, have)
        return (change,) if change else ()
