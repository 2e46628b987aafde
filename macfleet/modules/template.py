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
from macfleet.modules.base import Surroundings
from macfleet.modules.files import LOGIN, AbsolutePath, Mode, Owner, Wanted


class TemplateArgs(Strict):
    template: str = Field(description="The name of the template, like newsyslog.conf.j2")
    path: AbsolutePath = Field(description="Where the file stands; directories above it are made if need be")
    mode: Mode = Field("644", description="Who may read and write it")
    owner: Owner = Field("root:wheel", description="User and group, or `login` for whoever macfleet logs in as")
    vars: dict[str, Any] = Field({}, description="Names for the template beside `mac`, `settings`, `paths` and `login`")

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.path, self.mode, self.owner)


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
        return args.wanted.facts

    def diff(self, args: TemplateArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        login = facts[LOGIN]
        if isinstance(login, Unknown):
            return (login,)
        content = render(args.template, around.templates, {**template_values(mac, args.vars), "login": login}).encode()
        found = args.wanted.difference(mac, facts, content)
        return () if found is None else (found,)
