"""`template`: a file with the text of a template, filled with this Mac's values; `login` is whoever logs in there."""

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
from macfleet.modules.files import LOGIN, AbsolutePath, Mode, Owner, file_change, owner_of


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
"""

    def facts(self, args: TemplateArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return (LOGIN, file_state(args.path))

    def diff(self, args: TemplateArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        login, have = facts[LOGIN], facts[file_state(args.path)]
        if isinstance(login, Unknown) or isinstance(have, Unknown):
            return [item for item in (login, have) if isinstance(item, Unknown)]
        content = render(args.template, around.templates, {**template_values(mac, args.vars), "login": login}).encode()
        change = file_change(mac, args.path, content, args.mode, owner_of(args.owner, login), have)
        return (change,) if change else ()
