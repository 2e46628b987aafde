"""A playbook as a check: the same questions and the same difference, and nobody who changes anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from macfleet.checks import findings
from macfleet.core.errors import MacfleetError
from macfleet.core.fact import Fact, Facts
from macfleet.core.finding import Finding
from macfleet.core.secret import Secret
from macfleet.core.words import count
from macfleet.inventory.mac import Inventory, Mac
from macfleet.macos.runtime import Bundle
from macfleet.modules.base import Surroundings
from macfleet.playbook.load import Playbook
from macfleet.playbook.plan import FilledTask, MacPlan, fill_tasks, plan_mac, wanted_facts


class PlaybookCheck:
    """A check of the whole fleet, because a task's difference may depend on the other Macs. Findings name Mac and task."""

    name = "playbook"
    why = "somebody wrote down that a Mac must be so"

    def __init__(self, playbook: Playbook, templates: Mapping[str, str], bundle: Bundle):
        self.source = playbook.name
        self._playbook = playbook
        self._templates = templates
        self._bundle = bundle

    def facts(self, mac: Mac) -> Sequence[Fact[Any]]:
        around = (fact for task in self._playbook.tasks for fact in task.module.looks_around)
        return tuple(dict.fromkeys((*wanted_facts(self._tasks(mac), mac), *around)))

    def judge(self, inventory: Inventory, facts: Mapping[str, Facts]) -> Sequence[Finding]:
        around = Surroundings(inventory.order, facts, self._templates, self._bundle, secret=_nobody_logs_in)
        return [finding for mac in inventory.macs if mac.name in facts for finding in self._judge(mac, facts[mac.name], around)]

    def _tasks(self, mac: Mac) -> tuple[FilledTask, ...]:
        return fill_tasks(self._playbook, mac, {"runtime_id": self._bundle.id(mac.settings.runtime.python)})

    def _judge(self, mac: Mac, facts: Facts, around: Surroundings) -> Sequence[Finding]:
        tasks = self._tasks(mac)
        try:
            found = list(self._findings(mac, plan_mac(tasks, mac, facts, around)))
        except MacfleetError as error:  # this Mac differs in a way that nothing could close: a login without a key
            return [findings.fail(self, f"{mac.name}: {error}", f"as {self.source} says", error.hint or "")]
        wanted = f"as {self.source} says"
        return found or [findings.ok(self, f"{mac.name} agrees with {count(len(tasks), 'task')}", wanted)]

    def _findings(self, mac: Mac, plan: MacPlan) -> Iterator[Finding]:
        for diff in plan.tasks:
            if diff.is_handler:  # what it would do follows from another finding
                continue
            for change in diff.changes:
                have = f"{mac.name}: {change.what} is {change.before}"
                yield findings.fail(self, have, change.after, f"{diff.task}: `macfleet run {_typed(self.source)} --mac {mac.name}`")
            for unknown in diff.unknown:
                yield findings.unknown(self, f"{mac.name}: {unknown.reason}", diff.task)
            for unsupported in diff.unsupported:
                yield findings.warn(self, f"{mac.name}: {unsupported.reason}", diff.task)


def _nobody_logs_in(source: object) -> Secret:
    """Nothing is run, and no vault is opened for a look."""
    return Secret("")


def _typed(source: str) -> str:
    """As `macfleet run` takes it: macfleet's own by name, the operators' by path."""
    return source if "/" in source else source.removesuffix(".yaml")
