"""One item under `tasks:` or `handlers:` into a Task, with every mistake in it at its line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from macfleet.core.near import did_you_mean
from macfleet.inventory.yaml_text import Path, Problem, YamlText
from macfleet.modules.base import Module
from macfleet.playbook.fill import check_expression, check_syntax
from macfleet.playbook.tasks import Task

_AROUND = ("name", "when", "tags", "notify")  # what may stand beside the module in a task


class TaskReader:
    """Reads the lists of tasks of one file; what is wrong with them collects in `problems`."""

    def __init__(self, source: YamlText, file: str, modules: Sequence[Module[Any]]):
        self.problems: list[Problem] = []
        self._source, self._file = source, file
        self._verbs = {module.name: module for module in modules}

    def read(self, key: str) -> tuple[Task, ...]:
        """The tasks in the list under `key`, as far as they are without mistakes."""
        items = self._source.value.get(key) or []
        if not isinstance(items, list):
            self._say((key,), "write a list of tasks, each begun with a dash")
            return ()
        read = [self._task(item, (key, index)) for index, item in enumerate(items)]
        return tuple(task for task in read if task is not None)

    def _task(self, item: Any, path: Path) -> Task | None:
        if not isinstance(item, dict):
            self._say(path, "a task is a mapping: a name and a module")
            return None
        known_before = len(self.problems)
        verb = self._verb(item, path)
        if verb is None:
            return None
        self._look_around(item, path)
        args = item[verb.name] or {}
        self._look_at_args(verb, args, (*path, verb.name))
        if len(self.problems) > known_before:
            return None
        tags, notify = tuple(item.get("tags") or ()), tuple(item.get("notify") or ())
        return Task(item["name"], verb, args, item.get("when"), tags, path, self._source, self._file, notify)

    def _verb(self, item: dict[str, Any], path: Path) -> Module[Any] | None:
        named = [key for key in item if key not in _AROUND]
        unknown = [key for key in named if key not in self._verbs]
        for key in unknown:
            self._say((*path, key), f'there is no module "{key}"; {did_you_mean(key, [*self._verbs, *_AROUND])}')
        found = [key for key in named if key in self._verbs]
        if len(found) != 1 and not unknown:
            self._say(path, f"a task has one module, this one has {' and '.join(found)}" if found else "this task has no module")
        return self._verbs[found[0]] if found else None

    def _look_around(self, item: dict[str, Any], path: Path) -> None:
        if not isinstance(item.get("name"), str):
            self._say(path, "this task has no name; say in a sentence what is true after it")
        for key in ("tags", "notify"):
            words = item.get(key) or []
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                self._say((*path, key), "write a list: [A, B]")
        if path[0] == "handlers" and item.get("tags"):
            self._say((*path, "tags"), "a handler has no tags: it runs when a task that notifies it made a change")
        when = item.get("when")
        if when is not None and (wrong := check_expression(when) if isinstance(when, str) else "write one expression"):
            self._say((*path, "when"), wrong)

    def _look_at_args(self, module: Module[Any], args: Any, path: Path) -> None:
        if not isinstance(args, dict):
            return self._say(path, f"{module.name} takes keys: {', '.join(module.Args.model_fields)}")
        keys = tuple(module.Args.model_fields)
        unknown = [key for key in args if key not in keys]
        for key in unknown:
            self._say((*path, key), f'"{key}" is not a key of {module.name}; {did_you_mean(key, keys)}')
        for key, field in module.Args.model_fields.items():
            if field.is_required() and key not in args and not unknown:  # a misspelt key is the missing one: said once
                self._say(path, f'{module.name} needs "{key}"')
        for key, value in args.items():
            if wrong := check_syntax(value):
                self._say((*path, key), wrong)

    def _say(self, path: Path, text: str) -> None:
        self.problems.append(self._source.problem(path, text))
