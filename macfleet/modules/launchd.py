"""`launchd`: a job of the system domain: its plist in place, loaded from exactly that plist, running if wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from macfleet.core.change import Diff
from macfleet.core.fact import Fact, Facts
from macfleet.core.template import render
from macfleet.inventory.mac import Mac
from macfleet.inventory.settings import Strict
from macfleet.modules.base import Surroundings
from macfleet.modules.job import WantedJob
from macfleet.modules.template import template_values


class LaunchdArgs(Strict):
    label: str = Field(description="The label; the plist is LABEL.plist in /Library/LaunchDaemons")
    template: str | None = Field(None, description="The template of the plist; it may use `label`")
    state: Literal["running", "loaded", "absent"] = Field(
        "running", description="`running` must stay alive; `loaded` suits a job that runs once and ends; `absent` has no plist"
    )
    vars: dict[str, Any] = Field({}, description="Names for the template beside `mac`, `settings` and `paths`")

    @model_validator(mode="after")
    def _has_template(self) -> Self:
        if self.state != "absent" and self.template is None:
            raise ValueError(f'a job that is {self.state} needs a "template" for its plist')
        return self

    def job(self, mac: Mac) -> WantedJob:
        return WantedJob(mac, self.label, "loaded" if self.state == "loaded" else "running")


class Launchd:
    """Waits until a job has really gone before it comes again, and sees a new one stay up before it calls it running.

    As a handler it starts the job again, with all the time that its ExitTimeOut gives it to end.
    """

    name = "launchd"
    Args = LaunchdArgs
    looks_around: tuple[Fact[Any], ...] = ()
    example = """
launchd:
  label: dev.macfleet.agent
  template: agent.plist.j2
  vars: {runtime_id: 0123456789ab}
"""

    def facts(self, args: LaunchdArgs, mac: Mac) -> Sequence[Fact[Any]]:
        return args.job(mac).facts

    def diff(self, args: LaunchdArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        job = args.job(mac)
        if args.state == "absent":
            return job.absence(facts)
        return job.difference(facts, _plist(args, mac, around))

    def again(self, args: LaunchdArgs, mac: Mac, facts: Facts, around: Surroundings) -> Diff:
        """A handler's job starts anew, because what it reads at its start has changed. A job that differs does so anyway."""
        differs = self.diff(args, mac, facts, around)
        return differs if differs or args.state == "absent" else (args.job(mac).restart(_plist(args, mac, around)),)


def _plist(args: LaunchdArgs, mac: Mac, around: Surroundings) -> bytes:
    assert args.template is not None  # LaunchdArgs says so
    return render(args.template, around.templates, {**template_values(mac, args.vars), "label": args.label}).encode()
