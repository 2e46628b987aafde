"""Who wakes which handler: each name is given once and leads to one, none is woken by nobody, no chain closes to a circle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from macfleet.core.near import did_you_mean
from macfleet.inventory.yaml_text import Path, Problem, YamlText
from macfleet.playbook.tasks import Task


def problems_of_notifications(source: YamlText) -> list[Problem]:
    """Looked for in the text itself: a handler with another mistake in it is no unknown handler."""
    tasks, handlers = _items(source, "tasks"), _items(source, "handlers")
    return [
        *_names_twice(source, [*tasks, *handlers]),
        *_unknown(source, [*tasks, *handlers], handlers),
        *_never_woken(source, [*tasks, *handlers], handlers),
        *_circle(source, handlers),
    ]


def in_order(handlers: Sequence[Task]) -> tuple[Task, ...]:
    """Whoever notifies another handler before it, else as in the file; there must be no circle."""
    waiting, order = list(handlers), []
    while waiting:
        woken = {name for handler in waiting for name in handler.notify}
        following = next(handler for handler in waiting if handler.name not in woken)
        waiting.remove(following)
        order.append(following)
    return tuple(order)


_Item = tuple[Path, str, list[str]]  # where it stands, its name, whom it notifies


def _items(source: YamlText, key: str) -> list[_Item]:
    items = source.value.get(key)
    found = enumerate(items) if isinstance(items, list) else ()
    return [((key, index), item["name"], _words(item)) for index, item in found if _is_named(item)]


def _is_named(item: Any) -> bool:
    return isinstance(item, Mapping) and isinstance(item.get("name"), str)


def _words(item: Mapping[str, Any]) -> list[str]:
    words = item.get("notify")
    return [word for word in words if isinstance(word, str)] if isinstance(words, list) else []


def _names_twice(source: YamlText, everyone: Sequence[_Item]) -> list[Problem]:
    """What was done is told, and gone on with, by the names of tasks: each has its own."""
    first: dict[str, Path] = {}
    problems = []
    for path, name, _ in everyone:
        if name in first:
            problems.append(source.problem((*path, "name"), f"this name stands on line {source.line((*first[name], 'name'))} already"))
        first.setdefault(name, path)
    return problems


def _unknown(source: YamlText, everyone: Sequence[_Item], handlers: Sequence[_Item]) -> list[Problem]:
    names = [name for _, name, _ in handlers]
    return [
        source.problem((*path, "notify"), f'there is no handler "{word}"{_near(word, names)}')
        for path, _, words in everyone
        for word in words
        if word not in names
    ]


def _near(word: str, names: Sequence[str]) -> str:
    return f"; {did_you_mean(word, names)}" if names else '; write it under "handlers:"'


def _never_woken(source: YamlText, everyone: Sequence[_Item], handlers: Sequence[_Item]) -> list[Problem]:
    woken = {word for _, _, words in everyone for word in words}
    return [
        source.problem(path, f'nothing notifies "{name}", so it would never run; name it in a task\'s notify')
        for path, name, _ in handlers
        if name not in woken
    ]


def _circle(source: YamlText, handlers: Sequence[_Item]) -> list[Problem]:
    # graphlib wants predecessors; with whom each one notifies instead, the circle comes out backwards.
    graph = {name: words for _, name, words in handlers}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = list(reversed(error.args[1]))
        path = next(path for path, name, _ in handlers if name == circle[0])
        return [source.problem((*path, "notify"), f"these notify each other in a circle: {' → '.join(circle)}")]
    return []
